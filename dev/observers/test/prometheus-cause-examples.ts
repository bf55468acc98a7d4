import type { Example, Series } from "./prometheus-example.ts";

const shop = 'namespace="shop"';
const ofService = (service: string) => `${shop}, service="${service}", instance="${service}-1:8080"`;

/** One series that fires and the same one that does not. */
function one(series: string, fires: string, quiet: string): { fires: Series; quiet: Series } {
  return { fires: { [series]: fires }, quiet: { [series]: quiet } };
}

/** Decisions about calls of orders that write. */
const limited = (decision: string) =>
  `rpc_server_limit_decisions_total{${ofService("orders")}, class="write", by="address", decision="${decision}"}`;
const mailed = (outcome: string) =>
  `identity_mails_total{${ofService("identity")}, kind="password_token", outcome="${outcome}"}`;
const rpc = "shop.payments.v1.PaymentService/AuthorizePayment";
const calls = (code: string) =>
  `rpc_server_duration_seconds_count{${ofService("payments")}, rpc="${rpc}", code="${code}"}`;
const faster = (le: string) =>
  `rpc_server_duration_seconds_bucket{${ofService("payments")}, rpc="${rpc}", code="OK", le="${le}"}`;
const tasks = (le: string) =>
  `temporal_workflow_task_schedule_to_start_latency_seconds_bucket{${ofService("worker")}, le="${le}"}`;

const breaker = (state: string) =>
  `connector_breaker_state{${ofService("payments")}, connector="gateway", state="${state}"}`;

