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
      alert: "ReviewsWaiting",
      severity: "ticket",
      expr: "max by (namespace) (orders_oldest_review_seconds) > 4 * 3600",
      lasts: "5m",
      labels: { service: "orders" },
      summary: "An order has been under review for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "A customer waits for a person to decide whether the order goes on. After three days it is rejected.",
    },
    {
      alert: "BackOrdersOld",
      severity: "ticket",
      expr: "max by (namespace) (orders_oldest_back_order_seconds) > 14 * 86400",
      lasts: "5m",
      labels: { service: "orders" },
      summary: "An order has waited for stock for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "A customer waits for an article that does not come, and everybody who came later waits behind. After 90 days the order is rejected.",
    },
    {
      alert: "ReturnsUnfinished",
      severity: "ticket",
      expr: "max by (namespace) (orders_oldest_received_return_seconds) > 3600",
      lasts: "5m",
      labels: { service: "orders" },
      summary: "What came back has waited for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description: "A customer has sent something back and is not paid, or what came is not on its shelf.",
    },
    {
      alert: "ReturnsUnlabelled",
      severity: "ticket",
      expr: "max by (namespace) (orders_oldest_refused_label_seconds) > 4 * 3600",
      lasts: "5m",
      labels: { service: "orders" },
      summary: "A return has waited for a label for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "A customer wants to send something back, was told that it may, and has nothing to send it with: the carrier has made no label.",
    },
    {
      alert: "OrdersStalled",
      severity: "ticket",
      expr: "max by (namespace, status) (orders_stalled) > 0",
      lasts: "5m",
      labels: { service: "orders" },
      summary: "Orders that are {{ $labels.status }} for too long: {{ $value }} ({{ $labels.namespace }})",
      description:
        "Nothing happens to these orders any more, and nothing says why: their customers wait for what nobody does.",
    },
    {
      alert: "ServiceAwayForOrders",
      severity: "ticket",
      // One alert for each that is away, however many orders wait; it goes with what else that service suffers from.
      expr: `label_replace(max by (namespace, waits_for) (orders_oldest_waiting_seconds) > 60,
        "service", "$1", "waits_for", "(.+)")`,
      lasts: "1m",
      summary:
        "Orders wait for {{ $labels.waits_for }} since {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "It does not answer for at least one order, and the orders that need it rest. They are carried again until it does.",
    },
    {
      alert: "EventsLagging",
      severity: "ticket",
      expr: `max by (namespace) (orders_oldest_due_event_seconds) > 30
        or max by (namespace) (orders_outbox_lag_seconds) > 30`,
      lasts: "2m",
      labels: { service: "orders" },
      summary: "What happened to an order waits since {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "Orders are accepted, parcels are packed and arrive, but no episode begins: orders stay as they are meanwhile.",
    },
    {
      alert: "ShipmentNewsLagging",
      severity: "ticket",
      expr: 'max by (namespace) (shipping_relay_lag_seconds{relay="shipment.news"}) > 60',
      lasts: "2m",
      labels: { service: "shipping" },
      summary:
        "Orders has not heard what became of a parcel since {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description: "Parcels are packed and arrive, but their orders do not know it: the next step is not taken.",
    },
    {
      alert: "ShipmentNewsRefused",
      severity: "ticket",
      expr: 'sum by (namespace, news) (increase(shipping_news_total{outcome="refused"}[10m])) > 0',
      lasts: "0m",
      labels: { service: "shipping" },
      summary:
        "Orders refused news of parcels ({{ $labels.news }}) in ten minutes: {{ $value | humanize }} ({{ $labels.namespace }})",
      description: "What is refused is not told again: the order of that parcel waits for news that it never hears.",
    },
    {
      alert: "ShipmentLookOverdue",
      severity: "ticket",
      // Once a day, and again within the hour when it came to nothing.
      expr: "max by (namespace) (shipping_look_age_seconds) > 2 * 86400",
      lasts: "10m",
      labels: { service: "shipping" },
      summary: "Nobody has looked at silent parcels for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "Where a report of the carrier was lost, an order stays SHIPPED though its parcel has arrived, or is lost.",
    },
    {
      alert: "ShipmentsUnaccounted",
      severity: "ticket",
      // From one daily look to the next.
      expr: 'sum by (namespace, outcome) (increase(shipping_looks_total{outcome=~"unknown|overdue"}[26h])) > 0.5',
      lasts: "0m",
      labels: { service: "shipping" },
      summary:
        "Parcels that are {{ $labels.outcome }} to the carrier: {{ $value | humanize }} ({{ $labels.namespace }})",
      description:
        "The carrier has taken these parcels and cannot say what became of them: their customers wait, and will not be told.",
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
    {
      alert: "GatewayEvents",
      severity: "ticket",
      expr: "max by (namespace, kind) (payments_gateway_events_recent) > 0",
      lasts: "0m",
      labels: { service: "payments" },
      summary:
        "The gateway told of {{ $value | humanize }} {{ $labels.kind }} in an hour that nobody asked for ({{ $labels.namespace }})",
      description:
        "A refund has not reached its customer, a hold is gone before its parcel left, or a customer's bank wants money back.",
    },
    {
      alert: "DisputesDue",
      severity: "ticket",
      expr: "max by (namespace) (payments_disputes_due) > 0",
      lasts: "0m",
      labels: { service: "payments" },
      summary: "Disputes that have to be answered within three days: {{ $value | humanize }} ({{ $labels.namespace }})",
      description: "A dispute that nobody answers in time is lost, and the money with it.",
    },
    {
      alert: "RefundsUnapproved",
      severity: "ticket",
      expr: "max by (namespace) (payments_refund_request_age_seconds) > 86400",
      lasts: "5m",
      labels: { service: "payments" },
      summary: "A refund waits for a second person for {{ $value | humanizeDuration }} ({{ $labels.namespace }})",
      description:
        "Somebody asked for a refund that needs another person, and nobody has decided. A customer waits for the money; the request expires.",
    },
  ],
};
