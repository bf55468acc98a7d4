import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Attributes } from "@opentelemetry/api";
import {
  type BatchCreateShipmentsRequest,
  type BatchGetShipmentsRequest,
  type CreateShipmentRequest,
  CreateShipmentResponseSchema,
  type GetShipmentRequest,
  GetShipmentResponseSchema,
  type ListShipmentsRequest,
  type ReportTrackingEventRequest,
  type ShippingService as ShippingServiceDescriptor,
} from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import type { Subject } from "#platform/context.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import type { Shipments } from "../shipment/shipments.ts";
import { toMessage, toNewShipment, toReport, toStatus } from "./shipment-proto.ts";

const defaultPageSize = 50;

/** Packs and tracks parcels; the behaviour is in `shipping_service.proto`. */
export class ShippingService implements ServiceImpl<typeof ShippingServiceDescriptor> {
  readonly #shipments: Shipments;
  readonly #tokens: PageTokens;

  constructor(shipments: Shipments, tokens: PageTokens) {
    this.#shipments = shipments;
    this.#tokens = tokens;
  }

  async createShipment(request: CreateShipmentRequest, { signal }: HandlerContext) {
    const shipment = toMessage(await this.#shipments.create(toNewShipment(request), { signal }));
    return create(CreateShipmentResponseSchema, { shipment });
  }

  async batchCreateShipments(list: BatchCreateShipmentsRequest, context: HandlerContext) {
    const about = { method: "CreateShipment", subjectOf: orderOf };
    return { outcomes: await answerEach(list, about, (request) => this.createShipment(request, context)) };
  }

  async getShipment({ shipmentId }: GetShipmentRequest, { signal }: HandlerContext) {
    const shipment = toMessage(await this.#shipments.get(shipmentId, { signal }));
    return create(GetShipmentResponseSchema, { shipment });
  }

  async batchGetShipments({ requests }: BatchGetShipmentsRequest, context: HandlerContext) {
    const about = { method: "GetShipment", subjectOf: () => ({}), attributesOf: shipmentOf };
    // The worker looks again and again while a parcel is on its way: that is no part of the story of each order.
    const list = { requests, traceparents: [] };
    return { outcomes: await answerEach(list, about, (request) => this.getShipment(request, context)) };
  }

  async listShipments(request: ListShipmentsRequest) {
    const { orderId } = request;
    const status = toStatus(request.status);
    const filter: Json = { method: "ListShipments", orderId, status: status ?? "" };
    const after = this.#tokens.open(request.pageToken, filter);
    const pageSize = request.pageSize || defaultPageSize;
    const found = await this.#shipments.list({
      orderId: orderId || undefined,
      status,
      after: typeof after === "string" ? after : undefined,
      limit: pageSize + 1,
    });
    const page = found.slice(0, pageSize);
    const last = page.at(-1);
    const nextPageToken = last && found.length > pageSize ? this.#tokens.seal(last.shipmentId, filter) : "";
    return { shipments: page.map(toMessage), nextPageToken };
  }

  async reportTrackingEvent(request: ReportTrackingEventRequest, { signal }: HandlerContext) {
    return { shipment: toMessage(await this.#shipments.report(toReport(request), { signal })) };
  }
}

function orderOf({ orderId }: CreateShipmentRequest): Subject {
  return { "order.id": orderId };
}

function shipmentOf({ shipmentId }: GetShipmentRequest): Attributes {
  return { "shipment.id": shipmentId };
}
