import { nothing, type SagaBody, together } from "./engine/saga.ts";
import type { OrderRun } from "./order-run.ts";
import type { Parcel } from "./parcel.ts";
import type { Steps } from "./steps.ts";

/**
 * Calls off a parcel of a cancelled order that has not left, as far as is known. Where the carrier has it after all, by a run that was lost, it
 * goes on: what it costs is charged, and paid back when it is here again.
 */
export async function callOff(parcel: Parcel, { parcels }: Steps, body: SagaBody): Promise<void> {
  if (!isHere(parcel) || parcel.news === "BOOKED") return;
  const called = await body.forward(parcels.callOff, nothing, parcel);
  if (called === "off") parcel.stage = "DROPPING";
  // Asked to take it once more, the carrier says under which number it has it.
  else Object.assign(parcel, { stage: "LEAVING", news: "PACKED" });
}

/** Whether nobody knows that it has left: the carrier may be asked. */
function isHere({ stage }: Parcel): boolean {
  return stage === "PLANNED" || stage === "PACKING" || stage === "LEAVING" || stage === "BOOKING";
}

/**
 * Has a parcel turned back that has left an order that is cancelled. Until the carrier has said whether it does, nothing follows; when it does not,
 * what the parcel holds is to be returned. Of one that nobody can track there is nothing to ask.
 */
export async function turnBack(parcel: Parcel, { parcels, orders }: Steps, body: SagaBody): Promise<void> {
  if (parcel.stage !== "SHIPPED" || parcel.report !== undefined) return;
  if (parcel.turnBack === undefined) {
    parcel.turnBack = parcel.trackingNumber === "" ? "REFUSED" : await body.forward(parcels.turnBack, nothing, parcel);
  }
  if (parcel.turnBack === "REFUSED" && parcel.returnId === undefined) {
    parcel.returnId = await body.forward(orders.announce, nothing, parcel);
  }
}

/** What was under way when the order was cancelled, and arrived nevertheless, is to be returned. */
export async function announceArrived(run: OrderRun, { orders }: Steps, body: SagaBody): Promise<void> {
  const arrived = run.parcels.filter((parcel) => parcel.stage === "DELIVERED" && run.wasRecalled(parcel));
  await together(
    arrived.map(async (parcel) => {
      parcel.returnId ??= await body.forward(orders.announce, nothing, parcel);
    }),
  );
}
