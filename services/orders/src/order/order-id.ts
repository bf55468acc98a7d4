import { hash } from "node:crypto";
import { bucketOf, encodeId, newId } from "#platform/id.ts";

/**
 * A new order id: 48 bits of milliseconds, 16 of the customer's bucket, 64 of chance.
 *
 * @param ms when it was placed, since 1970; now unless given
 */
export function newOrderId(customerId: string, ms?: number): string {
  return newId(bucketOfCustomer(customerId), ms);
}

/**
 * The id of what is missing of an order, as an order of its own: it lives where the first one does, and there is one of each.
 *
 * @param ms when that was found out, since 1970
 */
export function restIdOf(orderId: string, ms: number): string {
  const bucket = bucketOf(orderId).toString(16).padStart(4, "0");
  const chance = hash("sha256", `rest of ${orderId}`, "hex").slice(0, 16);
  return encodeId(`${ms.toString(16).padStart(12, "0")}${bucket}${chance}`);
}

/** Where a customer's orders live when the database is spread out: 0 to 65,535, evenly. */
export function bucketOfCustomer(customerId: string): number {
  return hash("sha256", customerId, "buffer").readUInt16BE(0);
}

const maxMs = 2 ** 48 - 1;

/**
 * The smallest id of a millisecond, as the `uuid` that the database compares: ids sort by the time of the order, so that
 * a filter by time is a range of ids.
 *
 * @param ms since 1970; what an id cannot hold is taken as the nearest that it can
 */
export function firstIdAt(ms: number): string {
  const hex = Math.min(Math.max(Math.trunc(ms), 0), maxMs)
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
