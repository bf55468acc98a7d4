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
          queries: [[`sum(namespace:parked_steps:sum{${scope}})`, "parked"]],
        }),
        figure({
          title: "Orders that wait for a service",
          description: "They are carried again until it is back. Runbook: service-away-for-orders.",
          unit: "short",
          queries: [[`sum(max by (namespace, waits_for) (orders_waiting{${scope}}))`, "orders"]],
        }),
        figure({
          title: "Orders that do not get on",
          description: "Unchanged for longer than their status allows. Runbook: orders-stalled.",
          unit: "short",
          bad: 1,
          queries: [[`sum(max by (namespace, status) (orders_stalled{${scope}}))`, "orders"]],
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
      title: "Episodes",
      panels: [
        lines({
          title: "Events that wait to be carried, the oldest",
          description:
            "How long something that happened to an order waits, and how long a start waits for the worker. Runbook: events-lagging.",
          unit: "s",
          bad: 30,
          queries: [
            [`max by (service) (orders_oldest_due_event_seconds{${scope}})`, "{{service}} event"],
            [`max by (service) (orders_outbox_lag_seconds{${scope}})`, "{{service}} new order or start"],
          ],
        }),
        lines({
          title: "Events that wait to be carried",
          description: "What happened to orders and is in no episode yet.",
          unit: "short",
          queries: [[`max by (service) (orders_due_events{${scope}})`, "{{service}}"]],
        }),
        lines({
          title: "Starts of episodes, by outcome",
          description: "Anything but acknowledged is repeated; what is refused for good is taken apart.",
          unit: "short",
          queries: [
            [
              `sum by (service, outcome) (rate(orders_dispatches_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Orders in one episode, and in one insert",
          description:
            "How many orders are carried by one workflow, and inserted together, on average. More under load.",
          unit: "short",
          queries: [
            [
              `sum(rate(orders_episode_size_sum{${scope}}[$__rate_interval])) / sum(rate(orders_episode_size_count{${scope}}[$__rate_interval]))`,
              "episode",
            ],
            [
              `sum(rate(orders_list_size_sum{${scope}}[$__rate_interval])) / sum(rate(orders_list_size_count{${scope}}[$__rate_interval]))`,
              "insert",
            ],
          ],
        }),
        lines({
          title: "Orders that wait for a service",
          description: "By whom they wait for. A few for seconds are usual. Runbook: service-away-for-orders.",
          unit: "short",
          queries: [[`max by (waits_for) (orders_waiting{${scope}})`, "{{waits_for}}"]],
        }),
        lines({
          title: "Orders that wait for a service, the oldest",
          description: "By whom it waits for. Above a minute the service is away. Runbook: service-away-for-orders.",
          unit: "s",
          bad: 60,
          queries: [[`max by (waits_for) (orders_oldest_waiting_seconds{${scope}})`, "{{waits_for}}"]],
        }),
        lines({
          title: "Orders that do not get on, by status",
          description: "Unchanged for longer than their status allows, and nothing says why. Runbook: orders-stalled.",
          unit: "short",
          bad: 1,
          queries: [[`max by (status) (orders_stalled{${scope}})`, "{{status}}"]],
        }),
        lines({
          title: "Orders given back",
          description: "Orders a second whose workflow was lost; they are carried anew. Runbook: workflows-lost.",
          unit: "short",
          queries: [
            [`sum by (service) (rate(orders_given_back_total{${scope}}[$__rate_interval]))`, "{{service}} given back"],
            [
              `sum by (service) (rate(saga_orders_over_total{${scope}}[$__rate_interval]))`,
              "{{service}} settled by a workflow that was given up",
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
