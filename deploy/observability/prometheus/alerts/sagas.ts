import type { RuleGroup } from "./rule.ts";

/** Whether orders are carried through to their end. */
export const sagaAlerts: RuleGroup = {
  name: "ordermesh-sagas",
  rules: [
    {
      alert: "ManyStepsParked",
      severity: "page",
      expr: "namespace:parked_steps:sum >= 25",
      lasts: "2m",
      labels: { service: "orders" },
      summary: "Steps that are parked: {{ $value }} ({{ $labels.namespace }})",
      description: "Many customers' orders stand still, and not one by one: something that all of them need is broken.",
    },
    {
      alert: "StepsParked",
      severity: "ticket",
      expr: "namespace:parked_steps:sum > 0",
      lasts: "1m",
      labels: { service: "orders" },
      summary: "Steps that wait for an operator: {{ $value }} ({{ $labels.namespace }})",
      description: "An order stands still for each of them until an operator retries or resolves the step.",
    },
    {
      alert: "WorkflowsLost",
      severity: "ticket",
      expr: "sum by (namespace) (increase(orders_given_back_total[10m])) > 0",
      lasts: "0m",
      labels: { service: "worker" },
      summary: "Orders whose workflow was lost in ten minutes: {{ $value | humanize }} ({{ $labels.namespace }})",
      description:
        "Their workflows ended without having settled them: ended by hand, timed out, failed or deleted. They are carried anew.",
    },
    {
      alert: "SagaCallsRefused",
      severity: "ticket",
      expr: 'sum by (namespace, service) (increase(rpc_server_refused_total{class="saga"}[10m])) > 0',
      lasts: "0m",
      summary:
        "{{ $labels.service }} refused {{ $value | humanize }} calls of the saga in ten minutes ({{ $labels.namespace }})",
      description:
        "Bounds keep the saga below what a service takes, so it should never be refused; its calls are repeated, orders are late.",
    },
    {
      alert: "WorkflowsFailing",
      severity: "ticket",
      // The series begins with the first failure, which increase() would not count.
      expr: `sum by (namespace) (temporal_workflow_failed_total)
        - (sum by (namespace) (temporal_workflow_failed_total offset 10m)
          or 0 * sum by (namespace) (temporal_workflow_failed_total)) > 0`,
      lasts: "0m",
      labels: { service: "worker" },
      summary: "Workflows that failed in ten minutes: {{ $value | humanize }} ({{ $labels.namespace }})",
      description:
        "A workflow of ours never fails, whatever it meets: the code does. Its orders are carried anew, and fail it again.",
    },
    {
      alert: "WorkflowTasksFailing",
      severity: "ticket",
      expr: "sum by (namespace) (increase(temporal_workflow_task_execution_failed_total[10m])) > 0",
      lasts: "10m",
      labels: { service: "worker" },
      summary: "Workflow tasks that failed in ten minutes: {{ $value | humanize }} ({{ $labels.namespace }})",
      description:
        "The code cannot go on with histories that an earlier version wrote: the orders of those stand still.",
    },
    {
      alert: "WorkerSaturated",
      severity: "ticket",
      expr: `histogram_quantile(0.95, sum by (namespace, le)
        (rate(temporal_workflow_task_schedule_to_start_latency_seconds_bucket[5m]))) > 1`,
      lasts: "10m",
      labels: { service: "worker" },
      summary: "Workflow tasks wait {{ $value | humanizeDuration }} for a worker ({{ $labels.namespace }})",
      description: "Orders take longer in each of their steps. Beyond 5 s the promise to customers breaks.",
    },
    {
      alert: "RelayStalled",
      severity: "ticket",
      expr: `time() - max by (namespace, service, relay) (relay_last_success_timestamp_seconds)
        > 300 + max by (namespace, service, relay) (relay_interval_seconds)`,
      lasts: "1m",
      summary: "Relay {{ $labels.relay }} of {{ $labels.service }} last succeeded {{ $value | humanizeDuration }} ago",
      description: "What a crash or a lost answer left behind in that service is not taken up again.",
    },
    {
      alert: "ScheduleOverdue",
      severity: "ticket",
      expr: `time() - max by (namespace, schedule) (worker_schedule_last_success_seconds)
        > 3 * max by (namespace, schedule) (worker_schedule_interval_seconds) + 300`,
      lasts: "1m",
      labels: { service: "worker" },
      summary:
        "The schedule {{ $labels.schedule }} last ended well {{ $value | humanizeDuration }} ago ({{ $labels.namespace }})",
      description: "Its runs fail, or none begins; or somebody has paused it, and not gone on with it.",
    },
    {
      alert: "AuditPublishLagging",
      severity: "ticket",
      expr: "max by (namespace, service) (audit_publish_lag_seconds) > 300",
      lasts: "5m",
      summary:
        "The audit stream of {{ $labels.service }} is {{ $value | humanizeDuration }} behind ({{ $labels.namespace }})",
      description:
        "Customers notice nothing. The audit log in the database is complete, what is shipped of it is late.",
    },
    {
      alert: "EventsLate",
      severity: "ticket",
      expr: "max by (namespace, service) (events_lag_seconds) > 300",
      lasts: "5m",
      summary:
        "Subscribers hear of what happens in {{ $labels.service }} {{ $value | humanizeDuration }} late ({{ $labels.namespace }})",
      description: "The broker is away or full, or a transaction is open. Nothing is lost; all of it is told in order.",
    },
    {
      alert: "EventsLost",
      severity: "ticket",
      expr: "sum by (namespace, service) (increase(events_lost_total[1h])) > 0",
      lasts: "1m",
      summary: "Events that {{ $labels.service }} tells nobody of: {{ $value | humanize }} ({{ $labels.namespace }})",
      description: "The stream no longer had them when they were to be read: it is too small, or was removed.",
    },
    {
      alert: "CustomersToldLate",
      severity: "ticket",
      expr: "max by (namespace) (notifications_pending_age_seconds) > 900",
      lasts: "5m",
      summary: "A customer has waited {{ $value | humanizeDuration }} to be told of an order ({{ $labels.namespace }})",
      description:
        "The mail server or orders is away, or a mailbox takes nothing for now. Nothing is lost; it is tried for three days.",
    },
    {
      alert: "CustomersNotTold",
      severity: "ticket",
      expr: "max by (namespace) (notifications_failed) > 0",
      lasts: "5m",
      summary: "Customers are not told of {{ $value }} things about their orders ({{ $labels.namespace }})",
      description:
        "A mail server has refused them for good, or their time was over. Somebody has to have them sent again.",
    },
    {
      alert: "WebhooksLate",
      severity: "ticket",
      expr: "max by (namespace) (webhooks_due_age_seconds) > 300",
      lasts: "5m",
      labels: { service: "webhooks" },
      summary: "A delivery has been due to an endpoint for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "An endpoint is slower than what is to be told to it, or the service does not send. Others are told.",
    },
    {
      alert: "WebhookEndpointDisabled",
      severity: "ticket",
      expr: "sum by (namespace, reason) (increase(webhooks_endpoints_disabled_total[1h])) > 0",
      lasts: "1m",
      labels: { service: "webhooks" },
      summary:
        "Endpoints that are told no more because they are {{ $labels.reason }}: {{ $value | humanize }} ({{ $labels.namespace }})",
      description:
        "What happens is kept for them for 30 days. Whoever has them does not know unless somebody tells him.",
    },
  ],
};
