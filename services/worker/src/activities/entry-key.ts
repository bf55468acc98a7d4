import type { Again } from "../workflows/step-table.ts";

/** What names an entry of a batch: its order, and its parcel, return, payment, credit or amendment if it is about one. */
export interface EntryKey {
  readonly orderId: string;
  readonly locationId?: string;
  readonly returnId?: string;
  /** Which of the parcels from there; absent: the first. */
  readonly generation?: number;
  /** Which of the payments, by the amendment that it was made for; absent: the order's own. */
  readonly payment?: number;
  readonly number?: number;
  /** Which of the credits that are made of a return, from 0. */
  readonly credit?: number;
}

/** Names an entry among the others of its batch. */
export function keyOf(entry: EntryKey): string {
  return [entry.orderId, ...partsOf(entry)].join(":");
}

/** What of an order it is about, beginning with what most entries have. */
function partsOf({ locationId, returnId, generation = 0, payment = 0, number = 0, credit = 0 }: EntryKey): string[] {
  return [
    ...(locationId ? [generation > 0 ? `${locationId}~${generation}` : locationId] : []),
    ...(returnId ? [returnId] : []),
    ...(payment > 0 ? [`payment-${payment}`] : []),
    ...(number > 0 ? [`amendment-${number}`] : []),
    ...(credit > 0 ? [`credit-${credit}`] : []),
  ];
}

/**
 * What a service is asked for a step of an order. It never depends on the attempt, so that a repetition has one effect;
 * only an operator's repetition of what was refused is another request.
 */
export function requestId(entry: EntryKey & Again, step: string): string {
  const { orderId, again } = entry;
  const request = [orderId, step, ...partsOf(entry)].join(":");
  return again ? `${request}#${again}` : request;
}
