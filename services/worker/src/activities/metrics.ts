import { Counter, Histogram, type Registry } from "prom-client";
import { countedStages, stepLabels } from "./step-name.ts";

const outcomes = ["done", "refused", "pending", "failed"] as const;

/** What becomes of one entry of a step's batch. */
export type StepOutcome = (typeof outcomes)[number];

/** What the worker counts of its sagas. Label values come from the code alone. */
export interface SagaMetrics {
  readonly steps: Counter<"step" | "outcome">;
  readonly stepDuration: Histogram<"step">;
  readonly batchSize: Histogram<"step">;
  readonly orders: Counter<"stage">;
  readonly over: Counter;
}

/** Registers the metrics of one process. Counters begin at 0, so that the first event is seen as a rise. */
export function createSagaMetrics(registry: Registry): SagaMetrics {
  const metrics = sagaMetrics([registry]);
  for (const step of stepLabels) for (const outcome of outcomes) metrics.steps.inc({ step, outcome }, 0);
  for (const stage of countedStages) metrics.orders.inc({ stage }, 0);
  return metrics;
}

function sagaMetrics(registers: Registry[]): SagaMetrics {
  return {
    steps: new Counter({
      name: "saga_steps_total",
      help: "Attempts of steps, one for each order or parcel of a list, by what became of it: done, refused, pending, failed.",
      labelNames: ["step", "outcome"],
      registers,
    }),
    stepDuration: new Histogram({
      name: "saga_step_duration_seconds",
      help: "Time of one attempt of a step's list.",
      labelNames: ["step"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 50],
      registers,
    }),
    batchSize: new Histogram({
      name: "saga_lists_size",
      help: "Orders or parcels that one attempt of a step served.",
      labelNames: ["step"],
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    }),
    orders: new Counter({
      name: "saga_orders_total",
      help: "Orders that entered a stage of their saga. An attempt whose answer Temporal never got is counted again.",
      labelNames: ["stage"],
      registers,
    }),
    over: new Counter({
      name: "saga_orders_over_total",
      help: "Orders that an episode could not settle because another one has them: its workflow was given up too early, or woke late.",
      registers,
    }),
  };
}
