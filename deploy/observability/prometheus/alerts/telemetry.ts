import type { RuleGroup } from "./rule.ts";

/** Whether we would see if something were wrong. */
export const telemetryAlerts: RuleGroup = {
  name: "ordermesh-telemetry",
  rules: [
    {
      alert: "SpansLost",
      severity: "ticket",
      expr: `sum by (namespace, service) (increase(telemetry_spans_total{outcome=~"dropped|failed"}[10m])) > 0`,
      lasts: "10m",
      summary: "{{ $labels.service }} lost {{ $value | humanize }} spans in ten minutes ({{ $labels.namespace }})",
      description: "Customers notice nothing. Traces have holes.",
    },
    {
      alert: "LogLagging",
      severity: "ticket",
      expr: "max by (namespace, service, instance) (log_lag_bytes) > 1048576",
      lasts: "5m",
      summary: "{{ $value | humanize1024 }}B of log lines wait in {{ $labels.service }} at {{ $labels.instance }}",
      description: "Customers notice nothing. Log lines arrive late, and are dropped once the queue is full.",
    },
    {
      alert: "LogLinesDropped",
      severity: "ticket",
      expr: "sum by (namespace, service) (increase(log_lines_dropped_total[10m])) > 0",
      lasts: "0m",
      summary:
        "{{ $labels.service }} dropped {{ $value | humanize }} log lines in ten minutes ({{ $labels.namespace }})",
      description: "Customers notice nothing. What happened in that time cannot be read in the log.",
    },
    {
      alert: "RulesFailing",
      severity: "ticket",
      expr: "sum by (namespace) (increase(prometheus_rule_evaluation_failures_total[10m])) > 0",
      lasts: "0m",
      labels: { service: "prometheus" },
      summary: "{{ $value | humanize }} evaluations of rules failed in ten minutes ({{ $labels.namespace }})",
      description: "Alerts may not fire although customers are hurt.",
    },
    {
      alert: "NotificationsFailing",
      severity: "ticket",
      expr: `sum by (namespace) (increase(prometheus_notifications_dropped_total[10m])
        + increase(prometheus_notifications_errors_total[10m])) > 0
        or sum by (namespace) (increase(alertmanager_notifications_failed_total[10m])) > 0`,
      lasts: "5m",
      labels: { service: "alertmanager" },
      summary: "{{ $value | humanize }} notifications were not delivered in ten minutes ({{ $labels.namespace }})",
      description: "Somebody should have been told something, and was not.",
    },
  ],
};
