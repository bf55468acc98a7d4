import type { RuleGroup } from "./rule.ts";

/** Whether the processes do their work; the causes behind what customers feel. */
export const serviceAlerts: RuleGroup = {
  name: "ordermesh-services",
  rules: [
    {
      alert: "ServiceFailing",
      severity: "ticket",
      expr: `namespace_service:rpc_server_faults:ratio_rate10m > 0.01
        and namespace_service:rpc_server_faults:increase10m > 10`,
      lasts: "5m",
      summary: "{{ $value | humanizePercentage }} of the calls to {{ $labels.service }} fail ({{ $labels.namespace }})",
      description: "Calls fail by our fault. The saga repeats its own; callers of orders see theirs.",
    },
    {
      alert: "ServiceSlow",
      severity: "ticket",
      expr: "namespace_service_rpc:rpc_server_duration_seconds:p99_5m > 1",
      lasts: "10m",
      summary:
        "{{ $labels.rpc }} of {{ $labels.service }} takes {{ $value | humanizeDuration }} at the 99th percentile",
      description: "One call in a hundred takes longer than a second, and orders with it.",
    },
    {
      alert: "CallersLimited",
      severity: "ticket",
      expr: `sum by (namespace, service, class) (increase(rpc_server_limit_decisions_total{decision="refused"}[10m]))
        / sum by (namespace, service, class) (increase(rpc_server_limit_decisions_total[10m])) > 0.1
        and sum by (namespace, service, class) (increase(rpc_server_limit_decisions_total{decision="refused"}[10m])) > 100`,
      lasts: "5m",
      summary:
        "{{ $labels.service }} refuses {{ $value | humanizePercentage }} of the {{ $labels.class }} calls for their callers' limits ({{ $labels.namespace }})",
      description:
        "One caller calls very often or guesses, a limit is too low, or a proxy that is not named makes many callers one.",
    },
    {
      alert: "LimitsApart",
      severity: "ticket",
      expr: "max by (namespace, service) (rpc_server_limits_apart) == 1",
      lasts: "5m",
      summary: "Replicas of {{ $labels.service }} cannot share their limits ({{ $labels.namespace }})",
      description:
        "The store does not answer; each replica gives its part of a limit, so callers may get less than it.",
    },
    {
      alert: "ConnectorAway",
      severity: "ticket",
      expr: 'max by (namespace, service, connector) (connector_breaker_state{state!="closed"}) == 1',
      lasts: "2m",
      summary: "The {{ $labels.connector }} does not answer {{ $labels.service }} ({{ $labels.namespace }})",
      description:
        "What is outside is called only from time to time, until it answers. Orders that need it rest, and go on by themselves.",
    },
    {
      alert: "TargetDown",
      severity: "ticket",
      expr: "up == 0",
      lasts: "5m",
      summary: "{{ $labels.service }} at {{ $labels.instance }} cannot be scraped ({{ $labels.namespace }})",
      description:
        "A process is gone or hangs, or Prometheus may not talk to it. While others serve, customers notice nothing.",
    },
    {
      alert: "CredentialsRefused",
      severity: "ticket",
      expr: `sum by (namespace, service) (increase(rpc_server_denied_total{reason="CREDENTIAL_REFUSED"}[10m])) > 100`,
      lasts: "5m",
      summary:
        "{{ $value | humanize }} calls to {{ $labels.service }} showed a credential that is not valid ({{ $labels.namespace }})",
      description: "A caller goes on with one that has ended, an issuer has other keys, or somebody guesses.",
    },
    {
      alert: "PasswordsGuessed",
      severity: "ticket",
      expr: `sum by (namespace) (increase(identity_proofs_total{kind=~"password|code", outcome="delayed"}[10m])) > 50`,
      lasts: "5m",
      summary:
        "{{ $value | humanize }} logins were put off: too many passwords or codes were tried before ({{ $labels.namespace }})",
      description: "Somebody tries passwords or codes, of one person or of many. None gets more than a few attempts.",
    },
    {
      alert: "PeopleNotMailed",
      severity: "ticket",
      expr: `sum by (namespace) (increase(identity_mails_total{outcome="deferred"}[10m])) > 5
        unless sum by (namespace) (increase(identity_mails_total{outcome="sent"}[10m])) > 0`,
      lasts: "5m",
      summary: "The mail server takes no mails of identity ({{ $labels.namespace }})",
      description: "Nobody can register or set another password: the tokens do not come, and are good for ten minutes.",
    },
    {
      alert: "CertificateExpiring",
      severity: "ticket",
      expr: `(max by (namespace, service, instance) (tls_certificate_validity_timestamp_seconds{edge="end"}) - time())
        / (max by (namespace, service, instance) (tls_certificate_validity_timestamp_seconds{edge="end"})
          - max by (namespace, service, instance) (tls_certificate_validity_timestamp_seconds{edge="begin"})) < 0.2`,
      lasts: "5m",
      summary:
        "The certificate of {{ $labels.service }} at {{ $labels.instance }} has {{ $value | humanizePercentage }} of its time left ({{ $labels.namespace }})",
      description:
        "It should have been renewed by now. When it ends nobody takes its calls, and orders wait until it is.",
    },
    {
      alert: "EventLoopBlocked",
      severity: "ticket",
      expr: "max by (namespace, service, instance) (nodejs_eventloop_lag_p99_seconds) > 0.25",
      lasts: "10m",
      summary: "{{ $labels.service }} at {{ $labels.instance }} lags {{ $value | humanizeDuration }} behind",
      description: "The process has more to do than one core can, so each of its calls takes so much longer.",
    },
    {
      alert: "DatabasePoolExhausted",
      severity: "ticket",
      expr: "min_over_time(sum by (namespace, service) (database_pool_waiting)[5m:30s]) > 0",
      lasts: "5m",
      summary: "Statements that wait for a connection in {{ $labels.service }}: {{ $value }} ({{ $labels.namespace }})",
      description: "All connections of a service are busy all the time; its calls take longer.",
    },
    {
      alert: "DatabaseConnectionsHigh",
      severity: "ticket",
      expr: "namespace:pg_connections:used_ratio > 0.8",
      lasts: "5m",
      labels: { service: "postgres-exporter" },
      summary: "{{ $value | humanizePercentage }} of PostgreSQL's connections are in use ({{ $labels.namespace }})",
      description: "When none is left, services that start or scale out cannot connect, and their calls fail.",
    },
    {
      alert: "DatabaseUnreachable",
      severity: "ticket",
      expr: "max by (namespace) (pg_up) == 0",
      lasts: "1m",
      labels: { service: "postgres-exporter" },
      summary: "PostgreSQL does not answer its exporter ({{ $labels.namespace }})",
      description: "If the services cannot reach it either, orders fail, and an alert on that wakes somebody.",
    },
    {
      alert: "TransactionTooLong",
      severity: "ticket",
      expr: "max by (namespace, datname) (pg_activity_oldest_transaction_seconds) > 900",
      lasts: "1m",
      labels: { service: "postgres-exporter" },
      summary:
        "A transaction in {{ $labels.datname }} is open for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "Vacuum stands still, tables grow, and the audit stream waits for it. In the end orders become slow.",
    },
    {
      alert: "BooksUnbalanced",
      severity: "ticket",
      expr: "max by (namespace) (ordermesh_verify_findings) > 0",
      lasts: "0m",
      labels: { service: "verify" },
      summary: "Stock and money do not agree, findings: {{ $value }} ({{ $labels.namespace }})",
      description: "A customer may have been charged wrongly, or stock be promised that is not there.",
    },
    {
      alert: "DoneOutside",
      severity: "ticket",
      expr: "max by (namespace) (ordermesh_verify_outside_operations) > 0",
      lasts: "0m",
      labels: { service: "verify" },
      summary: "Done at the card gateway without us within a week: {{ $value }} ({{ $labels.namespace }})",
      description: "Somebody refunded or captured in the gateway's console; our books do not have it.",
    },
    {
      alert: "BooksUnchecked",
      severity: "ticket",
      expr: "time() - max by (namespace) (ordermesh_verify_last_run_timestamp_seconds) > 26 * 3600",
      lasts: "10m",
      labels: { service: "verify" },
      summary: "Stock and money were last compared {{ $value | humanizeDuration }} ago ({{ $labels.namespace }})",
      description: "Customers notice nothing, but neither would we if the books went wrong.",
    },
  ],
};
