import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { isDecided, type OrderStatus, orderStatuses } from "./order.ts";

/** What the orders service counts. */
export interface OrderMetrics {
  readonly created: Counter;
  /** Orders in one insert. */
  readonly batchSize: Histogram;
  readonly transitions: Counter<"status">;
  /** From the order's creation until the saga's first answer, or its end. */
  readonly processing: Histogram<"status">;
  /** Starts of workflows, by what the worker answered. */
  readonly dispatches: Counter<"outcome">;
  readonly outboxLag: Gauge;
  readonly oldestPending: Gauge;
  readonly watchers: Gauge;
  /** Orders that one episode carries. */
  readonly episodeSize: Histogram;
  readonly givenBack: Counter;
  readonly dueEvents: Gauge;
  readonly oldestDueEvent: Gauge;
  readonly parked: Gauge<"step">;
  readonly oldestParked: Gauge<"step">;
  readonly waiting: Gauge<"waits_for">;
  readonly oldestWaiting: Gauge<"waits_for">;
  /** Orders that stay as they are for longer than they may. */
  readonly stalled: Gauge<"status">;
  readonly oldestStalled: Gauge<"status">;
}

const batchBuckets = [1, 2, 4, 8, 16, 32, 64];

/** Registers the metrics of one process. */
export function createOrderMetrics(registry: Registry): OrderMetrics {
  const registers = [registry];
  return {
    created: new Counter({ name: "orders_created_total", help: "Orders that became durable.", registers }),
    batchSize: new Histogram({
      name: "orders_list_size",
      help: "Orders that were inserted by one statement.",
      buckets: batchBuckets,
      registers,
    }),
    ...byStatus(registers),
    dispatches: new Counter({
      name: "orders_dispatches_total",
      help: "Starts of workflows that carry orders, by outcome: acknowledged, failed, refused.",
      labelNames: ["outcome"],
      registers,
    }),
    outboxLag: new Gauge({
      name: "orders_outbox_lag_seconds",
      help: "How long the oldest new order waits to be carried, or a start for the worker to acknowledge it; 0 when there is none.",
      registers,
    }),
    oldestPending: new Gauge({
      name: "orders_oldest_pending_seconds",
      help: "Age of the oldest order that is neither confirmed nor refused; 0 when there is none.",
      registers,
    }),
    watchers: new Gauge({ name: "orders_watchers", help: "Callers that follow an order now.", registers }),
    ...ofEpisodes(registers),
  };
}

/** An order came to a status. */
export function countMove(
  { transitions, processing }: OrderMetrics,
  { status, createTime }: { readonly status: OrderStatus; readonly createTime: Date },
): void {
  transitions.inc({ status });
  processing.observe({ status }, Math.max(0, Date.now() - createTime.getTime()) / 1000);
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

function ofEpisodes(registers: Registry[]) {
  const gauge = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge<Label>({ name, help, labelNames, registers });
  return {
    episodeSize: new Histogram({
      name: "orders_episode_size",
      help: "Orders that one episode carries.",
      buckets: batchBuckets,
      registers,
    }),
    givenBack: new Counter({
      name: "orders_given_back_total",
      help: "Orders whose workflow was gone before it settled them, and which are carried anew.",
      registers,
    }),
    dueEvents: gauge("orders_due_events", "Events of orders that wait to be carried by an episode."),
    oldestDueEvent: gauge(
      "orders_oldest_due_event_seconds",
      "How long the oldest event waits to be carried by an episode; 0 when there is none.",
    ),
    parked: gauge("orders_parked", "Orders of which a step waits for an operator, by step.", ["step"]),
    oldestParked: gauge("orders_oldest_parked_seconds", "How long the oldest order waits for an operator, by step.", [
      "step",
    ]),
    waiting: gauge("orders_waiting", "Orders that rest until a service is back, by service.", ["waits_for"]),
    oldestWaiting: gauge(
      "orders_oldest_waiting_seconds",
      "How long the oldest order waits for a service to be back, by service; 0 when there is none.",
      ["waits_for"],
    ),
    stalled: gauge(
      "orders_stalled",
      "Orders that have not changed for longer than their status allows, and that neither an operator nor a service holds up, and those that an episode has carried for too long (`carried`); 1,000 means at least so many.",
      ["status"],
    ),
    oldestStalled: gauge(
      "orders_oldest_stalled_seconds",
      "For how long the oldest of the stalled orders has not changed, by status, or has been `carried`; 0 when there is none.",
      ["status"],
    ),
  };
}
