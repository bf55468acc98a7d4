import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { isDecided, orderStatuses } from "./order.ts";

/** What the orders service counts. */
export interface OrderMetrics {
  readonly created: Counter;
  /** Orders in one insert, which is what one workflow carries. */
  readonly batchSize: Histogram;
  readonly transitions: Counter<"status">;
  /** From the order's creation until the saga's first answer, or its end. */
  readonly processing: Histogram<"status">;
  /** Starts of sagas, by what the worker answered. */
  readonly dispatches: Counter<"outcome">;
  readonly outboxLag: Gauge;
  readonly oldestPending: Gauge;
  readonly watchers: Gauge;
}

/** Registers the metrics of one process. */
export function createOrderMetrics(registry: Registry): OrderMetrics {
  const registers = [registry];
  const { transitions, processing } = byStatus(registers);
  return {
    created: new Counter({ name: "orders_created_total", help: "Orders that became durable.", registers }),
    batchSize: new Histogram({
      name: "orders_list_size",
      help: "Orders that were inserted by one statement and share a saga.",
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    }),
    transitions,
    processing,
    dispatches: new Counter({
      name: "orders_dispatches_total",
      help: "Starts of sagas, by outcome: acknowledged, failed, refused, deferred.",
      labelNames: ["outcome"],
      registers,
    }),
    outboxLag: new Gauge({
      name: "orders_outbox_lag_seconds",
      help: "Age of the oldest order whose saga was not acknowledged; 0 when there is none.",
      registers,
    }),
    oldestPending: new Gauge({
      name: "orders_oldest_pending_seconds",
      help: "Age of the oldest order that is neither confirmed nor refused; 0 when there is none.",
      registers,
    }),
    watchers: new Gauge({ name: "orders_watchers", help: "Callers that follow an order now.", registers }),
  };
}

/** What has a status begins at 0: of a series that appears with a value, Prometheus counts only what comes after it. */
function byStatus(registers: Registry[]) {
  const transitions = new Counter({
    name: "orders_transitions_total",
    help: "Moves of orders, by the new status.",
    labelNames: ["status"],
    registers,
  });
  const processing = new Histogram({
    name: "orders_processing_seconds",
    help: "Time from an order's creation to a status.",
    labelNames: ["status"],
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 3600, 86400],
    registers,
  });
  for (const status of orderStatuses.filter(isDecided)) {
    transitions.inc({ status }, 0);
    processing.zero({ status });
  }
  return { transitions, processing };
}
