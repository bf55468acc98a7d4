import { dashboard, figure, lines, scope } from "./parts.ts";

/** Payments, stock and parcels. */
export const moneyAndStock = dashboard({
  uid: "ordermesh-money-and-stock",
  title: "Ordermesh · Payments, stock and parcels",
  description: "What the gateway decides, what moves on the shelves, what the carriers do.",
  rows: [
    {
      title: "Now",
      panels: [
        figure({
          title: "Authorizations refused (15 min)",
          description: "Share of decided authorizations. Runbooks: payments-mostly-refused, payment-refusals-unusual.",
          unit: "percentunit",
          bad: 0.6,
          queries: [[`namespace:payments_authorizations_refused:ratio_rate15m{${scope}}`, "{{namespace}}"]],
        }),
        figure({
          title: "Undecided operations",
          description: "Sent to the gateway, answer unknown. Runbook: payments-undecided.",
          unit: "short",
          queries: [[`max(payments_undecided_operations{${scope}})`, "undecided"]],
        }),
        figure({
          title: "Refunds that wait",
          description: "For a second person. Runbook: refunds-unapproved.",
          unit: "short",
          queries: [[`max(payments_refund_requests_waiting{${scope}})`, "waiting"]],
        }),
        figure({
          title: "Low stock levels",
          description: "Levels at or below LOW_STOCK_THRESHOLD. Runbook: stock-low.",
          unit: "short",
          bad: 1,
          queries: [[`max(inventory_low_stock_levels{${scope}})`, "levels"]],
        }),
        figure({
          title: "Findings of the last verification",
          description: "What did not agree between orders, money and stock. Runbook: books-unbalanced.",
          unit: "short",
          bad: 1,
          queries: [[`max(ordermesh_verify_findings{${scope}})`, "findings"]],
        }),
      ],
    },
    {
      title: "Payments",
      panels: [
        lines({
          title: "Operations, by kind and outcome",
          description: "Operations a second that the gateway decided.",
          unit: "short",
          queries: [
            [
              `sum by (kind, outcome) (namespace_kind_outcome:payments_operations:rate5m{${scope}})`,
              "{{kind}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Gateway, 99th percentile",
          description: "How long the gateway takes. The points are single calls; a click leads to their traces.",
          unit: "s",
          exemplars: true,
          queries: [
            [
              `histogram_quantile(0.99, sum by (service, kind, le) (rate(payments_gateway_duration_seconds_bucket{${scope}}[$__rate_interval])))`,
              "{{service}} {{kind}}",
            ],
          ],
        }),
        lines({
          title: "Calls to connectors, by outcome",
          description: "Calls a second. Held back: not made, since nobody answers. Runbook: connector-away.",
          unit: "short",
          queries: [
            [
              `sum by (service, connector, outcome) (rate(connector_calls_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{connector}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Connectors that do not answer",
          description: "1 while nothing is sent but one call from time to time. Runbook: connector-away.",
          unit: "short",
          bad: 1,
          queries: [
            [
              `max by (service, connector) (connector_breaker_state{state!="closed", ${scope}})`,
              "{{service}} {{connector}}",
            ],
          ],
        }),
        lines({
          title: "Oldest undecided operation",
          description: "Age. Runbook: payments-undecided.",
          unit: "s",
          bad: 600,
          queries: [[`max by (service) (payments_undecided_age_seconds{${scope}})`, "{{service}}"]],
        }),
        lines({
          title: "Audit stream",
          description: "How far what is shipped of the audit log is behind the database.",
          unit: "s",
          bad: 300,
          queries: [[`max by (service) (audit_publish_lag_seconds{${scope}})`, "{{service}}"]],
        }),
        lines({
          title: "Events",
          description: "How late subscribers hear of what happens. Runbook: events-late.",
          unit: "s",
          bad: 300,
          queries: [[`max by (service) (events_lag_seconds{${scope}})`, "{{service}}"]],
        }),
        lines({
          title: "Customers who wait to be told",
          description: "How long the oldest of what they are to be told waits. Runbook: customers-told-late.",
          unit: "s",
          bad: 900,
          queries: [[`max(notifications_pending_age_seconds{${scope}})`, "oldest"]],
        }),
        lines({
          title: "Notifications",
          description: "What customers were told, and what not. Runbook: customers-not-told.",
          unit: "short",
          queries: [[`sum by (outcome) (increase(notifications_total{${scope}}[$__rate_interval]))`, "{{outcome}}"]],
        }),
        lines({
          title: "Mails to people who log in",
          description: "Tokens for passwords, and notices, by what became of them. Runbook: people-not-mailed.",
          unit: "short",
          queries: [[`sum by (outcome) (increase(identity_mails_total{${scope}}[$__rate_interval]))`, "{{outcome}}"]],
        }),
        lines({
          title: "Webhooks",
          description:
            "Requests to endpoints a second, by outcome. Runbooks: webhooks-late, webhook-endpoint-disabled.",
          unit: "short",
          queries: [[`sum by (outcome) (rate(webhooks_attempts_total{${scope}}[5m]))`, "{{outcome}}"]],
        }),
        lines({
          title: "Webhooks that are due",
          description: "Age of the oldest delivery that is due to an endpoint. Runbook: webhooks-late.",
          unit: "s",
          bad: 300,
          queries: [[`max(webhooks_due_age_seconds{${scope}})`, "oldest"]],
        }),
      ],
    },
    {
      title: "Stock",
      panels: [
        lines({
          title: "Movements, by kind",
          description: "Changes of levels a second; one for each row of the stock ledger.",
          unit: "short",
          queries: [[`sum by (kind) (namespace_kind:inventory_stock_movements:rate5m{${scope}})`, "{{kind}}"]],
        }),
        lines({
          title: "Commands, by kind and outcome",
          description: "OUT_OF_STOCK here are customers who did not get what they wanted.",
          unit: "short",
          queries: [
            [
              `sum by (service, kind, outcome) (rate(inventory_stock_commands_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{kind}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Holds that ended by themselves",
          description: "Orders that were not carried on in time. Should be 0.",
          unit: "short",
          queries: [
            [`sum by (service) (rate(inventory_expired_holds_total{${scope}}[$__rate_interval]))`, "{{service}}"],
          ],
        }),
      ],
    },
    {
      title: "Parcels",
      panels: [
        lines({
          title: "Shipments, by new status",
          description: "Shipments a second that reach a status.",
          unit: "short",
          queries: [
            [
              `sum by (service, status) (rate(shipping_shipments_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{status}}",
            ],
          ],
        }),
        lines({
          title: "News that orders is told, by outcome",
          description: "Refused is put aside and never heard. Runbook: shipment-news-refused.",
          unit: "short",
          queries: [
            [
              `sum by (service, news, outcome) (rate(shipping_news_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{news}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "What waits, the oldest",
          description: "To be packed, booked, or told to orders (shipment.news). Runbook: shipment-news-lagging.",
          unit: "s",
          bad: 60,
          queries: [[`max by (service, relay) (shipping_relay_lag_seconds{${scope}})`, "{{service}} {{relay}}"]],
        }),
        lines({
          title: "Silent parcels that the carrier was asked about",
          description:
            "In a day, by what came of it. Ended and reported: reports were lost. Runbooks: shipments-unaccounted, shipment-look-overdue.",
          unit: "short",
          queries: [
            [`sum by (service, outcome) (increase(shipping_looks_total{${scope}}[1d]))`, "{{service}} {{outcome}}"],
          ],
        }),
        lines({
          title: "Carrier, 99th percentile",
          description: "How long carriers take to answer.",
          unit: "s",
          exemplars: true,
          queries: [
            [
              `histogram_quantile(0.99, sum by (service, call, le) (rate(shipping_carrier_duration_seconds_bucket{${scope}}[$__rate_interval])))`,
              "{{service}} {{call}}",
            ],
          ],
        }),
        lines({
          title: "Time of a shipment, by outcome, 95th percentile",
          description: "From its creation.",
          unit: "s",
          queries: [
            [
              `histogram_quantile(0.95, sum by (service, outcome, le) (rate(shipping_seconds_bucket{${scope}}[$__rate_interval])))`,
              "{{service}} {{outcome}}",
            ],
          ],
        }),
      ],
    },
  ],
});
