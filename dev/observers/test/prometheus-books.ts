import { type AccountedService, accountedServices } from "../../../services/services.ts";

/** A business number as Prometheus has it and as a database has it, by label. */
export interface Account {
  readonly what: string;
  readonly promql: string;
  /** The label whose values `key` are; "" when there is one number alone. */
  readonly label: string;
  readonly database: AccountedService;
  /** Gives `key` and `value`. */
  readonly sql: string;
}

/** Everything that is counted and written down as well. */
export const accounts: readonly Account[] = [
  {
    what: "orders created",
    promql: "sum(orders_created_total)",
    label: "",
    database: "orders",
    sql: "select '' as key, count(*) as value from customer_order",
  },
  {
    what: "moves of orders, by status",
    promql: "sum by (status) (orders_transitions_total)",
    label: "status",
    database: "orders",
    sql: `select event->>'status' as key, count(*) as value from customer_order, jsonb_array_elements(history) event
      where event->>'status' <> 'pending' group by 1`,
  },
  {
    what: "orders whose time to confirmation was measured",
    promql: 'sum(orders_processing_seconds_count{status="confirmed"})',
    label: "",
    database: "orders",
    sql: `select '' as key, count(*) as value from customer_order
      where history @> '[{"status": "confirmed"}]'`,
  },
  // A void where nothing was ever held is noted, but the gateway is not asked.
  ...(["authorize", "capture", "void", "refund"] as const).map(
    (kind): Account => ({
      what: `${kind} operations, by outcome`,
      promql: `sum by (outcome) (payments_operations_total{kind="${kind}"})`,
      label: "outcome",
      database: "payments",
      sql: `select state as key, count(*) as value from payment_operation
        where kind = '${kind}' and state in ('succeeded', 'refused') and amount > 0 group by 1`,
    }),
  ),
  ...Object.entries({ authorize: "authorization", capture: "capture", refund: "refund" }).map(
    ([kind, entry]): Account => ({
      what: `money of the ledger's ${entry} entries, by currency`,
      promql: `sum by (currency) (payments_amount_total{kind="${kind}"})`,
      label: "currency",
      database: "payments",
      sql: `select currency as key, sum(amount) as value from ledger_entry where kind = '${entry}' group by 1`,
    }),
  ),
  {
    what: "stock movements, by kind",
    promql: "sum by (kind) (inventory_stock_movements_total)",
    label: "kind",
    database: "inventory",
    sql: "select kind as key, count(*) as value from stock_movement group by 1",
  },
  {
    what: "shipments that ended, by status",
    promql: 'sum by (status) (shipping_shipments_total{status=~"DELIVERED|FAILED|LOST|CANCELLED"})',
    label: "status",
    database: "shipping",
    sql: `select upper(status) as key, count(*) as value from shipment
      where status in ('delivered', 'failed', 'lost', 'cancelled') group by 1`,
  },
  ...accountedServices.map(
    (service): Account => ({
      what: `audit events of ${service}, by action`,
      promql: `sum by (action) (audit_events_total{service="${service}"})`,
      label: "action",
      database: service,
      sql: "select action as key, count(*) as value from audit_event group by 1",
    }),
  ),
];
