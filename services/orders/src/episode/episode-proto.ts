import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  AmendmentRequestedSchema,
  AskedArticleSchema,
  CancellationAcceptedSchema,
  EpisodeAmendmentSchema,
  EpisodeCheckoutSchema,
  type EpisodeEvent,
  EpisodeEventSchema,
  EpisodeExchangeSchema,
  EpisodeLabelSchema,
  type EpisodeOrder as EpisodeOrderProto,
  EpisodeOrderSchema,
  EpisodeRecallSchema,
  EpisodeReturnSchema,
  OrderPlacedSchema,
  RetryDueSchema,
  ReturnedPartSchema,
  ShipmentReportedSchema,
  StepDecidedSchema,
} from "#gen/shop/sagas/v1/saga_pb.js";
import { type StartEpisodeRequest, StartEpisodeRequestSchema } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { whole } from "#platform/whole.ts";
import type { ShortagePolicy as OrderPolicy } from "../order/back-order-state.ts";
import type { Episode, EpisodeAmendment, EpisodeCheckout, EpisodeLine, EpisodeOrder } from "./episode.ts";
import type { OrderHappening } from "./order-event.ts";

/** What counts for all checkouts of an episode. */
export interface CheckoutPolicy {
  /** Whether orders are screened now. */
  readonly screens: boolean;
  /** How long an order waits for stock, at most, in milliseconds. */
  readonly backOrderMaxMs: number;
}

/** The start of an episode; the same for the same orders. When it is repeated, the first one counts. */
export function toStartEpisode({ episodeId, orders }: Episode, policy: CheckoutPolicy): StartEpisodeRequest {
  return whole(StartEpisodeRequestSchema, { episodeId, orders: orders.map((order) => toOrderProto(order, policy)) });
}

function toOrderProto(order: EpisodeOrder, policy: CheckoutPolicy): EpisodeOrderProto {
  return whole(EpisodeOrderSchema, {
    orderId: order.orderId,
    fence: order.fence,
    customerId: order.customerId,
    total: { ...order.total },
    createTime: timestampFromDate(order.checkoutTime),
    traceparent: order.traceparent,
    saga: order.saga,
    events: order.events.map((event) => whole(EpisodeEventSchema, { event: toEventProto(event) })),
    checkout: order.checkout && toCheckoutProto(order, order.checkout, policy),
    confirmed: order.confirmed,
    returns: order.returns.map(({ returnId, parts, amount, grantedBy, parcelLocationId, exchange }) =>
      whole(EpisodeReturnSchema, {
        returnId,
        amount,
        grantedBy,
        parcelLocationId,
        exchange: exchange && whole(EpisodeExchangeSchema, exchange),
        parts: parts.map((part) => whole(ReturnedPartSchema, part)),
      }),
    ),
    amendment: order.amendment && toAmendmentProto(order.amendment),
    labels: order.labels.map((label) => whole(EpisodeLabelSchema, label)),
    credits: [...order.credits],
    recall: order.recalled && whole(EpisodeRecallSchema, { locationIds: [...order.recalled] }),
  });
}

function toAmendmentProto({ number, accepted, lines = [], total, shippingAddress, cardToken }: EpisodeAmendment) {
  return whole(EpisodeAmendmentSchema, {
    number,
    accepted,
    lines: lines.map(toLineProto),
    total: { ...total },
    shippingAddress: shippingAddress && { ...shippingAddress, lines: [...shippingAddress.lines] },
    cardToken,
  });
}

function toLineProto({ sku, quantity, unitPrice, amount }: EpisodeLine) {
  return { sku, quantity, unitPrice, amount };
}

function toCheckoutProto(
  { found, confirmed, shortagePolicy, stockWaitMs = 0 }: EpisodeOrder,
  { lines, asked = [], shippingAddress, cardToken }: EpisodeCheckout,
  { screens, backOrderMaxMs }: CheckoutPolicy,
) {
  return whole(EpisodeCheckoutSchema, {
    lines: lines.map(toLineProto),
    shippingAddress: { ...shippingAddress, lines: [...shippingAddress.lines] },
    cardToken,
    screen: (screens || found) && !confirmed,
    shortagePolicy: policyOf(shortagePolicy, stockWaitMs < backOrderMaxMs),
    asked: asked.map(({ sku, quantity }) => whole(AskedArticleSchema, { sku, quantity })),
  });
}

function policyOf(policy: OrderPolicy, mayWait: boolean): ShortagePolicy {
  if (policy === "ship_available") return ShortagePolicy.SHIP_AVAILABLE;
  if (!mayWait || policy === "reject") return ShortagePolicy.REJECT;
  return policy === "back_order" ? ShortagePolicy.BACK_ORDER : ShortagePolicy.SHIP_AND_BACK_ORDER;
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
          generation: detail.generation ?? 0,
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
    case "amendment":
      return { case: "amendment", value: whole(AmendmentRequestedSchema, { number: detail.number }) };
  }
}
