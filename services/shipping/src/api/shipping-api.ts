import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Attributes } from "@opentelemetry/api";
import {
  type BatchCreateShipmentsRequest,
  BatchCreateShipmentsResponseSchema,
  type BatchGetShipmentsRequest,
  BatchGetShipmentsResponseSchema,
  type CreateShipmentRequest,
  CreateShipmentResponseSchema,
  type GetShipmentRequest,
  GetShipmentResponseSchema,
  type ListShipmentsRequest,
  ListShipmentsResponseSchema,
  type ReportPackedRequest,
  ReportPackedResponseSchema,
  type ReportShortRequest,
  ReportShortResponseSchema,
  type ReportTrackingEventRequest,
  ReportTrackingEventResponseSchema,
  type ReportTrackingEventsRequest,
  ReportTrackingEventsResponseSchema,
  type ShippingService,
  TrackingEventTakenSchema,
  type TrackShipmentsRequest,
  TrackShipmentsResponseSchema,
} from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import type { Subject } from "#platform/context.ts";
import type { PageTokens } from "#platform/page-token.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { whole } from "#platform/whole.ts";
import type { PackingWords } from "../packing/packing-words.ts";
import type { Shipments } from "../shipment/shipments.ts";
import type { ShipmentLook } from "../tracking/shipment-look.ts";
import type { Tracking } from "../tracking/tracking.ts";
import { toNewShipment, toProto, toReport, toShortReason, toStatus, toTracked } from "./shipment-proto.ts";

/** What the API calls. */
export interface ShippingApiOptions {
  readonly shipments: Shipments;
  readonly words: PackingWords;
  readonly tracking: Tracking;
  readonly look: ShipmentLook;
  readonly pageTokens: PageTokens;
  readonly personal: PersonalData;
}

/** Packs and tracks shipments; the behaviour is in `shipping_service.proto`. */
export class ShippingApi implements ServiceImpl<typeof ShippingService> {
  readonly #shipments: Shipments;
  readonly #words: PackingWords;
  readonly #tracking: Tracking;
  readonly #look: ShipmentLook;
  readonly #pageTokens: PageTokens;
  readonly #personal: PersonalData;

  constructor({ shipments, words, tracking, look, pageTokens, personal }: ShippingApiOptions) {
    this.#shipments = shipments;
    this.#words = words;
    this.#tracking = tracking;
    this.#look = look;
    this.#pageTokens = pageTokens;
    this.#personal = personal;
  }

  async createShipment(request: CreateShipmentRequest, { signal }: HandlerContext) {
    const shipment = await this.#shipments.create(toNewShipment(request), { signal });
    return whole(CreateShipmentResponseSchema, { shipment: await toProto(this.#personal, shipment) });
  }

  async batchCreateShipments(batch: BatchCreateShipmentsRequest, context: HandlerContext) {
    const about = { method: "CreateShipment", subjectOf: orderOf };
    const outcomes = await answerEach(batch, about, (request) => this.createShipment(request, context));
    return whole(BatchCreateShipmentsResponseSchema, { outcomes });
  }

  async getShipment({ shipmentId }: GetShipmentRequest, { signal }: HandlerContext) {
    const shipment = await this.#shipments.get(shipmentId, { signal });
    return whole(GetShipmentResponseSchema, { shipment: await toProto(this.#personal, shipment) });
  }

  async batchGetShipments({ requests }: BatchGetShipmentsRequest, context: HandlerContext) {
    const about = { method: "GetShipment", subjectOf: () => ({}), attributesOf: shipmentOf };
    // The worker looks again and again while a shipment is on its way: that is no part of the story of each order.
    const batch = { requests, traceparents: [] };
    const outcomes = await answerEach(batch, about, (request) => this.getShipment(request, context));
    return whole(BatchGetShipmentsResponseSchema, { outcomes });
  }

  async listShipments(request: ListShipmentsRequest) {
    const { orderId } = request;
    const status = toStatus(request.status);
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: { method: "ListShipments", orderId, status: status ?? "" },
      place: (cursor) => (typeof cursor === "string" ? cursor : undefined),
      read: ({ after, limit }) => this.#shipments.list({ orderId: orderId || undefined, status, after, limit }),
      cursorOf: ({ shipmentId }) => shipmentId,
    });
    const shipments = await Promise.all(items.map((shipment) => toProto(this.#personal, shipment)));
    return whole(ListShipmentsResponseSchema, { shipments, nextPageToken });
  }

  async reportPacked({ shipmentId }: ReportPackedRequest, { signal }: HandlerContext) {
    const shipment = await this.#words.say({ shipmentId, short: undefined }, { signal });
    return whole(ReportPackedResponseSchema, { shipment: await toProto(this.#personal, shipment) });
  }

  async reportShort({ shipmentId, reason }: ReportShortRequest, { signal }: HandlerContext) {
    const shipment = await this.#words.say({ shipmentId, short: toShortReason(reason) }, { signal });
    return whole(ReportShortResponseSchema, { shipment: await toProto(this.#personal, shipment) });
  }

  async reportTrackingEvent(request: ReportTrackingEventRequest, { signal }: HandlerContext) {
    const shipment = await this.#tracking.report(toReport(request), { signal });
    return whole(ReportTrackingEventResponseSchema, { shipment: await toProto(this.#personal, shipment) });
  }

  async reportTrackingEvents({ requests }: ReportTrackingEventsRequest, { signal }: HandlerContext) {
    const about = { method: "ReportTrackingEvent", subjectOf: () => ({}) };
    const outcomes = await answerEach({ requests, traceparents: [] }, about, async (request) => {
      await this.#tracking.report(toReport(request), { signal });
      return whole(TrackingEventTakenSchema, {});
    });
    return whole(ReportTrackingEventsResponseSchema, { outcomes });
  }

  async trackShipments(request: TrackShipmentsRequest, { signal }: HandlerContext) {
    const { orderId } = request;
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: { method: "TrackShipments", orderId },
      place: (cursor) => (typeof cursor === "string" ? cursor : undefined),
      read: ({ after, limit }) => this.#look.find({ orderId, after, limit }),
      cursorOf: ({ shipment }) => shipment.shipmentId,
    });
    const tracked = await this.#look.look(items, signal);
    if (orderId === "" && nextPageToken === "") await this.#look.over(tracked);
    return whole(TrackShipmentsResponseSchema, { shipments: tracked.map(toTracked), nextPageToken });
  }
}

function orderOf({ orderId }: CreateShipmentRequest): Subject {
  return { "order.id": orderId };
}

function shipmentOf({ shipmentId }: GetShipmentRequest): Attributes {
  return { "shipment.id": shipmentId };
}