/** Examples for the alerts on orders and sagas that stand still. */
const standingStill: readonly Example[] = [
  {
    alert: "OrderPendingTooLong",
    at: "15m",
    ...one(`orders_oldest_pending_seconds{${ofService("orders")}}`, "0+60x15", "0+60x4 0x15"),
    summary: "An order has been pending for 15m 0s (shop)",
  },
  {
    alert: "ReviewsWaiting",
    at: "15m",
    ...one(`orders_oldest_review_seconds{${ofService("orders")}}`, "14400+60x15", "14300x5 0x10"),
    summary: "An order has been under review for 4h 15m 0s (shop)",
  },
  {
    alert: "BackOrdersOld",
    at: "15m",
    ...one(`orders_oldest_back_order_seconds{${ofService("orders")}}`, "1209600+60x15", "1209000x5 0x10"),
    summary: "An order has waited for stock for 14d 0h 15m 0s (shop)",
  },
  {
    alert: "ReturnsUnfinished",
    at: "10m",
    ...one(`orders_oldest_received_return_seconds{${ofService("orders")}}`, "3600+60x10", "3500x5 0x5"),
    summary: "What came back has waited for 1h 10m 0s (shop)",
  },
  {
    alert: "ReturnsUnlabelled",
    at: "15m",
    ...one(`orders_oldest_refused_label_seconds{${ofService("orders")}}`, "14400+60x15", "14300x5 0x10"),
    summary: "A return has waited for a label for 4h 15m 0s (shop)",
  },
  {
    alert: "OrdersStalled",
    at: "15m",
    ...one(`orders_stalled{${ofService("orders")}, status="carried"}`, "0x5 64x10", "0 64x4 0x10"),
    labels: { status: "carried" },
    summary: "Orders that are carried for too long: 64 (shop)",
  },
  {
    alert: "ServiceAwayForOrders",
    at: "10m",
    // Each of many waits for the gateway for some seconds: that is no reason to call it away.
    ...one(`orders_oldest_waiting_seconds{${ofService("orders")}, waits_for="payments"}`, "0+60x10", "9 30 5 17x7"),
    labels: { waits_for: "payments", service: "payments" },
    summary: "Orders wait for payments since 10m 0s (shop)",
  },
  {
    alert: "EventsLagging",
    at: "10m",
    // Nothing waits, but a start is not acknowledged.
    fires: {
      [`orders_oldest_due_event_seconds{${ofService("orders")}}`]: "0x10",
      [`orders_outbox_lag_seconds{${ofService("orders")}}`]: "60x10",
    },
    quiet: {
      [`orders_oldest_due_event_seconds{${ofService("orders")}}`]: "0 20 40 0 20 40 0 20 25 28 0",
      [`orders_outbox_lag_seconds{${ofService("orders")}}`]: "5x10",
    },
    summary: "What happened to an order waits since 1m 0s (shop)",
  },
  {
    alert: "ShipmentNewsLagging",
    at: "10m",
    fires: { [`shipping_relay_lag_seconds{${ofService("shipping")}, relay="shipment.news"}`]: "0+60x10" },
    quiet: {
      [`shipping_relay_lag_seconds{${ofService("shipping")}, relay="shipment.news"}`]: "0 90 0x10",
      [`shipping_relay_lag_seconds{${ofService("shipping")}, relay="shipment.booking"}`]: "0+60x10",
    },
    summary: "Orders has not heard what became of a parcel since 10m 0s (shop)",
  },
  {
    alert: "ShipmentNewsRefused",
    at: "12m",
    fires: { [`shipping_news_total{${ofService("shipping")}, news="PACKED", outcome="refused"}`]: "0x5 10x10" },
    quiet: {
      [`shipping_news_total{${ofService("shipping")}, news="PACKED", outcome="refused"}`]: "10x30",
      [`shipping_news_total{${ofService("shipping")}, news="PACKED", outcome="failed"}`]: "0+1x30",
    },
    labels: { news: "PACKED" },
    summary: "Orders refused news of parcels (PACKED) in ten minutes: 10 (shop)",
  },
  {
    alert: "ShipmentLookOverdue",
    at: "20m",
    ...one(`shipping_look_age_seconds{${ofService("shipping")}}`, "172801+60x20", "172000+60x5 0+60x15"),
    summary: "Nobody has looked at silent parcels for 2d 0h 20m 1s (shop)",
  },
  {
    alert: "ShipmentsUnaccounted",
    at: "12m",
    fires: { [`shipping_looks_total{${ofService("shipping")}, outcome="unknown"}`]: "0x5 2x10" },
    quiet: {
      [`shipping_looks_total{${ofService("shipping")}, outcome="unknown"}`]: "0x30",
      [`shipping_looks_total{${ofService("shipping")}, outcome="unanswered"}`]: "0+1x30",
      [`shipping_looks_total{${ofService("shipping")}, outcome="ended"}`]: "0+1x30",
    },
    labels: { outcome: "unknown" },
    summary: "Parcels that are unknown to the carrier: 2 (shop)",
  },
  {
    alert: "StockLow",
    at: "30m",
    ...one(`inventory_low_stock_levels{${ofService("inventory")}}`, "2x30", "2x10 0x20"),
    summary: "Stock levels that are low: 2 (shop)",
  },
  {
    alert: "PaymentsUndecided",
    at: "15m",
    ...one(`payments_undecided_age_seconds{${ofService("payments")}}`, "0+60x15", "0+60x9 0x10"),
    summary: "The gateway has not decided on a payment for 15m 0s (shop)",
  },
  {
    alert: "GatewayEvents",
    at: "30m",
    ...one(`payments_gateway_events_recent{${ofService("payments")}, kind="refund_failed"}`, "0x20 2x10", "2x20 0x20"),
    labels: { kind: "refund_failed" },
    summary: "The gateway told of 2 refund_failed in an hour that nobody asked for (shop)",
  },
  {
    alert: "DisputesDue",
    at: "30m",
    ...one(`payments_disputes_due{${ofService("payments")}}`, "0x20 2x10", "2x20 0x20"),
    summary: "Disputes that have to be answered within three days: 2 (shop)",
  },
  {
    alert: "RefundsUnapproved",
    at: "30m",
    ...one(`payments_refund_request_age_seconds{${ofService("payments")}}`, "85800+60x30", "85200+60x10 0x20"),
    summary: "A refund waits for a second person for 1d 0h 20m 0s (shop)",
  },
  {
    alert: "StepsParked",
    at: "10m",
    // Rows of orders, as each process of orders shows them, and a workflow of the kind before.
    fires: {
      [`orders_parked{${ofService("orders")}, step="capture"}`]: "_x5 2x5",
      [`orders_parked{${shop}, service="orders", instance="orders-2:8080", step="capture"}`]: "_x5 2x5",
      [`orders_parked{${ofService("orders")}, step="void"}`]: "_x5 1x5",
      [`saga_parked_steps{${ofService("worker")}}`]: "0x5 1x5",
    },
    quiet: {
      [`orders_parked{${ofService("orders")}, step="capture"}`]: "1 _x10",
      [`saga_parked_steps{${ofService("worker")}}`]: "1 0x10",
    },
    summary: "Steps that wait for an operator: 4 (shop)",
  },
  {
    alert: "WorkflowsLost",
    at: "12m",
    ...one(`orders_given_back_total{${ofService("orders")}}`, "0x5 10x10", "7x30"),
    summary: "Orders whose workflow was lost in ten minutes: 10 (shop)",
  },
  {
    alert: "CallersLimited",
    at: "20m",
    fires: { [limited("refused")]: "0+20x20", [limited("passed")]: "0+60x20" },
    quiet: { [limited("refused")]: "0+20x20", [limited("passed")]: "0+600x20" },
    labels: { service: "orders", class: "write" },
    summary: "orders refuses 25% of the write calls for their callers' limits (shop)",
  },
  {
    alert: "LimitsApart",
    at: "10m",
    ...one(`rpc_server_limits_apart{${ofService("orders")}}`, "1x10", "1x3 0x10"),
    labels: { service: "orders" },
    summary: "Replicas of orders cannot share their limits (shop)",
  },
  {
    alert: "SagaCallsRefused",
    at: "12m",
    fires: { [`rpc_server_refused_total{${ofService("payments")}, class="saga"}`]: "0x5 10x10" },
    quiet: {
      [`rpc_server_refused_total{${ofService("payments")}, class="saga"}`]: "10x30",
      [`rpc_server_refused_total{${ofService("payments")}, class="caller"}`]: "0+10x30",
    },
    labels: { service: "payments" },
    summary: "payments refused 10 calls of the saga in ten minutes (shop)",
  },
  {
    alert: "WorkflowsFailing",
    at: "12m",
    ...one(`temporal_workflow_failed_total{${ofService("worker")}}`, "_x5 1x10", "7x30"),
    summary: "Workflows that failed in ten minutes: 1 (shop)",
  },
  {
    alert: "WorkflowTasksFailing",
    at: "30m",
    ...one(`temporal_workflow_task_execution_failed_total{${ofService("worker")}}`, "0+1x30", "0x5 1x25"),
    summary: "Workflow tasks that failed in ten minutes: 10 (shop)",
  },
  {
    alert: "WorkerSaturated",
    at: "20m",
    fires: { [tasks("1")]: "0+1x20", [tasks("5")]: "0+10x20", [tasks("+Inf")]: "0+10x20" },
    quiet: { [tasks("1")]: "0+10x20", [tasks("5")]: "0+10x20", [tasks("+Inf")]: "0+10x20" },
    summary: "Workflow tasks wait 4.778s for a worker (shop)",
  },
  {
    alert: "RelayStalled",
    at: "20m",
    fires: {
      [`relay_last_success_timestamp_seconds{${ofService("orders")}, relay="sagas"}`]: "0x20",
      [`relay_interval_seconds{${ofService("orders")}, relay="sagas"}`]: "1x20",
    },
    // One that looks every ten minutes has looked ten minutes ago.
    quiet: {
      [`relay_last_success_timestamp_seconds{${ofService("orders")}, relay="sagas"}`]: "0+60x20",
      [`relay_interval_seconds{${ofService("orders")}, relay="sagas"}`]: "1x20",
      [`relay_last_success_timestamp_seconds{${ofService("orders")}, relay="forgetting"}`]: "0x9 600x10",
      [`relay_interval_seconds{${ofService("orders")}, relay="forgetting"}`]: "600x20",
    },
    labels: { service: "orders", relay: "sagas" },
    summary: "Relay sagas of orders last succeeded 20m 0s ago",
  },
  {
    alert: "ScheduleOverdue",
    at: "25m",
    fires: {
      [`worker_schedule_last_success_seconds{${ofService("worker")}, schedule="expire-holds"}`]: "0x25",
      [`worker_schedule_interval_seconds{${ofService("worker")}, schedule="expire-holds"}`]: "300x25",
    },
    quiet: {
      [`worker_schedule_last_success_seconds{${ofService("worker")}, schedule="expire-holds"}`]: "0x5 300x20",
      [`worker_schedule_interval_seconds{${ofService("worker")}, schedule="expire-holds"}`]: "300x25",
    },
    labels: { service: "worker", schedule: "expire-holds" },
    summary: "The schedule expire-holds last ended well 25m 0s ago (shop)",
  },
  {
    alert: "AuditPublishLagging",
    at: "30m",
    ...one(`audit_publish_lag_seconds{${ofService("orders")}}`, "0+60x30", "400x3 0x27"),
    labels: { service: "orders" },
    summary: "The audit stream of orders is 30m 0s behind (shop)",
  },
  {
    alert: "EventsLate",
    at: "30m",
    ...one(`events_lag_seconds{${ofService("orders")}}`, "0+60x30", "400x3 0x27"),
    labels: { service: "orders" },
    summary: "Subscribers hear of what happens in orders 30m 0s late (shop)",
  },
  {
    alert: "CustomersToldLate",
    at: "30m",
    ...one(`notifications_pending_age_seconds{${ofService("notifications")}}`, "0+60x30", "1000x3 0x27"),
    summary: "A customer has waited 30m 0s to be told of an order (shop)",
  },
  {
    alert: "CustomersNotTold",
    at: "10m",
    ...one(`notifications_failed{${ofService("notifications")}}`, "0x2 3x8", "3x2 0x8"),
    summary: "Customers are not told of 3 things about their orders (shop)",
  },
  {
    alert: "PeopleNotMailed",
    at: "30m",
    fires: { [mailed("deferred")]: "0+2x30", [mailed("sent")]: "0x30" },
    quiet: { [mailed("deferred")]: "0+2x30", [mailed("sent")]: "0+1x30" },
    summary: "The mail server takes no mails of identity (shop)",
  },
  {
    alert: "WebhooksLate",
    at: "30m",
    ...one(`webhooks_due_age_seconds{${ofService("webhooks")}}`, "0+60x30", "400x3 0x27"),
    summary: "A delivery has been due to an endpoint for 30m 0s (shop)",
  },
  {
    alert: "WebhookEndpointDisabled",
    at: "60m",
    ...one(`webhooks_endpoints_disabled_total{${ofService("webhooks")}, reason="failing"}`, "0+1x60", "0x60"),
    labels: { reason: "failing" },
    summary: "Endpoints that are told no more because they are failing: 60 (shop)",
  },
  {
    alert: "EventsLost",
    at: "60m",
    ...one(`events_lost_total{${ofService("webhooks")}}`, "0+1x60", "0x60"),
    labels: { service: "webhooks" },
    summary: "Events that webhooks tells nobody of: 60 (shop)",
  },
];

