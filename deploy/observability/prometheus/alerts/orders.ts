import type { RuleGroup } from "./rule.ts";

/** Whether customers order, and get what they ordered. */
export const orderAlerts: RuleGroup = {
  name: "ordermesh-orders",
  rules: [
    {
      alert: "OrdersUnreachable",
      severity: "page",
      // A namespace that never had orders is not missed; one that had some within the day is, however long it lasts.
      expr: `max by (namespace) (max_over_time(up{service="orders"}[1d])) == 1
        unless on (namespace) max by (namespace) (up{service="orders"}) == 1`,
      lasts: "2m",
      labels: { service: "orders" },
      summary: "No process of orders answers in {{ $labels.namespace }}",
      description: "Customers cannot place orders or see them. Orders that are under way go on.",
    },
    {
      alert: "OrderRateCollapsed",
      severity: "page",
      expr: `namespace:orders_created:increase30m < 0.1 * (namespace:orders_created:increase30m offset 1d)
        and (namespace:orders_created:increase30m offset 1d) >= 50`,
      lasts: "10m",
      labels: { service: "orders" },
      summary:
        "{{ $value | humanize }} orders in half an hour ({{ $labels.namespace }}), less than a tenth of yesterday's",
      description: "Orders do not reach us. What stands between customers and us is broken, or refuses them.",
    },
    {
      alert: "OrderRateUnusual",
      severity: "ticket",
      expr: `(namespace:orders_created:increase30m < 0.5 * (namespace:orders_created:increase30m offset 1d)
        or namespace:orders_created:increase30m > 3 * (namespace:orders_created:increase30m offset 1d))
        and (namespace:orders_created:increase30m offset 1d) >= 50`,
      lasts: "30m",
      labels: { service: "orders" },
      summary: "{{ $value | humanize }} orders in half an hour ({{ $labels.namespace }}), not what yesterday had",
      description: "Fewer than half or more than three times as many orders as yesterday at this time.",
    },
    {
      alert: "OrderPendingTooLong",
      severity: "ticket",
      expr: "max by (namespace) (orders_oldest_pending_seconds) > 300",
      lasts: "2m",
      labels: { service: "orders" },
      summary: "An order has been pending for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description: "At least one customer waits for an answer to an order; 5 s are promised.",
    },
    {
      alert: "OutboxLagging",
      severity: "ticket",
      expr: "max by (namespace) (orders_outbox_lag_seconds) > 30",
      lasts: "2m",
      labels: { service: "orders" },
      summary: "An order waits for its saga since {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description: "Orders are accepted, but the worker does not take them over: they stay pending.",
    },
    {
      alert: "StockLow",
      severity: "ticket",
      expr: "max by (namespace) (inventory_low_stock_levels) > 0",
      lasts: "15m",
      labels: { service: "inventory" },
      summary: "Stock levels that are low: {{ $value }} ({{ $labels.namespace }})",
      description: "Soon orders for these articles will be refused as out of stock.",
    },
  ],
};

/** Whether money moves as it should. */
export const paymentAlerts: RuleGroup = {
  name: "ordermesh-payments",
  rules: [
    {
      alert: "PaymentsMostlyRefused",
      severity: "page",
      expr: `namespace:payments_authorizations_refused:ratio_rate15m > 0.6
        and namespace:payments_authorizations:increase15m >= 20`,
      lasts: "5m",
      labels: { service: "payments" },
      summary: "{{ $value | humanizePercentage }} of authorizations are refused ({{ $labels.namespace }})",
      description:
        "Most customers cannot pay. So many cards are not bad at once: the gateway or our account with it is.",
    },
    {
      alert: "PaymentRefusalsUnusual",
      severity: "ticket",
      expr: `namespace:payments_authorizations_refused:ratio_rate15m > 0.1
        and namespace:payments_authorizations_refused:ratio_rate15m
          > 3 * avg_over_time(namespace:payments_authorizations_refused:ratio_rate15m[1d] offset 1h)
        and namespace:payments_authorizations:increase15m >= 20`,
      lasts: "15m",
      labels: { service: "payments" },
      summary: "{{ $value | humanizePercentage }} of authorizations are refused ({{ $labels.namespace }})",
      description: "More than three times as many customers as on the day before are told that their card is declined.",
    },
    {
      alert: "PaymentsUndecided",
      severity: "ticket",
      expr: "max by (namespace) (payments_undecided_age_seconds) > 600",
      lasts: "1m",
      labels: { service: "payments" },
      summary: "The gateway has not decided on a payment for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description: "Nobody knows whether customers' money is held, charged or returned. Their orders wait for it.",
    },
  ],
};
