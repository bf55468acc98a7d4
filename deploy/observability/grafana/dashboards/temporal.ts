import { dashboard, figure, lines, scope } from "./parts.ts";

/** The saga and the worker that runs it. */
export const temporal = dashboard({
  uid: "ordermesh-temporal",
  title: "Ordermesh · Sagas and Temporal",
  description: "Steps of the sagas, what holds them up, and how the worker keeps up with Temporal.",
  rows: [
    {
      title: "Now",
      panels: [
        figure({
          title: "Parked steps",
          description: "They wait for an operator. Runbook: steps-parked.",
          unit: "short",
          bad: 1,
          queries: [[`sum(namespace:parked_steps:sum{${scope}})`, "parked"]],
        }),
        figure({
          title: "Oldest pending order",
          description: "Age of the oldest order without an answer. Runbook: order-pending-too-long.",
          unit: "s",
          bad: 300,
          queries: [[`max(orders_oldest_pending_seconds{${scope}})`, "age"]],
        }),
        figure({
          title: "Workers",
          description: "Worker processes that answer.",
          unit: "short",
          queries: [[`sum(namespace_service:targets_up:count{${scope}, service="worker"})`, "workers"]],
        }),
      ],
    },
    {
      title: "Steps",
      panels: [
        lines({
          title: "Steps, by outcome",
          description: "Steps a second. Refused is a business answer; failed is repeated.",
          unit: "short",
          queries: [
            [
              `sum by (service, step, outcome) (rate(saga_steps_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{step}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Steps, 99th percentile",
          description: "How long a step takes, repetitions left out.",
          unit: "s",
          queries: [
            [
              `histogram_quantile(0.99, sum by (service, step, le) (rate(saga_step_duration_seconds_bucket{${scope}}[$__rate_interval])))`,
              "{{service}} {{step}}",
            ],
          ],
        }),
        lines({
          title: "Parked steps, by step",
          description:
            "Orders that rest until an operator decides; without a step: in workflows of the kind before episodes. Runbook: steps-parked.",
          unit: "short",
          bad: 1,
          queries: [
            [`max by (step) (orders_parked{${scope}})`, "{{step}}"],
            [`max(saga_parked_steps{${scope}})`, "in workflows"],
          ],
        }),
        lines({
          title: "Parked steps, the oldest",
          description: "How long the oldest order waits for an operator, by step.",
          unit: "s",
          queries: [[`max by (step) (orders_oldest_parked_seconds{${scope}})`, "{{step}}"]],
        }),
        lines({
          title: "Orders, by stage",
          description: "Orders a second that reach a stage of the saga.",
          unit: "short",
          queries: [
            [`sum by (service, stage) (rate(saga_orders_total{${scope}}[$__rate_interval]))`, "{{service}} {{stage}}"],
          ],
        }),
      ],
    },
    {
      title: "Worker",
      panels: [
        lines({
          title: "Workflow tasks wait, 95th percentile",
          description:
            "How long a task waits for a worker, those left out that come with the start of an episode. Above 1 s there are too few workers. Runbook: worker-saturated.",
          unit: "s",
          bad: 1,
          queries: [
            [
              `histogram_quantile(0.95, sum by (service, le) (rate(temporal_workflow_task_schedule_to_start_latency_seconds_bucket{${scope}}[$__rate_interval])))`,
              "{{service}}",
            ],
          ],
        }),
        lines({
          title: "Workflow tasks take, 95th percentile",
          description: "Our own code between two waits.",
          unit: "s",
          queries: [
            [
              `histogram_quantile(0.95, sum by (service, le) (rate(temporal_workflow_task_execution_latency_seconds_bucket{${scope}}[$__rate_interval])))`,
              "{{service}}",
            ],
          ],
        }),
        lines({
          title: "Free slots",
          description: "How many more tasks the worker would take at once, by kind.",
          unit: "short",
          queries: [
            [
              `sum by (service, worker_type) (temporal_worker_task_slots_available{${scope}})`,
              "{{service}} {{worker_type}}",
            ],
          ],
        }),
        lines({
          title: "Workflows a second",
          description: "Episodes that ended, and failed ones, which there should never be. Runbook: workflows-failing.",
          unit: "short",
          queries: [
            [
              `sum by (service) (rate(temporal_workflow_completed_total{${scope}}[$__rate_interval]))`,
              "{{service}} completed",
            ],
            [
              `sum by (service) (rate(temporal_workflow_failed_total{${scope}}[$__rate_interval]))`,
              "{{service}} failed",
            ],
          ],
        }),
        lines({
          title: "Cached workflows",
          description:
            "Workflows that the worker keeps in memory: the episodes of the moment, and those of the kind before. One that is not there is replayed.",
          unit: "short",
          queries: [[`sum by (service) (temporal_sticky_cache_size{${scope}})`, "{{service}}"]],
        }),
        lines({
          title: "Calls to Temporal, by operation",
          description: "Calls a second, and those that failed.",
          unit: "reqps",
          queries: [
            [
              `sum by (service, operation) (rate(temporal_request_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{operation}}",
            ],
            [
              `sum by (service, operation) (rate(temporal_request_failure_total{${scope}}[$__rate_interval]))`,
              "{{service}} {{operation}} failed",
            ],
          ],
        }),
      ],
    },
  ],
});
