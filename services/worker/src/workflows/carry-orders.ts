import { ApplicationFailure, CancellationScope, log, setHandler, workflowInfo } from "@temporalio/workflow";
import { EpisodeOver, Resting, StepRefused } from "./engine/failures.ts";
import { firstTaskEvents } from "./engine/local-calls.ts";
import * as messages from "./messages.ts";
import { OrderRun, told } from "./order-run.ts";
import { type CarriedOrder, type CarryOrdersInput, notSettled, type OrderFault } from "./order-state.ts";
import { processOrder } from "./process-order.ts";
import { openSteps, type Steps } from "./steps.ts";

/**
 * An episode: carries each order of a batch as far as it comes now, all side by side, and settles it. It waits for nothing
 * but answers. An order that cannot be settled is given back by orders once the workflow has ended.
 */
export function carryOrders(input: CarryOrdersInput): Promise<void> {
  return CancellationScope.nonCancellable(() => carry(input));
}

async function carry({ orders, options }: CarryOrdersInput): Promise<void> {
  // Then an earlier attempt at the first workflow task has failed, or was lost.
  const repeated = workflowInfo().historyLength > firstTaskEvents;
  const faults: OrderFault[] = [];
  const runs = orders.flatMap((order) => {
    try {
      return [new OrderRun(order, { options, repeated, batchSize: orders.length })];
    } catch (cause) {
      // Thrown from here it would fail this task for as long as the workflow lives, and keep the others from being carried.
      faults.push(faultOf(order, cause));
      return [];
    }
  });
  listen(runs);
  const steps = openSteps(options, orders);
  const ends = await Promise.allSettled(runs.map((run) => carryOne(run, steps, faults)));
  const failed = orders.length - ends.filter(({ status }) => status === "fulfilled").length;
  if (failed === 0) return;
  throw ApplicationFailure.create({
    message: `${failed} of ${orders.length} orders are not settled`,
    type: notSettled,
    nonRetryable: true,
    details: [faults],
  });
}

async function carryOne(run: OrderRun, steps: Steps, faults: OrderFault[]): Promise<void> {
  try {
    await processOrder(run, steps);
    await settle(run, steps);
  } catch (cause) {
    // Orders is away: no fault of this order.
    if (cause instanceof Resting) logUnsettled(run.order, cause);
    else faults.push(faultOf(run.order, cause));
    throw cause;
  }
}

function faultOf(order: CarriedOrder, cause: unknown): OrderFault {
  logUnsettled(order, cause);
  const error = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return { orderId: order.orderId, error: told(error) };
}

function logUnsettled({ orderId }: CarriedOrder, cause: unknown): void {
  const error = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  log.error("an order is not settled: it will be carried again", { orderId, error });
}

/** Writes down where the order rests. Only its own episode may: another one that has it meanwhile knows better. */
async function settle(run: OrderRun, { orders }: Steps): Promise<void> {
  const { orderId } = run.order;
  try {
    await orders.settle(run.settlement());
  } catch (cause) {
    if (cause instanceof EpisodeOver) {
      log.warn("another episode has the order", { orderId });
      return;
    }
    if (!(cause instanceof StepRefused)) throw cause;
    readjust(run, cause);
    await orders.settle(run.settlement());
  }
}

/** The row knows better how the order ends. @throws what else it is refused for */
function readjust(run: OrderRun, cause: StepRefused): void {
  const { refusal } = cause;
  if (refusal.reason === "ORDER_RECALLED") run.endsCancelled();
  else if (refusal.reason !== "ILLEGAL_TRANSITION") throw cause;
  else if (run.stage === "REJECTED") run.wasConfirmed();
  else run.stuck(refusal);
}

/** Registers what the outside may say. Before anything is awaited, so that nothing is missed. */
function listen(runs: OrderRun[]): void {
  const find = (orderId: string) => runs.find(({ order }) => order.orderId === orderId);
  setHandler(messages.cancelOrder, ({ orderId, reason }) => find(orderId)?.cancel(reason), {
    validator: ({ orderId }) => mayCancel(find(orderId), orderId),
  });
}

function mayCancel(run: OrderRun | undefined, orderId: string): void {
  const cancellability = run?.cancellability ?? "resting";
  if (!run || cancellability === "resting") {
    throw ApplicationFailure.nonRetryable("the episode does not carry the order any more", "SAGA_NOT_FOUND", {
      orderId,
    });
  }
  if (cancellability !== "no") return;
  const message = run.ended ? "the order has ended" : "the order is being undone, or a parcel has left";
  throw ApplicationFailure.nonRetryable(message, "NOT_CANCELLABLE", { orderId, stage: run.stage });
}
