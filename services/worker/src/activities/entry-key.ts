import type { Again } from "../workflows/step-table.ts";

/** What names an entry of a batch: its order, and its parcel or its return if it is about one. */
export interface EntryKey {
  readonly orderId: string;
  readonly locationId?: string;
  readonly returnId?: string;
}

/** Names an entry among the others of its batch. */
export function keyOf({ orderId, locationId }: EntryKey): string {
  return locationId ? `${orderId}:${locationId}` : orderId;
}

/**
 * What a service is asked for a step of an order. It never depends on the attempt, so that a repetition has one effect;
 * only an operator's repetition of what was refused is another request.
 */
export function requestId(entry: EntryKey & Again, step: string): string {
  const { orderId, locationId, returnId, again } = entry;
  const part = locationId ?? returnId;
  const request = part ? `${orderId}:${step}:${part}` : `${orderId}:${step}`;
  return again ? `${request}#${again}` : request;
}
