import { Code } from "@connectrpc/connect";
import { InventoryErrorReason, InventoryErrorReasonSchema } from "#gen/shop/inventory/v1/inventory_error_reason_pb.js";
import { type DomainError, defineErrors } from "#platform/errors.ts";
import { type Fenced, fenceFacts } from "#platform/fence.ts";
import type { Level, Line } from "./stock.ts";

/** What the inventory service refuses; the proto's comments list each reason's metadata. */
export const InventoryError = defineErrors<InventoryErrorReason>({
  domain: "inventory.shop",
  reasons: InventoryErrorReasonSchema,
  codes: {
    [InventoryErrorReason.UNSPECIFIED]: Code.Unknown,
    [InventoryErrorReason.OUT_OF_STOCK]: Code.FailedPrecondition,
    [InventoryErrorReason.UNKNOWN_SKU]: Code.NotFound,
    [InventoryErrorReason.RESERVATION_NOT_FOUND]: Code.NotFound,
    [InventoryErrorReason.HOLD_EXPIRED]: Code.FailedPrecondition,
    [InventoryErrorReason.RESERVATION_ENDED]: Code.FailedPrecondition,
    [InventoryErrorReason.NOT_CONFIRMED]: Code.FailedPrecondition,
    [InventoryErrorReason.BELOW_RESERVED]: Code.FailedPrecondition,
    [InventoryErrorReason.ALREADY_RESERVED]: Code.AlreadyExists,
    [InventoryErrorReason.RESERVATION_PART_NOT_FOUND]: Code.FailedPrecondition,
    [InventoryErrorReason.TOO_MANY_LOCATIONS]: Code.FailedPrecondition,
    [InventoryErrorReason.RETURNED_TOO_MUCH]: Code.FailedPrecondition,
    [InventoryErrorReason.PART_FIXED]: Code.FailedPrecondition,
    [InventoryErrorReason.AMENDMENT_ENDED]: Code.FailedPrecondition,
    [InventoryErrorReason.EPISODE_OVER]: Code.FailedPrecondition,
  },
});

/** @returns RESERVATION_NOT_FOUND */
export function notFound(orderId: string): Error {
  const message = `order ${orderId} has no reservation`;
  return new InventoryError(InventoryErrorReason.RESERVATION_NOT_FOUND, message, { order_id: orderId });
}

/** @returns RESERVATION_PART_NOT_FOUND */
export function partNotFound(orderId: string, locationId: string): Error {
  const message = `nothing was ever set aside at ${locationId} for order ${orderId}`;
  const metadata = { order_id: orderId, location_id: locationId };
  return new InventoryError(InventoryErrorReason.RESERVATION_PART_NOT_FOUND, message, metadata);
}

/** @returns RESERVATION_ENDED */
export function ended(orderId: string): Error {
  const message = `the reservation of order ${orderId} was released or has left`;
  return new InventoryError(InventoryErrorReason.RESERVATION_ENDED, message, { order_id: orderId });
}

/** @returns NOT_CONFIRMED */
export function notConfirmed(orderId: string): Error {
  const message = `the reservation of order ${orderId} is not confirmed`;
  return new InventoryError(InventoryErrorReason.NOT_CONFIRMED, message, { order_id: orderId });
}

/** @returns ALREADY_RESERVED */
export function alreadyReserved(orderId: string): Error {
  const message = `order ${orderId} has a reservation with other lines`;
  return new InventoryError(InventoryErrorReason.ALREADY_RESERVED, message, { order_id: orderId });
}

/** @returns HOLD_EXPIRED */
export function holdExpired(orderId: string, cause: DomainError): Error {
  const { sku = "" } = cause.metadata;
  const metadata = { order_id: orderId, sku, cause: cause.reasonName };
  const message = `the hold of order ${orderId} ended, and ${cause.message}`;
  return new InventoryError(InventoryErrorReason.HOLD_EXPIRED, message, metadata, { cause });
}

/** @returns UNKNOWN_SKU */
export function unknownSku(sku: string): Error {
  return new InventoryError(InventoryErrorReason.UNKNOWN_SKU, `no location has ever had ${sku}`, { sku });
}

/** @returns OUT_OF_STOCK */
export function outOfStock(line: Line, available: bigint): Error {
  const metadata = { sku: line.sku, requested: String(line.quantity), available: String(available) };
  return new InventoryError(InventoryErrorReason.OUT_OF_STOCK, `only ${available} of ${line.sku} left`, metadata);
}

/** Whether there is only too little of something, which may change. */
export function isOutOfStock(cause: unknown): boolean {
  return cause instanceof InventoryError && cause.reason === InventoryErrorReason.OUT_OF_STOCK;
}

/** @returns TOO_MANY_LOCATIONS */
export function tooScattered(locations: number, parts: number): Error {
  const metadata = { locations: String(locations), parts: String(parts) };
  const message = `the stock would come in ${parts} parts from ${locations} locations, which is too many`;
  return new InventoryError(InventoryErrorReason.TOO_MANY_LOCATIONS, message, metadata);
}

/** @returns PART_FIXED */
export function partFixed(orderId: string, sku: string): Error {
  const message = `more of ${sku} has left, or is not to be changed, than order ${orderId} would have`;
  return new InventoryError(InventoryErrorReason.PART_FIXED, message, { order_id: orderId, sku });
}

/** @returns AMENDMENT_ENDED */
export function amendmentEnded({ orderId, number }: { orderId: string; number: number }): Error {
  const message = `amendment ${number} of order ${orderId} was ended before, or another one is under way`;
  const metadata = { order_id: orderId, number: String(number) };
  return new InventoryError(InventoryErrorReason.AMENDMENT_ENDED, message, metadata);
}

/** @returns BELOW_RESERVED */
export function belowReserved(level: Omit<Level, "updateTime">, delta: bigint): Error {
  const { sku, locationId, onHand, reserved } = level;
  const metadata = { sku, location_id: locationId, on_hand: String(onHand), reserved: String(reserved) };
  const message = `${onHand} of ${sku} at ${locationId}, ${reserved} of them set aside: ${-delta} cannot be taken away`;
  return new InventoryError(InventoryErrorReason.BELOW_RESERVED, message, metadata);
}

/** @returns RETURNED_TOO_MUCH */
export function returnedTooMuch(orderId: string, of: { sku: string; left: bigint; returned: bigint }): Error {
  const metadata = { order_id: orderId, sku: of.sku, left: String(of.left), returned: String(of.returned) };
  const message = `${of.left} of ${of.sku} have left for order ${orderId}: ${of.returned} cannot have come back`;
  return new InventoryError(InventoryErrorReason.RETURNED_TOO_MUCH, message, metadata);
}

/** @returns EPISODE_OVER */
export function episodeOver(orderId: string, fenced: Fenced, highest: number): Error {
  const message = `episode ${fenced.fence} of order ${orderId} is over: episode ${highest} has asked since`;
  const metadata = { order_id: orderId, ...fenceFacts(fenced, highest) };
  return new InventoryError(InventoryErrorReason.EPISODE_OVER, message, metadata);
}
