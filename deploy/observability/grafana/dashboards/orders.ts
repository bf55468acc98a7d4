import { dashboard, figure, lines, scope } from "./parts.ts";

/** What becomes of orders. */
export const orders = dashboard({
  uid: "ordermesh-orders",
  title: "Ordermesh · Orders",
  description: "How many orders come, how fast they are confirmed, and what becomes of them.",
  rows: [
    {
      title: "Now",
      panels: [
        figure({
          title: "Orders a minute",
          description: "Orders that became durable, over five minutes.",
          unit: "short",
          queries: [[`60 * sum(namespace:orders_created:rate5m{${scope}})`, "orders"]],
        }),
        figure({
          title: "Not confirmed within 5 s (6 h)",
          description: "Promised: at most 0.1 %. Refusals within 5 s count as answers.",
          unit: "percentunit",
          bad: 0.001,
          queries: [[`namespace:orders_unconfirmed:ratio_rate6h{${scope}}`, "{{namespace}}"]],
        }),
        figure({
          title: "Oldest pending order",
          description: "Age of the oldest order without an answer. Runbook: order-pending-too-long.",
          unit: "s",
          bad: 300,
          queries: [[`max(orders_oldest_pending_seconds{${scope}})`, "age"]],
        }),
        figure({
          title: "Steps that wait for an operator",
          description: "Parked steps. Runbook: steps-parked.",
          unit: "short",
          bad: 1,
          queries: [[`max(saga_parked_steps{${scope}})`, "parked"]],
        }),
      ],
    },
    {
      title: "Flow",
      panels: [
        lines({
          title: "Orders, today and yesterday",
          description: "Orders in half an hour. Far from yesterday's line is unusual. Runbook: order-rate-unusual.",
          unit: "short",
          queries: [
            [`sum(namespace:orders_created:increase30m{${scope}})`, "today"],
            [`sum(namespace:orders_created:increase30m{${scope}} offset 1d)`, "yesterday"],
          ],
        }),
        lines({
          title: "Moves, by new status",
          description: "Orders a second that reach a status.",
          unit: "short",
          queries: [[`sum by (status) (namespace_status:orders_transitions:rate5m{${scope}})`, "{{status}}"]],
        }),
        lines({
          title: "Time to a status, 99th percentile",
          description: "From an order's creation. The points are single orders; a click leads to their traces.",
          unit: "s",
          exemplars: true,
          queries: [
            [
              `histogram_quantile(0.99, sum by (status, le) (rate(orders_processing_seconds_bucket{${scope}}[$__rate_interval])))`,
              "{{status}}",
            ],
          ],
        }),
        lines({
          title: "Time to confirmation",
          description: "Half, 95 % and 99 % of orders are confirmed within this time. Promised: 99.9 % within 5 s.",
          unit: "s",
          bad: 5,
          queries: ([0.5, 0.95, 0.99] as const).map((quantile) => [
            `histogram_quantile(${quantile}, sum by (le) (rate(orders_processing_seconds_bucket{${scope}, status="confirmed"}[$__rate_interval])))`,
            `${quantile * 100} %`,
          ]),
        }),
      ],
    },
    {
      title: "Hand-over to the saga",
      panels: [
        lines({
          title: "Age of the oldest order without a saga",
          description: "0 when there is none. Runbook: outbox-lagging.",
          unit: "s",
          bad: 30,
          queries: [[`max by (service) (orders_outbox_lag_seconds{${scope}})`, "{{service}}"]],
        }),
        lines({
          title: "Starts of sagas, by outcome",
          description: "Anything but acknowledged is repeated or given up.",
          unit: "short",
          queries: [
            [
              `sum by (service, outcome) (rate(orders_dispatches_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Orders in one saga",
          description: "How many orders were inserted together, on average. More under load.",
          unit: "short",
          queries: [
            [
              `sum(rate(orders_list_size_sum{${scope}}[$__rate_interval])) / sum(rate(orders_list_size_count{${scope}}[$__rate_interval]))`,
              "orders",
            ],
          ],
        }),
        lines({
          title: "Callers that follow an order",
          description: "Open WatchOrder streams.",
          unit: "short",
          queries: [[`sum by (service) (orders_watchers{${scope}})`, "{{service}}"]],
        }),
      ],
    },
  ],
});
