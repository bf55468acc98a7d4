import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type BatchBookShipmentsRequest,
  type BatchCancelShipmentsRequest,
  type BookShipmentRequest,
  BookShipmentResponseSchema,
  type CancelShipmentRequest,
  CancelShipmentResponseSchema,
  type FulfillmentService as FulfillmentServiceDescriptor,
} from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import type { Subject } from "#platform/context.ts";
import { activeSpan } from "#platform/trace/spans.ts";
import type { Booking } from "../booking/booking.ts";
import { awaitsCarrier, isTombstone, judgeBooking, judgeCancellation } from "../shipment/shipment.ts";
import type { Shipments } from "../shipment/shipments.ts";
import { toBooking, toCancellation, toMessage } from "./shipment-proto.ts";

/** Hands parcels to the carrier and calls them off; the behaviour is in `fulfillment_service.proto`. */
export class FulfillmentService implements ServiceImpl<typeof FulfillmentServiceDescriptor> {
  readonly #booking: Booking;
  readonly #shipments: Shipments;

  constructor(booking: Booking, shipments: Shipments) {
    this.#booking = booking;
    this.#shipments = shipments;
  }

  async batchBookShipments(list: BatchBookShipmentsRequest, context: HandlerContext) {
    const about = { method: "BookShipment", subjectOf: orderOf };
    return { outcomes: await answerEach(list, about, (request) => this.#book(request, context)) };
  }

  async batchCancelShipments(list: BatchCancelShipmentsRequest, context: HandlerContext) {
    const about = { method: "CancelShipment", subjectOf: orderOf };
    return { outcomes: await answerEach(list, about, (request) => this.#cancel(request, context)) };
  }

  async #book(request: BookShipmentRequest, { signal }: HandlerContext) {
    const shipmentId = await this.#booking.book(toBooking(request), { signal });
    activeSpan()?.setAttribute("shipment.id", shipmentId);
    const shipment = await this.#shipments.look(shipmentId);
    // What the carrier decided meanwhile is judged like what it had decided before.
    judgeBooking(shipment);
    return create(BookShipmentResponseSchema, { shipment: toMessage(shipment), pending: awaitsCarrier(shipment) });
  }

  async #cancel(request: CancelShipmentRequest, { signal }: HandlerContext) {
    const shipmentId = await this.#booking.cancel(toCancellation(request), { signal });
    activeSpan()?.setAttribute("shipment.id", shipmentId);
    const shipment = await this.#shipments.look(shipmentId);
    judgeCancellation(shipment);
    if (isTombstone(shipment)) return create(CancelShipmentResponseSchema, {});
    return create(CancelShipmentResponseSchema, { shipment: toMessage(shipment), pending: awaitsCarrier(shipment) });
  }
}

function orderOf({ orderId }: { orderId: string }): Subject {
  return { "order.id": orderId };
}
