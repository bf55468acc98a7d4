import { Code } from "@connectrpc/connect";
import { ShippingErrorReason, ShippingErrorReasonSchema } from "#gen/shop/shipping/v1/shipping_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";
import { type Fenced, fenceFacts } from "#platform/fence.ts";

/** Refusals of the shipping service; each reason's facts are listed in `shipping_error_reason.proto`. */
export const ShippingError = defineErrors<ShippingErrorReason>({
  domain: "shipping.shop",
  reasons: ShippingErrorReasonSchema,
  codes: {
    [ShippingErrorReason.UNSPECIFIED]: Code.Unknown,
    [ShippingErrorReason.SHIPMENT_NOT_FOUND]: Code.NotFound,
    [ShippingErrorReason.SHIPMENT_CANCELLED]: Code.FailedPrecondition,
    [ShippingErrorReason.NOT_READY]: Code.FailedPrecondition,
    [ShippingErrorReason.CARRIER_REFUSED]: Code.FailedPrecondition,
    [ShippingErrorReason.ALREADY_SHIPPED]: Code.FailedPrecondition,
    [ShippingErrorReason.PACKING_FAILED]: Code.FailedPrecondition,
    [ShippingErrorReason.ALREADY_PACKED]: Code.FailedPrecondition,
    [ShippingErrorReason.NOT_SHIPPED]: Code.FailedPrecondition,
    [ShippingErrorReason.EPISODE_OVER]: Code.FailedPrecondition,
  },
});

/**
 * Nothing is known under what the caller named.
 *
 * @param metadata `shipment_id`, or `order_id` and `location_id`, or `tracking_number`
 */
export function shipmentNotFound(metadata: Record<string, string>): Error {
  const named = Object.entries(metadata).map(([name, value]) => `${name} ${value}`);
  const message = `there is no shipment with ${named.join(" and ")}`;
  return new ShippingError(ShippingErrorReason.SHIPMENT_NOT_FOUND, message, metadata);
}

/** A later episode of the order has asked about one of its shipments. */
export function episodeOver({ orderId, ...fenced }: Fenced & { orderId: string }, highest: number): Error {
  const message = `episode ${fenced.fence} of order ${orderId} is over: episode ${highest} has asked since`;
  const metadata = { order_id: orderId, ...fenceFacts(fenced, highest) };
  return new ShippingError(ShippingErrorReason.EPISODE_OVER, message, metadata);
}

/** The shipment was called off, perhaps before it was created. */
export function shipmentCancelled(shipment: { orderId: string; locationId: string }): Error {
  const { orderId, locationId } = shipment;
  const message = `the shipment of order ${orderId} from ${locationId} was cancelled`;
  const metadata = { order_id: orderId, location_id: locationId };
  return new ShippingError(ShippingErrorReason.SHIPMENT_CANCELLED, message, metadata);
}

/** The warehouse has not packed it yet. */
export function notReady(shipment: { shipmentId: string; status: string }): Error {
  const { shipmentId, status } = shipment;
  const metadata = { shipment_id: shipmentId, status: status.toUpperCase() };
  return new ShippingError(ShippingErrorReason.NOT_READY, `shipment ${shipmentId} is ${status}, not ready`, metadata);
}

/** The warehouse is through with it: it is packed, or cannot be. */
export function alreadyPacked({ shipmentId, status }: { shipmentId: string; status: string }): Error {
  const metadata = { shipment_id: shipmentId, status: status.toUpperCase() };
  const message = `shipment ${shipmentId} is ${status}: this can only happen to one that is not packed yet`;
  return new ShippingError(ShippingErrorReason.ALREADY_PACKED, message, metadata);
}

/** The carrier has it: it cannot be called off any more. */
export function alreadyShipped(shipment: { shipmentId: string }): Error {
  const { shipmentId } = shipment;
  const metadata = { shipment_id: shipmentId };
  return new ShippingError(ShippingErrorReason.ALREADY_SHIPPED, `the carrier has shipment ${shipmentId}`, metadata);
}

/** The carrier does not have it: it cannot be turned back. */
export function notShipped({ shipmentId, status }: { shipmentId: string; status: string }): Error {
  const metadata = { shipment_id: shipmentId, status: status.toUpperCase() };
  const message = `shipment ${shipmentId} is ${status}, and only one that the carrier has can be turned back`;
  return new ShippingError(ShippingErrorReason.NOT_SHIPPED, message, metadata);
}

/** The carrier does not take it. */
export function carrierRefused(shipmentId: string, code: string): Error {
  const metadata = { shipment_id: shipmentId, carrier_code: code };
  const message = `the carrier refused shipment ${shipmentId}: ${code}`;
  return new ShippingError(ShippingErrorReason.CARRIER_REFUSED, message, metadata);
}

/** The warehouse cannot pack it. */
export function packingFailed(shipmentId: string, code: string): Error {
  const metadata = { shipment_id: shipmentId, warehouse_code: code };
  const message = `the warehouse cannot pack shipment ${shipmentId}: ${code}`;
  return new ShippingError(ShippingErrorReason.PACKING_FAILED, message, metadata);
}
