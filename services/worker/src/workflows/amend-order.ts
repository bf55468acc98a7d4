import { CancellationScope, CancelledFailure, patched } from "@temporalio/workflow";
import { type AmendmentRun, AmendmentUndone, CardNeeded } from "./amendment-run.ts";
import { Compensated } from "./engine/failures.ts";
import { nothing, type SagaBody, saga, together } from "./engine/saga.ts";
import type { Steps } from "./steps.ts";

/**
 * Amends an order that is confirmed, whole or not at all: what it gets besides is set aside and authorized, the parcels that it concerns are
 * taken back, and only then is it another order. What it has no more is given back after that. Until it is through, nothing of the order
 * leaves.
 */
export async function amend(change: AmendmentRun, steps: Steps): Promise<void> {
  if (!change.happened) await makeHappen(change, steps);
  if (!change.happened) return;
  await CancellationScope.nonCancellable(() => saga(change, (body) => giveBack(change, steps, body)));
  change.finished();
}

/** An order that cannot be amended any more stays as it is. */
export async function declineAmendment(change: AmendmentRun, { orders }: Steps): Promise<void> {
  await CancellationScope.nonCancellable(() => saga(change, (body) => body.forward(orders.refuse, nothing, change)));
  change.undone();
}

async function makeHappen(change: AmendmentRun, steps: Steps): Promise<void> {
  const go = () => saga(change, (body) => toItsPivot(change, steps, body));
  try {
    await (change.mayHaveHappened ? CancellationScope.nonCancellable(go) : go());
  } catch (cause) {
    if (!(cause instanceof Compensated)) throw cause;
    change.undone();
  }
}

/** When it fails, the first thing is that it is refused: whoever may be about to accept it, in a run that was taken for lost, cannot any more. */
async function toItsPivot(change: AmendmentRun, steps: Steps, body: SagaBody): Promise<void> {
  try {
    if (change.amendment.accepted) change.plannedAs(await body.forward(steps.stock.amend, nothing, change));
    else await takeAndSwap(change, steps, body);
  } catch (cause) {
    body.alsoUndo(steps.orders.refuse, change);
    throw cause;
  }
  change.happen();
}

/** Takes what comes besides, then what has to be packed otherwise. Before its last step the amendment may be refused. */
async function takeAndSwap(change: AmendmentRun, steps: Steps, body: SagaBody): Promise<void> {
  const { stock, payments, parcels, orders } = steps;
  if (change.isToBeUndone) return undoAll(change, steps, body);
  change.mustBeInTime();
  change.plannedAs(await body.step(stock.amend, stock.unamend, change));
  if (change.plan.more > 0 && change.amendment.cardToken === "" && patched("card-needed")) {
    body.alsoUndo(payments.voidMore, change);
    throw new CardNeeded();
  }
  if (change.plan.more > 0) await body.step(payments.authorizeMore, payments.voidMore, change);
  await together(change.concerned.map((parcel) => body.step(parcels.takeBack, parcels.packAnew, { parcel, change })));
  await body.step(orders.amend, nothing, change); // the pivot
}

/** Has all undone that may have been done so far, also in a run that was lost. */
function undoAll(change: AmendmentRun, { stock, payments, parcels }: Steps, body: SagaBody): never {
  body.alsoUndo(stock.unamend, change);
  if (change.costsMore) body.alsoUndo(payments.voidMore, change);
  for (const parcel of change.maybeTaken) body.alsoUndo(parcels.packAnew, { parcel, change });
  throw change.isFailing ? new AmendmentUndone() : new CancelledFailure("the order is cancelled");
}

/** Gives back what the order has no more: its stock, and its money. */
async function giveBack(change: AmendmentRun, { stock, payments }: Steps, body: SagaBody): Promise<void> {
  await body.forward(stock.trim, nothing, change);
  for (const charge of change.voids) await body.forward(payments.voidLess, nothing, charge);
}
