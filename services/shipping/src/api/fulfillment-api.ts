import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type BatchBookShipmentsRequest,
  BatchBookShipmentsResponseSchema,
  type BatchCancelShipmentsRequest,
  BatchCancelShipmentsResponseSchema,
  type BatchRequestReturnLabelsRequest,
  BatchRequestReturnLabelsResponseSchema,
  type BatchTurnBackShipmentsRequest,
  BatchTurnBackShipmentsResponseSchema,
  type BookShipmentRequest,
  BookShipmentResponseSchema,
  type CancelShipmentRequest,
  CancelShipmentResponseSchema,
  type FulfillmentService,
  RequestReturnLabelResponseSchema,
  TurnBackShipmentResponseSchema,
  TurnBackState,
} from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { answerEach, answerEachInTime } from "#platform/batch/batch-call.ts";
import type { Subject } from "#platform/context.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { activeSpan } from "#platform/trace/spans.ts";
import { whole } from "#platform/whole.ts";
import type { Booking } from "../booking/booking.ts";
import { awaitsCarrier, judgeBooking, judgeCancellation } from "../booking/judgement.ts";
import type { CarrierRequestState } from "../request/carrier-request.ts";
import type { CarrierRequests } from "../request/carrier-requests.ts";
import { isTombstone, type Shipment } from "../shipment/shipment.ts";
import type { Shipments } from "../shipment/shipments.ts";
import { toBooking, toCancellation, toLabelRequest, toProto, toTurnBack } from "./shipment-proto.ts";

const turnBackStates: Readonly<Record<CarrierRequestState, TurnBackState>> = {
  asked: TurnBackState.ASKED,
  agreed: TurnBackState.AGREED,
  refused: TurnBackState.REFUSED,
};

/** What the API calls. */
export interface FulfillmentApiOptions {
  readonly booking: Booking;
  readonly shipments: Shipments;
  readonly requests: Pick<CarrierRequests, "turnBack" | "label">;
  readonly personal: PersonalData;
}

/** Hands shipments to the carrier and calls them off; the behaviour is in `fulfillment_service.proto`. */
export class FulfillmentApi implements ServiceImpl<typeof FulfillmentService> {
  readonly #booking: Booking;
  readonly #shipments: Shipments;
  readonly #requests: FulfillmentApiOptions["requests"];
  readonly #personal: PersonalData;

  constructor({ booking, shipments, requests, personal }: FulfillmentApiOptions) {
    this.#booking = booking;
    this.#shipments = shipments;
    this.#requests = requests;
    this.#personal = personal;
  }

  async batchBookShipments(batch: BatchBookShipmentsRequest, context: HandlerContext) {
    const about = { method: "BookShipment", subjectOf: orderOf };
    const outcomes = await answerEachInTime(batch, { about, caller: context.signal }, (request, enough) =>
      this.#book(request, context, enough),
    );
    return whole(BatchBookShipmentsResponseSchema, { outcomes });
  }

  async batchCancelShipments(batch: BatchCancelShipmentsRequest, context: HandlerContext) {
    const about = { method: "CancelShipment", subjectOf: orderOf };
    const outcomes = await answerEachInTime(batch, { about, caller: context.signal }, (request, enough) =>
      this.#cancel(request, context, enough),
    );
    return whole(BatchCancelShipmentsResponseSchema, { outcomes });
  }

  async batchTurnBackShipments(batch: BatchTurnBackShipmentsRequest, { signal }: HandlerContext) {
    const about = { method: "TurnBackShipment", subjectOf: orderOf };
    const outcomes = await answerEach(batch, about, async (request) => {
      const state = await this.#requests.turnBack(toTurnBack(request), { signal });
      return whole(TurnBackShipmentResponseSchema, { state: turnBackStates[state] });
    });
    return whole(BatchTurnBackShipmentsResponseSchema, { outcomes });
  }

  async batchRequestReturnLabels(batch: BatchRequestReturnLabelsRequest, { signal }: HandlerContext) {
    const about = { method: "RequestReturnLabel", subjectOf: orderOf };
    const outcomes = await answerEach(batch, about, async (request) => {
      await this.#requests.label(toLabelRequest(request), { signal });
      return whole(RequestReturnLabelResponseSchema, {});
    });
    return whole(BatchRequestReturnLabelsResponseSchema, { outcomes });
  }

  async #book(request: BookShipmentRequest, { signal }: HandlerContext, enough: AbortSignal) {
    const shipmentId = await this.#booking.book(toBooking(request), { signal }, enough);
    activeSpan()?.setAttribute("shipment.id", shipmentId);
    const shipment = await this.#lookOrAwait(shipmentId);
    // What the carrier decided meanwhile is judged like what it had decided before.
    judgeBooking(shipment);
    return whole(BookShipmentResponseSchema, {
      shipment: await toProto(this.#personal, shipment),
      pending: awaitsCarrier(shipment),
    });
  }

  async #cancel(request: CancelShipmentRequest, { signal }: HandlerContext, enough: AbortSignal) {
    const shipmentId = await this.#booking.cancel(toCancellation(request), { signal }, enough);
    activeSpan()?.setAttribute("shipment.id", shipmentId);
    const shipment = await this.#lookOrAwait(shipmentId);
    judgeCancellation(shipment);
    return whole(CancelShipmentResponseSchema, {
      shipment: isTombstone(shipment) ? undefined : await toProto(this.#personal, shipment),
      pending: awaitsCarrier(shipment),
    });
  }

  /** The shipment as it stands. Before a caller is told that it is undecided, it is noted that somebody waits for news. */
  async #lookOrAwait(shipmentId: string): Promise<Shipment> {
    const shipment = await this.#shipments.look(shipmentId);
    if (!awaitsCarrier(shipment) || !shipment.reported || shipment.awaited) return shipment;
    return (await this.#booking.awaitNews(shipmentId)) ? shipment : this.#shipments.look(shipmentId);
  }
}

function orderOf({ orderId }: { orderId: string }): Subject {
  return { "order.id": orderId };
}