/** Examples for the alerts on processes and databases. */
const processes: readonly Example[] = [
  {
    alert: "ServiceFailing",
    at: "20m",
    fires: { [calls("OK")]: "0+95x20", [calls("Internal")]: "0+5x20" },
    quiet: { [calls("OK")]: "0+95x20", [calls("FailedPrecondition")]: "0+50x20", [calls("Internal")]: "0x10 1x10" },
    labels: { service: "payments" },
    summary: "5% of the calls to payments fail (shop)",
  },
  {
    alert: "ServiceSlow",
    at: "20m",
    fires: { [faster("1")]: "0+90x20", [faster("2.5")]: "0+100x20", [faster("+Inf")]: "0+100x20" },
    quiet: { [faster("1")]: "0+995x20", [faster("2.5")]: "0+1000x20", [faster("+Inf")]: "0+1000x20" },
    labels: { service: "payments", rpc },
    summary: `${rpc} of payments takes 2.35s at the 99th percentile`,
  },
  {
    alert: "ConnectorAway",
    at: "10m",
    // It is tried every two seconds, and some samples see that.
    fires: {
      [breaker("open")]: "0x2 1 1 0 1 1 0 1 1 1",
      [breaker("half_open")]: "0x2 0 0 1 0 0 1 0 0 0",
      [breaker("closed")]: "1x2 0x8",
    },
    quiet: { [breaker("open")]: "0 1 0 0 1 0 0x5", [breaker("closed")]: "1 0 1 1 0 1 1x5" },
    labels: { service: "payments", connector: "gateway" },
    summary: "The gateway does not answer payments (shop)",
  },
  {
    alert: "TargetDown",
    at: "15m",
    ...one(`up{${ofService("inventory")}, job="ordermesh"}`, "1x5 0x10", "1x5 0x3 1x10"),
    labels: { service: "inventory", instance: "inventory-1:8080", job: "ordermesh" },
    summary: "inventory at inventory-1:8080 cannot be scraped (shop)",
  },
  {
    alert: "CredentialsRefused",
    at: "20m",
    ...one(`rpc_server_denied_total{${ofService("orders")}, reason="CREDENTIAL_REFUSED"}`, "0+30x20", "0+5x20"),
    labels: { service: "orders" },
    summary: "300 calls to orders showed a credential that is not valid (shop)",
  },
  {
    alert: "PasswordsGuessed",
    at: "20m",
    ...one(`identity_proofs_total{${ofService("identity")}, kind="password", outcome="delayed"}`, "0+20x20", "0+2x20"),
    summary: "200 logins were put off: too many passwords or codes were tried before (shop)",
  },
  {
    alert: "CertificateExpiring",
    at: "60m",
    fires: {
      [`tls_certificate_validity_timestamp_seconds{${ofService("orders")}, edge="begin"}`]: "0x60",
      [`tls_certificate_validity_timestamp_seconds{${ofService("orders")}, edge="end"}`]: "4000x60",
    },
    quiet: {
      [`tls_certificate_validity_timestamp_seconds{${ofService("orders")}, edge="begin"}`]: "0x60",
      [`tls_certificate_validity_timestamp_seconds{${ofService("orders")}, edge="end"}`]: "4600x60",
    },
    labels: { service: "orders", instance: "orders-1:8080" },
    summary: "The certificate of orders at orders-1:8080 has 10% of its time left (shop)",
  },
  {
    alert: "EventLoopBlocked",
    at: "20m",
    ...one(`nodejs_eventloop_lag_p99_seconds{${ofService("orders")}}`, "0.5x20", "0.5x8 0.02x12"),
    labels: { service: "orders", instance: "orders-1:8080" },
    summary: "orders at orders-1:8080 lags 500ms behind",
  },
  {
    alert: "DatabasePoolExhausted",
    at: "20m",
    ...one(`database_pool_waiting{${ofService("orders")}}`, "3x20", "3 0 3 0 3 0 3 0 3 0 3 0 3 0 3 0 3 0 3 0"),
    labels: { service: "orders" },
    summary: "Statements that wait for a connection in orders: 3 (shop)",
  },
  {
    alert: "DatabaseConnectionsHigh",
    at: "10m",
    fires: {
      [`pg_activity_connections{${ofService("postgres-exporter")}, datname="orders", state="idle"}`]: "80x10",
      [`pg_activity_connections{${ofService("postgres-exporter")}, datname="orders", state="active"}`]: "10x10",
      [`pg_server_max_connections{${ofService("postgres-exporter")}}`]: "100x10",
    },
    quiet: {
      [`pg_activity_connections{${ofService("postgres-exporter")}, datname="orders", state="idle"}`]: "50x10",
      [`pg_server_max_connections{${ofService("postgres-exporter")}}`]: "100x10",
    },
    summary: "90% of PostgreSQL's connections are in use (shop)",
  },
  {
    alert: "DatabaseUnreachable",
    at: "10m",
    ...one(`pg_up{${ofService("postgres-exporter")}}`, "1x5 0x5", "1x10"),
    summary: "PostgreSQL does not answer its exporter (shop)",
  },
  {
    alert: "TransactionTooLong",
    at: "30m",
    ...one(
      `pg_activity_oldest_transaction_seconds{${ofService("postgres-exporter")}, datname="orders"}`,
      "0+60x30",
      "0+60x14 0x20",
    ),
    labels: { datname: "orders" },
    summary: "A transaction in orders is open for 30m 0s (shop)",
  },
  {
    alert: "BooksUnbalanced",
    at: "5m",
    ...one(`ordermesh_verify_findings{${shop}, job="verify"}`, "2x5", "0x5"),
    summary: "Stock and money do not agree, findings: 2 (shop)",
  },
  {
    alert: "DoneOutside",
    at: "5m",
    ...one(`ordermesh_verify_outside_operations{${shop}, job="verify"}`, "1x5", "0x5"),
    summary: "Done at the card gateway without us within a week: 1 (shop)",
  },
  {
    alert: "BooksUnchecked",
    at: "1600m",
    ...one(`ordermesh_verify_last_run_timestamp_seconds{${shop}, job="verify"}`, "0x1600", "0x700 42000x900"),
    summary: "Stock and money were last compared 1d 2h 40m 0s ago (shop)",
  },
];

