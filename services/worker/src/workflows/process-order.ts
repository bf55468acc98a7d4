import { CancellationScope, patched } from "@temporalio/workflow";
import { amend, declineAmendment } from "./amend-order.ts";
import { AwaitsStock, Compensated, Resting, StepRefused, UnderReview } from "./engine/failures.ts";
import { nothing, type SagaBody, saga, together } from "./engine/saga.ts";
import { failureFor } from "./order/customer-texts.ts";
import { CheckoutLate, type OrderRun, Undone } from "./order-run.ts";
import type { Charge, ParcelState } from "./order-state.ts";
import { chargesOf, type Parcel } from "./parcel.ts";
import { announceArrived, callOff, turnBack } from "./recall.ts";
import type { Short } from "./step-table.ts";
import type { ParcelCharge, Steps } from "./steps.ts";
import { requestLabels, takeBack } from "./take-back.ts";

/** A stage of the process, in one saga. */
type Stage = (run: OrderRun, steps: Steps, body: SagaBody) => Promise<void>;

/**
 * Brings one order from where it rested to where it rests next, or to its end. It returns when there is nothing more to do
 * now: the rest is for another episode, when the warehouse, the carrier, the customer or an operator has said something, or
 * when somebody who is away is asked again. What was done before is not forgotten, and what is done again has no second effect.
 */
export async function processOrder(run: OrderRun, steps: Steps): Promise<void> {
  try {
    await run.interruptibly(() => goThrough(run, steps));
  } catch (cause) {
    if (cause instanceof Compensated)
      run.undone(); // REJECTED, CANCELLED or FAILED
    else if (!(cause instanceof Resting)) throw cause;
  }
  if (run.amendment && patched("amendments")) await decideLate(run, steps);
}

/** What asks for another order that is not to be packed any more has come too late. */
async function decideLate(run: OrderRun, steps: Steps): Promise<void> {
  if (!run.amendment || run.amendment.isOver || !run.isPastAmending) return;
  try {
    await declineAmendment(run.amendment, steps);
  } catch (cause) {
    if (!(cause instanceof Resting)) throw cause;
  }
}

/** From stage to stage; and beside that what came back is taken back, wherever the rest of the order is. */
async function goThrough(run: OrderRun, steps: Steps): Promise<void> {
  const within = (stage: Stage) => saga(run, (body) => stage(run, steps, body));
  const beside: Promise<void>[] = [];
  if (run.returns.length > 0 && patched("returns")) beside.push(within(takeBack));
  if (run.order.labels && patched("labels")) beside.push(within(requestLabels));
  if (beside.length > 0) await together([...beside, throughStages(run, steps)]);
  else await throughStages(run, steps);
}

/** From stage to stage, for as long as there is something to do. The order's status follows its stage. */
async function throughStages(run: OrderRun, steps: Steps): Promise<void> {
  const within = (stage: Stage) => saga(run, (body) => stage(run, steps, body));
  if (run.stage === "COMPENSATING") await within(goOnUndoing);
  if (run.stage === "CHECKOUT") await within(run.mayBeConfirmed ? uninterrupted(checkout) : checkout); // CONFIRMED
  if (run.isToBeAmendedLater && patched("confirmed-before-amended")) return run.settlesFirst();
  if (run.stage === "FULFILLMENT" && run.amendment && patched("amendments")) {
    await amend(run.amendment, steps);
    if (run.hasEarly && patched("amended-parcels-heard")) run.hearsEarly();
  }
  if (run.stage === "FULFILLMENT") await within(fulfil); // PREPARING
  if (run.stage === "TRACKING") await within(track); // SHIPPED
  if (isRecalled(run)) await within(announceArrived);
}

/** Whether it was cancelled when parcels of it had left. */
function isRecalled(run: OrderRun): boolean {
  return run.isRecalled && patched("recalls");
}

