/**
 * This room is the kind of saga before episodes, as it was, so that workflows of that kind come to their ends with this worker;
 * it goes when none of them runs any more: after one release.
 */

import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  log,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { describeFailure, StepRefused } from "../engine/failures.ts";
import { StepFailed } from "./engine/legacy-failures.ts";
import { type ParkedStepRef, Parking } from "./engine/parking.ts";
import * as messages from "./messages.ts";
import { OrderRun } from "./order-run.ts";
import type { ProcessOrdersInput, ProcessOrdersResult } from "./order-state.ts";
import { processOrder } from "./process-order.ts";
import { openSteps, type Steps } from "./steps.ts";

/** Runs the saga of each order of a batch, all side by side, until the last one has ended. */
export async function processOrders(input: ProcessOrdersInput): Promise<ProcessOrdersResult> {
  const workflowCancelled = CancellationScope.current().cancelRequested;
  return CancellationScope.nonCancellable(() => carry(input, workflowCancelled));
}

async function carry(input: ProcessOrdersInput, workflowCancelled: Promise<never>): Promise<ProcessOrdersResult> {
  const { options } = input;
  const parking = new Parking();
  const runs = input.orders.map((state) => new OrderRun(state, parking));
  listen(runs, parking);
  // Cancelling the workflow cancels each order that has not left; the others are brought to their end.
  workflowCancelled.catch(() => {
    for (const run of runs) run.cancel("the workflow was cancelled");
  });
  const steps = openSteps(
    options,
    runs.map((run) => run.order),
  );
  const poll = { nextTime: input.nextPollTime };
  void pollCarrier(runs, steps, { poll, everyMs: options.pollMs });
  const all = Promise.all(runs.filter((run) => !run.ended).map((run) => processOrder(run, steps)));
  const done = all.then(() => true);
  // Not while the carrier is being asked: what it answers would be lost.
  const resting = () => poll.nextTime !== undefined && Date.now() < poll.nextTime;
  const idle = () => allHandlersFinished() && resting() && runs.every((run) => run.ended || run.waits);
  const ready = condition(() => historyIsLong(options.maxHistory) && idle()).then(() => false);
  if (await Promise.race([done, ready])) {
    return { orders: runs.map(({ order, stage }) => ({ orderId: order.orderId, stage })) };
  }
  const next = { orders: runs.map((run) => run.state), options };
  return continueAsNew<typeof processOrders>({ ...next, ...(poll.nextTime ? { nextPollTime: poll.nextTime } : {}) });
}

function historyIsLong(maxHistory: number): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength > maxHistory;
}

/** Registers what the outside may say and ask. Before anything is awaited, so that nothing is missed. */
function listen(runs: OrderRun[], parking: Parking): void {
  const find = (orderId: string) => runs.find(({ order }) => order.orderId === orderId);
  setHandler(messages.cancelOrder, ({ orderId, reason }) => find(orderId)?.cancel(reason), {
    validator: ({ orderId }) => mayCancel(find(orderId), orderId),
  });
  setHandler(messages.cancelOrderSignal, ({ orderId, reason }) => find(orderId)?.cancel(reason));
  const validator = (ref: ParkedStepRef) => mustWait(parking, ref);
  setHandler(messages.retryStep, (ref) => parking.decide(ref, "retry"), { validator });
  setHandler(
    messages.resolveStep,
    (request) => {
      log.warn("an operator resolved a step", { ...request });
      parking.decide(request, "resolve");
    },
    { validator },
  );
  setHandler(messages.reportParcels, (reports) => {
    for (const { orderId, locationId, result } of reports) find(orderId)?.report(locationId, result);
  });
  setHandler(messages.orderStatus, (orderId) => find(orderId)?.view(runs.length) ?? null);
  setHandler(messages.parkedSteps, () => parking.list());
}

function mayCancel(run: OrderRun | undefined, orderId: string): void {
  if (!run)
    throw ApplicationFailure.nonRetryable("the workflow does not carry the order", "SAGA_NOT_FOUND", { orderId });
  if (run.cancellability !== "no") return;
  const message = run.ended ? "the order has ended" : "the order is being undone, or a parcel has left";
  throw ApplicationFailure.nonRetryable(message, "NOT_CANCELLABLE", { orderId, stage: run.stage });
}

function mustWait(parking: Parking, { orderId, step }: ParkedStepRef): void {
  if (parking.waits({ orderId, step })) return;
  throw ApplicationFailure.nonRetryable("the step does not wait", "STEP_NOT_PARKED", { orderId, step });
}

/** Asks the carrier about all parcels that are on their way, in one batch; one timer serves the whole workflow. */
async function pollCarrier(
  runs: OrderRun[],
  { parcels }: Steps,
  { poll, everyMs }: { poll: { nextTime: number | undefined }; everyMs: number },
): Promise<void> {
  for (;;) {
    await condition(() => runs.some((run) => run.stage === "TRACKING"));
    poll.nextTime ??= Date.now() + everyMs;
    await sleep(Math.max(1, poll.nextTime - Date.now()));
    const waiting = runs.filter((run) => run.stage === "TRACKING");
    const onTheWay = waiting.flatMap((run) => run.parcels.map((parcel) => ({ run, parcel })));
    await Promise.all(
      onTheWay
        .filter(({ parcel }) => parcel.status === "SHIPPED" && parcel.shipmentId !== "")
        .map(async ({ run, parcel }) => {
          const report = await lookAt(parcels, parcel.order.orderId, parcel.shipmentId);
          if (report) run.report(parcel.locationId, report);
        }),
    );
    poll.nextTime = undefined;
  }
}

/** A look that fails is no reason to do anything: the carrier reports by itself, and is asked again the next day. */
async function lookAt({ look }: Steps["parcels"], orderId: string, shipmentId: string) {
  try {
    return await look.ask({ orderId, shipmentId });
  } catch (error) {
    if (!(error instanceof StepFailed || error instanceof StepRefused)) throw error;
    log.warn("the shipment cannot be looked at", { orderId, shipmentId, error: describeFailure(error) });
    return null;
  }
}
