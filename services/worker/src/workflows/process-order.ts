import { CancellationScope, condition, isCancellation } from "@temporalio/workflow";
import { cancellation, failureFor, failureOf } from "./customer-texts.ts";
import { StepGivenUp, StepRefused } from "./engine/failures.ts";
import { nothing, type SagaBody, saga, together } from "./engine/saga.ts";
import type { OrderRun, Parcel } from "./order-run.ts";
import type { Allocation, OrderFailure } from "./order-state.ts";
import { planParcels } from "./parcel-plan.ts";
import type { OwnMove } from "./step-table.ts";
import { type Steps, toOrderParcel } from "./steps.ts";

/** Brings one order from its checkout to its end: delivered, rejected, cancelled or failed. */
export async function processOrder(run: OrderRun, steps: Steps): Promise<void> {
  if (run.stage === "CHECKOUT") {
    try {
      await run.interruptibly(() => saga(run, (body) => placeOrder(run, steps, body)));
    } catch (cause) {
      return undone(run, steps, cause);
    }
  }
  await CancellationScope.nonCancellable(() => track(run, steps));
}

/** The business process: everything up to the departure of the parcels. */
async function placeOrder(run: OrderRun, steps: Steps, body: SagaBody): Promise<void> {
  const { payments, orders } = steps;
  const { order } = run;
  const allocations = await reserve(run, steps, body);
  if (order.total.amount > 0) await body.step(payments.authorize, payments.void, run);
  run.parcels = planParcels(order, allocations).map((parcel) => ({ ...parcel, order }));
  await body.step(orders.confirm, nothing, run); // the pivot, CONFIRMED: from here on we go forward
  run.stage = "FULFILLMENT";
  await together(run.parcels.map((parcel) => fulfil(parcel, run, { steps, body })));
  const shipped = run.parcels.some(({ status }) => status === "SHIPPED");
  if (!shipped) return fail(run, body, { steps, failure: failureFor("SHIPPING_FAILED") });
  await body.forward(orders.transition, move(run, "SHIPPED"));
  run.stage = "TRACKING";
}

/**
 * Sets the stock aside. When a worker dies in its first workflow task, what the local activities of that task did is not in
 * the history. So the card may be authorized although this run never came that far, unless the stock is refused: an earlier
 * success would have been repeated.
 */
async function reserve(run: OrderRun, { stock, payments }: Steps, body: SagaBody): Promise<Allocation[]> {
  try {
    return await body.step(stock.reserve, stock.release, run);
  } catch (cause) {
    if (!(cause instanceof StepRefused) && run.order.total.amount > 0) body.alsoUndo(payments.void, run);
    throw cause;
  }
}

/**
 * Packs one parcel, with its order PREPARING, and ships it, then takes its part of the money and of the stock. Without it the
 * others go on.
 */
async function fulfil(parcel: Parcel, run: OrderRun, { steps, body }: { steps: Steps; body: SagaBody }): Promise<void> {
  const { stock, payments, parcels } = steps;
  try {
    await saga(run.part, async ({ step }) => {
      Object.assign(parcel, await step(parcels.prepare, parcels.cancel, parcel));
      run.leaves();
      Object.assign(parcel, await step(parcels.book, nothing, parcel));
    });
  } catch (cause) {
    if (!(cause instanceof StepRefused)) throw cause;
    return drop(parcel, { steps, body });
  }
  if (parcel.amount > 0) await body.forward(payments.capture, parcel);
  await body.forward(stock.commit, parcel);
  parcel.status = "SHIPPED";
}

/** Gives back what a parcel that cannot ship holds of the money and of the stock. */
async function drop(parcel: Parcel, { steps, body }: { steps: Steps; body: SagaBody }): Promise<void> {
  if (parcel.amount > 0) await body.forward(steps.payments.voidPart, parcel);
  await body.forward(steps.stock.releasePart, parcel);
  parcel.status = "CANCELLED";
}

/** Waits until every parcel that left has arrived or is lost. */
async function track(run: OrderRun, steps: Steps): Promise<void> {
  if (run.ended) return;
  await saga(run.part, async (body) => {
    const onTheWay = run.parcels.filter(({ status }) => status === "SHIPPED");
    await together(onTheWay.map((parcel) => arrival(parcel, steps, body)));
    const delivered = run.parcels.some(({ status }) => status === "DELIVERED");
    if (!delivered) return fail(run, body, { steps, failure: failureFor("LOST_IN_TRANSIT") });
    await body.forward(steps.orders.transition, move(run, "DELIVERED"));
    run.stage = "DELIVERED";
  });
}

async function arrival(parcel: Parcel, steps: Steps, body: SagaBody): Promise<void> {
  await condition(() => parcel.report !== undefined);
  if (parcel.report === "LOST" && parcel.amount > 0) await body.forward(steps.payments.refundPart, parcel);
  parcel.status = parcel.report ?? parcel.status;
}

/** Ends an order of which nothing could be delivered. */
async function fail(run: OrderRun, body: SagaBody, end: { steps: Steps; failure: OrderFailure }): Promise<void> {
  run.failure = end.failure;
  await body.forward(end.steps.orders.transition, move(run, "FAILED"));
  run.stage = "FAILED";
}

/** Ends an order whose steps have been undone. A cancellation that was accepted is kept, whatever else went wrong. */
async function undone(run: OrderRun, steps: Steps, cause: unknown): Promise<void> {
  run.failure = whyUndone(run, cause);
  for (const parcel of run.parcels) parcel.status = "CANCELLED";
  await CancellationScope.nonCancellable(() => saga(run.part, (body) => end(run, steps.orders, body)));
}

async function end(run: OrderRun, { transition }: Steps["orders"], { step, forward }: SagaBody): Promise<void> {
  const status = run.cancelReason === undefined ? "REJECTED" : "CANCELLED";
  try {
    await step(transition, nothing, move(run, status));
    run.stage = status;
  } catch (cause) {
    if (!(cause instanceof StepRefused)) throw cause;
    // A first task that was lost may have confirmed the order: then it cannot be rejected any more.
    await forward(transition, move(run, "FAILED"));
    run.stage = "FAILED";
  }
}

/** @throws the cause, when it is a fault in the workflow's code: the workflow task then waits for a better version */
function whyUndone(run: OrderRun, cause: unknown): OrderFailure {
  if (run.cancelReason !== undefined) return cancellation(run.cancelReason);
  if (cause instanceof StepRefused) return failureOf(cause.refusal);
  if (cause instanceof StepGivenUp || isCancellation(cause)) return failureFor("SERVICE_UNAVAILABLE");
  throw cause;
}

function move(run: OrderRun, status: OwnMove) {
  const parcels = run.parcels.map(toOrderParcel);
  return { orderId: run.order.orderId, status, parcels, ...(run.failure ? { failure: run.failure } : {}) };
}