/** Sets stock and money aside. Before its last step an order may be refused; from there on it only goes forward. */
async function checkout(run: OrderRun, steps: Steps, body: SagaBody): Promise<void> {
  const { payments, orders } = steps;
  // They were there before the order was.
  for (const { payment } of run.credits) body.alsoUndo(payments.voidFurther, { run, payment });
  if (run.toBeScreened && patched("fraud-screening")) await screen(run, steps, body);
  const missing = await reserve(run, steps, body);
  if (missing.length > 0) await cut(run, missing, { steps, body });
  const held = run.due > 0 ? await body.step(payments.authorize, payments.void, run) : null;
  const parcels = await body.step(orders.confirm, nothing, run); // the pivot
  if (held !== null && patched("single-captures")) await holdEach(run, { parcels, held }, { steps, body });
  else run.confirmedAs(run.charged(parcels));
}

/**
 * Gives each parcel what is held for it, where that is captured once. Stock of a hold that ended may lie elsewhere: then something else is held than
 * is needed. What is declined now is refused when the parcel is charged, and waits for an operator then.
 */
async function holdEach(
  run: OrderRun,
  { parcels, held }: { parcels: ParcelState[]; held: number[] },
  { steps: { payments }, body }: { steps: Steps; body: SagaBody },
): Promise<void> {
  const { parcels: charged, lacking, unused } = run.spread(parcels, held);
  const hold = async ({ payment, amount }: Charge) => {
    try {
      await body.step(payments.hold, nothing, { run, payment, amount });
    } catch (cause) {
      if (!(cause instanceof StepRefused)) throw cause;
    }
  };
  await together(lacking.map(hold));
  await together(unused.map(({ payment }) => body.forward(payments.voidFurther, nothing, { run, payment })));
  run.confirmedAs(charged);
}

/**
 * Has the order screened, before anything is set aside for it: a review may take days, and no stock is kept from others by an order
 * that may be fraud. What a run that was lost may have done, when it was not held up, is undone as well.
 */
async function screen(run: OrderRun, { orders, stock, payments }: Steps, body: SagaBody): Promise<void> {
  try {
    const verdict = await body.step(orders.screen, nothing, run);
    if (verdict === "review") throw new UnderReview("a person has to decide");
  } catch (cause) {
    body.alsoUndo(stock.release, run);
    if (run.paid) body.alsoUndo(payments.void, run);
    throw cause;
  }
}

/**
 * Sets the stock aside. A run that was lost may have come further than this one, unless the stock is refused: an earlier
 * success would have been repeated. So what it may have done is undone as well.
 *
 * @returns what is missing of the order
 */
async function reserve(run: OrderRun, { stock, payments }: Steps, body: SagaBody): Promise<Short["missing"]> {
  try {
    if (run.late) {
      body.alsoUndo(stock.release, run);
      throw new CheckoutLate();
    }
    if (run.takesPart && patched("ship-available")) return await reservePart(run, stock, body);
    if (run.waitsInTurn && patched("back-orders")) await reserveInTurn(run, stock, body);
    else run.setsAside(await body.step(stock.reserve, stock.release, run));
    return [];
  } catch (cause) {
    run.nothingReserved = cause instanceof StepRefused && !contradicts(cause);
    if (!run.nothingReserved && run.paid) body.alsoUndo(payments.void, run);
    throw cause;
  }
}

/** Whether something else was asked for before, which may have happened. */
function contradicts({ refusal }: StepRefused): boolean {
  return refusal.reason === "REQUEST_ID_REUSED" && patched("contradictions");
}

/** Sets aside what is there; when nothing is, an order that may wait rests as a whole. */
async function reservePart(run: OrderRun, stock: Steps["stock"], body: SagaBody): Promise<Short["missing"]> {
  const reserved = await body.step(stock.reservePart, stock.release, run);
  if (reserved === "waiting") return restWithoutStock(run, stock.reservePart.name(run));
  run.hasStock();
  run.setsAside(reserved);
  return typeof reserved === "object" && "missing" in reserved ? reserved.missing : [];
}

