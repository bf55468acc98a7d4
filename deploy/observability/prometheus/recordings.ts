import type { RuleGroup } from "./alerts/rule.ts";
import { faults, watches } from "./slo.ts";

/** Calls by service and method: how many, how many by our fault, how long. */
const calls: RuleGroup = {
  name: "ordermesh-calls",
  rules: [
    {
      record: "namespace_service_rpc:rpc_server_calls:rate5m",
      expr: "sum by (namespace, service, rpc) (rate(rpc_server_duration_seconds_count[5m]))",
    },
    {
      record: "namespace_service_rpc_code:rpc_server_calls:rate5m",
      expr: "sum by (namespace, service, rpc, code) (rate(rpc_server_duration_seconds_count[5m]))",
    },
    {
      record: "namespace_service:rpc_server_faults:increase10m",
      expr: `sum by (namespace, service) (increase(rpc_server_duration_seconds_count{code=~"${faults}", rpc!~"${watches}"}[10m]))
        or 0 * sum by (namespace, service) (increase(rpc_server_duration_seconds_count{rpc!~"${watches}"}[10m]))`,
    },
    {
      record: "namespace_service:rpc_server_faults:ratio_rate10m",
      expr: `(sum by (namespace, service) (rate(rpc_server_duration_seconds_count{code=~"${faults}", rpc!~"${watches}"}[10m]))
        or 0 * sum by (namespace, service) (rate(rpc_server_duration_seconds_count{rpc!~"${watches}"}[10m])))
        / (sum by (namespace, service) (rate(rpc_server_duration_seconds_count{rpc!~"${watches}"}[10m])) > 0)`,
    },
    {
      record: "namespace_service_rpc:rpc_server_duration_seconds:p99_5m",
      expr: `histogram_quantile(0.99, sum by (namespace, service, rpc, le)
        (rate(rpc_server_duration_seconds_bucket{rpc!~"${watches}"}[5m])))`,
    },
    {
      record: "namespace_service_rpc:rpc_server_duration_seconds:p50_5m",
      expr: `histogram_quantile(0.5, sum by (namespace, service, rpc, le)
        (rate(rpc_server_duration_seconds_bucket{rpc!~"${watches}"}[5m])))`,
    },
  ],
};

/** What the business does. */
const business: RuleGroup = {
  name: "ordermesh-business",
  rules: [
    {
      record: "namespace:orders_created:rate5m",
      expr: "sum by (namespace) (rate(orders_created_total[5m]))",
    },
    {
      record: "namespace:orders_created:increase30m",
      expr: "sum by (namespace) (increase(orders_created_total[30m]))",
    },
    {
      record: "namespace_status:orders_transitions:rate5m",
      expr: "sum by (namespace, status) (rate(orders_transitions_total[5m]))",
    },
    {
      record: "namespace_status:orders_processing_seconds:p99_5m",
      expr: "histogram_quantile(0.99, sum by (namespace, status, le) (rate(orders_processing_seconds_bucket[5m])))",
    },
    {
      record: "namespace_kind_outcome:payments_operations:rate5m",
      expr: "sum by (namespace, kind, outcome) (rate(payments_operations_total[5m]))",
    },
    {
      record: "namespace:payments_authorizations:increase15m",
      expr: 'sum by (namespace) (increase(payments_operations_total{kind="authorize"}[15m]))',
    },
    {
      record: "namespace:payments_authorizations_refused:ratio_rate15m",
      expr: `(sum by (namespace) (rate(payments_operations_total{kind="authorize", outcome="refused"}[15m]))
        or 0 * sum by (namespace) (rate(payments_operations_total{kind="authorize"}[15m])))
        / (sum by (namespace) (rate(payments_operations_total{kind="authorize"}[15m])) > 0)`,
    },
    {
      // Orders that rest, and what workflows of the kind before episodes have parked, which no label tells apart.
      record: "namespace:parked_steps:sum",
      expr: "sum by (namespace) (max by (namespace, step) (orders_parked) or max by (namespace) (saga_parked_steps))",
    },
    {
      record: "namespace_kind:inventory_stock_movements:rate5m",
      expr: "sum by (namespace, kind) (rate(inventory_stock_movements_total[5m]))",
    },
  ],
};

/** What carries the business. */
const machinery: RuleGroup = {
  name: "ordermesh-machinery",
  rules: [
    {
      record: "namespace:pg_connections:used_ratio",
      expr: "sum by (namespace, service) (pg_activity_connections) / max by (namespace, service) (pg_server_max_connections)",
    },
    {
      record: "namespace_service:database_pool_connections:busy_ratio",
      expr: `sum by (namespace, service) (database_pool_connections{state="busy"})
        / (sum by (namespace, service) (database_pool_max) > 0)`,
    },
    {
      record: "namespace_service:targets_up:count",
      expr: 'sum by (namespace, service) (up{job=~".*ordermesh.*"})',
    },
  ],
};

/** All series that are computed ahead of time, but for those of the promises. */
export const recordingGroups: readonly RuleGroup[] = [calls, business, machinery];
