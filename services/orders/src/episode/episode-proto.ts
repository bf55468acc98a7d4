import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  CancellationAcceptedSchema,
  EpisodeCheckoutSchema,
  type EpisodeEvent,
  EpisodeEventSchema,
  type EpisodeOrder as EpisodeOrderProto,
  EpisodeOrderSchema,
  OrderPlacedSchema,
  RetryDueSchema,
  ShipmentReportedSchema,
  StepDecidedSchema,
} from "#gen/shop/sagas/v1/saga_pb.js";
import { type StartEpisodeRequest, StartEpisodeRequestSchema } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { whole } from "#platform/whole.ts";
import type { Episode, EpisodeCheckout, EpisodeOrder } from "./episode.ts";
import type { OrderHappening } from "./order-event.ts";

/**
 * The start of an episode; the same for the same orders. When it is repeated, the first one counts.
 *
 * @param screens whether orders are screened now
 */
export function toStartEpisode({ episodeId, orders }: Episode, screens: boolean): StartEpisodeRequest {
  return whole(StartEpisodeRequestSchema, { episodeId, orders: orders.map((order) => toOrderProto(order, screens)) });
}

function toOrderProto(order: EpisodeOrder, screens: boolean): EpisodeOrderProto {
  return whole(EpisodeOrderSchema, {
    orderId: order.orderId,
    customerId: order.customerId,
    total: { ...order.total },
    createTime: timestampFromDate(order.checkoutTime),
    traceparent: order.traceparent,
    saga: order.saga,
    events: order.events.map((event) => whole(EpisodeEventSchema, { event: toEventProto(event) })),
    checkout: order.checkout && toCheckoutProto(order.checkout, (screens || order.found) && !order.confirmed),
    confirmed: order.confirmed,
  });
}

function toCheckoutProto({ lines, shippingAddress, cardToken }: EpisodeCheckout, screen: boolean) {
  return whole(EpisodeCheckoutSchema, {
    lines: lines.map(({ sku, quantity, unitPrice, amount }) => ({ sku, quantity, unitPrice, amount })),
    shippingAddress: { ...shippingAddress, lines: [...shippingAddress.lines] },
    cardToken,
    screen,
  });
}

function toEventProto({ kind, detail }: OrderHappening): EpisodeEvent["event"] {
  switch (kind) {
    case "placed":
      return { case: "placed", value: whole(OrderPlacedSchema, {}) };
    case "shipment":
      return {
        case: "shipment",
        value: whole(ShipmentReportedSchema, {
          locationId: detail.locationId,
          news: detail.news,
          trackingNumber: detail.trackingNumber,
          reason: detail.reason,
        }),
      };
    case "cancellation":
      return { case: "cancellation", value: whole(CancellationAcceptedSchema, { reason: detail.reason }) };
    case "decision":
      return {
        case: "decision",
        value: whole(StepDecidedSchema, {
          step: detail.step,
          resolved: detail.resolved,
          requestId: detail.requestId,
        }),
      };
    case "retry":
      return { case: "retry", value: whole(RetryDueSchema, {}) };
  }
}