/** Takes out of the order what is missing of it. A run that was lost may have come further. */
async function cut(
  run: OrderRun,
  missing: Short["missing"],
  { steps: { orders, payments }, body }: { steps: Steps; body: SagaBody },
): Promise<void> {
  try {
    run.becomesLess(await body.step(orders.cut, nothing, { run, missing }));
  } catch (cause) {
    if (run.paid) body.alsoUndo(payments.void, run);
    throw cause;
  }
}

/** Sets the stock aside, or has the order rest until its turn has come: then inventory answers otherwise. */
async function reserveInTurn(run: OrderRun, stock: Steps["stock"], body: SagaBody): Promise<void> {
  const reserved = await body.step(stock.reserveInTurn, stock.release, run);
  if (reserved !== "waiting") {
    run.setsAside(reserved);
    return run.hasStock();
  }
  restWithoutStock(run, stock.reserveInTurn.name(run));
}

function restWithoutStock(run: OrderRun, step: string): never {
  run.queues(step);
  throw new AwaitsStock("there is no stock for it yet");
}

/** Has the parcels packed and shipped. When each has left, or cannot, the order is on its way. */
async function fulfil(run: OrderRun, steps: Steps, body: SagaBody): Promise<void> {
  alsoUndoAll(run, steps, body);
  run.mustBeWanted();
  await together(run.parcels.map((parcel) => ship(parcel, run, { steps, body })));
  if (run.parcels.some(({ stage }) => stage !== "SHIPPED" && stage !== "CANCELLED")) return;
  const shipped = run.parcels.some(({ stage }) => stage === "SHIPPED");
  if (shipped) run.stage = "TRACKING";
  else if (run.isRecalled) run.endsCancelled();
  else run.ends("FAILED", failureFor("SHIPPING_FAILED"));
}

/**
 * Has one parcel packed, hands it to the carrier, then takes its part of the money and of the stock, each as soon as shipping
 * has told that it is time. Without it the others go on.
 */
async function ship(parcel: Parcel, run: OrderRun, { steps, body }: { steps: Steps; body: SagaBody }): Promise<void> {
  const { parcels, payments, stock } = steps;
  const recalled = isRecalled(run);
  if (recalled) await callOff(parcel, steps, body);
  await prepare(parcel, run, { steps, body });
  if (parcel.stage === "LEAVING" || parcel.stage === "BOOKING") {
    if (parcel.news === "BOOKED") parcel.stage = "TAKEN";
    else if (parcel.news !== "PACKED") parcel.stage = "DROPPING";
  }
  if (parcel.stage === "LEAVING") {
    try {
      Object.assign(parcel, await body.forward(parcels.book, nothing, parcel));
    } catch (cause) {
      if (!(cause instanceof StepRefused)) throw cause;
      parcel.stage = "DROPPING";
    }
  }
  if (parcel.stage === "TAKEN") {
    if (parcel.amount > 0) await each(parcel, (charge) => body.forward(payments.capture, nothing, charge));
    await body.forward(stock.commit, nothing, parcel);
    parcel.stage = "SHIPPED";
  }
  if (recalled) await turnBack(parcel, steps, body);
  if (parcel.stage === "DROPPING") {
    if (parcel.amount > 0) await each(parcel, (charge) => body.forward(payments.voidPart, nothing, charge));
    await body.forward(stock.releasePart, nothing, parcel);
    parcel.stage = "CANCELLED";
  }
}

/** Does something with the money of a parcel: of the payment that was made first at first. */
async function each(parcel: Parcel, work: (charge: ParcelCharge) => Promise<null>): Promise<void> {
  for (const charge of chargesOf(parcel)) await work({ parcel, ...charge });
}