/** Examples for the alerts on our own sight. */
const telemetry: readonly Example[] = [
  {
    alert: "SpansLost",
    at: "30m",
    ...one(`telemetry_spans_total{${ofService("orders")}, outcome="dropped"}`, "0+10x30", "500x30"),
    labels: { service: "orders" },
    summary: "orders lost 100 spans in ten minutes (shop)",
  },
  {
    alert: "LogLagging",
    at: "10m",
    ...one(`log_lag_bytes{${ofService("orders")}}`, "2097152x10", "2097152x3 0x10"),
    labels: { service: "orders", instance: "orders-1:8080" },
    summary: "2MiB of log lines wait in orders at orders-1:8080",
  },
  {
    alert: "LogLinesDropped",
    at: "15m",
    ...one(`log_lines_dropped_total{${ofService("orders")}}`, "0+1x15", "8x15"),
    labels: { service: "orders" },
    summary: "orders dropped 10 log lines in ten minutes (shop)",
  },
  {
    alert: "RulesFailing",
    at: "15m",
    ...one(`prometheus_rule_evaluation_failures_total{${ofService("prometheus")}, rule_group="x"}`, "0+1x15", "3x15"),
    summary: "10 evaluations of rules failed in ten minutes (shop)",
  },
  {
    alert: "NotificationsFailing",
    at: "20m",
    ...one(
      `alertmanager_notifications_failed_total{${ofService("alertmanager")}, integration="slack"}`,
      "0+1x20",
      "4x20",
    ),
    summary: "10 notifications were not delivered in ten minutes (shop)",
  },
];

/** Examples for the alerts on causes, which wake nobody. */
export const causeExamples: readonly Example[] = [...standingStill, ...processes, ...telemetry];