/** Has a parcel packed. When it is, it leaves: from there on the order cannot be cancelled. */
async function prepare(
  parcel: Parcel,
  run: OrderRun,
  { steps, body }: { steps: Steps; body: SagaBody },
): Promise<void> {
  if (parcel.stage === "PLANNED") {
    const { stage = parcel.stage, ...shipment } = await body.forward(steps.parcels.create, nothing, parcel);
    Object.assign(parcel, shipment);
    if (stage === "TAKEN") return run.leaves(parcel, stage);
    parcel.stage = stage;
  }
  if (parcel.stage !== "PACKING" || parcel.news === undefined) return;
  if (parcel.news === "PACKED" || parcel.news === "BOOKED") run.leaves(parcel, "LEAVING");
  else parcel.stage = "DROPPING";
}

/** Waits until every parcel that left has arrived or is lost. */
async function track(run: OrderRun, steps: Steps, body: SagaBody): Promise<void> {
  if (isRecalled(run)) await together(run.parcels.map((parcel) => turnBack(parcel, steps, body)));
  await together(run.parcels.map((parcel) => arrive(parcel, run, { steps, body })));
  if (run.parcels.some(({ stage }) => stage === "SHIPPED")) return;
  const delivered = run.parcels.some(({ stage }) => stage === "DELIVERED");
  const cameBack = run.parcels.some(({ stage }) => stage === "RETURNED");
  if (delivered) run.ends("DELIVERED");
  else if (run.isRecalled) run.endsCancelled();
  else run.ends("FAILED", failureFor(cameBack ? "RETURNED_TO_SENDER" : "LOST_IN_TRANSIT"));
}

async function arrive(
  parcel: Parcel,
  run: OrderRun,
  { steps: { payments, orders }, body }: { steps: Steps; body: SagaBody },
): Promise<void> {
  if (parcel.stage !== "SHIPPED") return;
  // What left without a number is tracked by nobody: whoever sent it knows that it arrives.
  const report = parcel.report ?? (parcel.trackingNumber === "" ? "DELIVERED" : undefined);
  if (report === undefined) return;
  if (report === "RETURNED") parcel.returnId = await body.forward(orders.receive, nothing, parcel);
  // What it holds may be announced to come back, also when it costs nothing.
  if (report === "LOST" && (parcel.amount > 0 || parcel.returnId)) {
    // What came back of the order without it is paid back already: orders knows how much is left.
    if (patched("losses")) {
      const refund = await body.forward(orders.lose, nothing, parcel);
      // What was begun is not divided anew, whatever came back meanwhile.
      parcel.refunds ??= run.lossOf(parcel, refund);
    }
    for (const { payment, amount } of parcel.refunds ?? chargesOf(parcel)) {
      if (amount > 0) await body.forward(payments.refundPart, nothing, { parcel, payment, amount });
    }
  }
  parcel.stage = report;
}

/** Undoes further what was begun to be undone: what is undone already is so without a second effect. */
async function goOnUndoing(run: OrderRun, steps: Steps, body: SagaBody): Promise<void> {
  alsoUndoAll(run, steps, body);
  throw new Undone();
}

/** Has all undone that the order may have done so far, also in a run that was lost, and what its parcels are about to do. */
function alsoUndoAll(run: OrderRun, { stock, payments, parcels }: Steps, body: SagaBody): void {
  body.alsoUndo(stock.release, run);
  if (run.paid && !run.nothingReserved) body.alsoUndo(payments.void, run);
  const further = new Set([...run.furtherPayments, ...run.credits.map(({ payment }) => payment)]);
  for (const payment of further) body.alsoUndo(payments.voidFurther, { run, payment });
  for (const parcel of run.parcels) if (parcel.stage !== "CANCELLED") body.alsoUndo(parcels.cancel, parcel);
}

/** A stage that nothing cancels before it is through. */
function uninterrupted(stage: Stage): Stage {
  return (run, steps, body) => CancellationScope.nonCancellable(() => stage(run, steps, body));
}
