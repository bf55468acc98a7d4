import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  CutOrderLineSchema,
  CutOrderResponseSchema,
  type DecideAmendmentRequest,
  type TransitionOrderRequest,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import {
  CancellationOutcome as CancellationOutcomeProto,
  CancelledParcelSchema,
  OrderAmendmentSchema,
  OrderAmendmentStatus,
  OrderCancellationSchema,
  type OrderEvent as OrderEventProto,
  OrderEventSchema,
  OrderExchangeSchema,
  type OrderLine as OrderLineProto,
  OrderLineSchema,
  type Order as OrderProto,
  OrderSchema,
  OrderShipmentLineSchema,
  type OrderShipment as OrderShipmentProto,
  OrderShipmentSchema,
  OrderShipmentStatus,
  OrderShortageLineSchema,
  OrderShortageSchema,
  OrderStatus as OrderStatusProto,
  type PriceAdjustment,
  PriceAdjustmentKind,
  PriceAdjustmentSchema,
  TurnBack as TurnBackProto,
} from "#gen/shop/orders/v1/order_pb.js";
import {
  type CreateOrderRequest,
  CreateOrderRequestSchema,
  type ListOrdersRequest,
  WaitFor,
} from "#gen/shop/orders/v1/order_service_pb.js";
import { type Address, AddressSchema } from "#gen/shop/type/v1/address_pb.js";
import { type Money as MoneyProto, MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import { ShortagePolicy as ShortagePolicyProto } from "#gen/shop/type/v1/shortage_pb.js";
import { requestContext } from "#platform/context.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import { wholeMs } from "#platform/timestamp.ts";
import { whole } from "#platform/whole.ts";
import type { AmendmentDecision } from "../amend/amendment-decisions.ts";
import type { ShortagePolicy } from "../order/back-order-state.ts";
import type { KeyedOrder, OrderFilter } from "../order/order.repository.ts";
import type {
  Adjustment,
  AmendmentStatus,
  CancellationOutcome,
  Money,
  NewOrder,
  Order,
  OrderAmendment,
  OrderCancellation,
  OrderEvent,
  OrderLine,
  OrderShipment,
  OrderStatus,
  ShipmentStatus,
  ShippingAddress,
  Shortage,
  TurnBack,
} from "../order/order.ts";
import { newOrderId } from "../order/order-id.ts";
import type { Change, Move } from "../order/order-transition.repository.ts";
import { type PricedAdjustment, type PricedArticles, priceOf } from "../order/prices.ts";

const statusToProto = {
  pending: OrderStatusProto.PENDING,
  confirmed: OrderStatusProto.CONFIRMED,
  preparing: OrderStatusProto.PREPARING,
  shipped: OrderStatusProto.SHIPPED,
  delivered: OrderStatusProto.DELIVERED,
  rejected: OrderStatusProto.REJECTED,
  cancelled: OrderStatusProto.CANCELLED,
  failed: OrderStatusProto.FAILED,
} as const satisfies Record<OrderStatus, OrderStatusProto>;

const shipmentStatusToProto = {
  planned: OrderShipmentStatus.PLANNED,
  shipped: OrderShipmentStatus.SHIPPED,
  delivered: OrderShipmentStatus.DELIVERED,
  cancelled: OrderShipmentStatus.CANCELLED,
  lost: OrderShipmentStatus.LOST,
  returned: OrderShipmentStatus.RETURNED,
} as const satisfies Record<ShipmentStatus, OrderShipmentStatus>;

const turnBackToProto = {
  asked: TurnBackProto.ASKED,
  agreed: TurnBackProto.AGREED,
  refused: TurnBackProto.REFUSED,
} as const satisfies Record<TurnBack, TurnBackProto>;

const outcomeToProto = {
  pending: CancellationOutcomeProto.PENDING,
  cancelled: CancellationOutcomeProto.CANCELLED,
  turning_back: CancellationOutcomeProto.TURNING_BACK,
  return: CancellationOutcomeProto.RETURN,
  kept: CancellationOutcomeProto.KEPT,
} as const satisfies Record<CancellationOutcome, CancellationOutcomeProto>;

const amendmentStatusToProto = {
  pending: OrderAmendmentStatus.PENDING,
  accepted: OrderAmendmentStatus.ACCEPTED,
  refused: OrderAmendmentStatus.REFUSED,
} as const satisfies Record<AmendmentStatus, OrderAmendmentStatus>;

const adjustmentKindToProto = {
  shipping: PriceAdjustmentKind.SHIPPING,
  discount: PriceAdjustmentKind.DISCOUNT,
  tax: PriceAdjustmentKind.TAX,
} as const satisfies Record<Adjustment["kind"], PriceAdjustmentKind>;

const policyToProto = {
  reject: ShortagePolicyProto.REJECT,
  back_order: ShortagePolicyProto.BACK_ORDER,
  ship_available: ShortagePolicyProto.SHIP_AVAILABLE,
  ship_and_back_order: ShortagePolicyProto.SHIP_AND_BACK_ORDER,
} as const satisfies Record<ShortagePolicy, ShortagePolicyProto>;

const policyFromProto = reversed<ShortagePolicy>(policyToProto);
const statusFromProto = reversed<OrderStatus>(statusToProto);
const shipmentStatusFromProto = reversed<ShipmentStatus>(shipmentStatusToProto);
const turnBackFromProto = reversed<TurnBack>(turnBackToProto);
const adjustmentKindFromProto = reversed<Adjustment["kind"]>(adjustmentKindToProto);

function reversed<T extends string>(table: Readonly<Record<T, number>>): ReadonlyMap<number, T> {
  return new Map(Object.entries<number>(table).map(([name, value]) => [value, name as T]));
}

/**
 * A request as a new order, with an id of its own. What the caller waits for is not part of what it orders, so it may
 * differ in a repeated call.
 *
 * @throws CURRENCY_MISMATCH, TOTAL_TOO_LARGE, TOTAL_MISMATCH, BELOW_ZERO
 */
export function toKeyedOrder(request: CreateOrderRequest): KeyedOrder {
  const { requestId, customerId, cardToken } = request;
  return {
    requestId,
    fingerprint: fingerprint(CreateOrderRequestSchema, { ...request, waitFor: WaitFor.UNSPECIFIED }),
    orderId: newOrderId(customerId),
    customerId,
    ...toContent(request),
    cardToken,
    shortagePolicy: policyFromProto.get(request.shortagePolicy) ?? "reject",
    traceparent: requestContext().traceParent ?? "",
  };
}

/** What is ordered, what it costs, and where it goes. @throws CURRENCY_MISMATCH, TOTAL_TOO_LARGE, TOTAL_MISMATCH, BELOW_ZERO */
export function toContent(
  given: Pick<CreateOrderRequest, "lines" | "adjustments" | "total" | "shippingAddress">,
): Pick<NewOrder, "lines" | "total" | "prices" | "shippingAddress"> {
  const priced = toPricedOrder(given);
  const { total, prices } = priceOf(priced);
  return {
    lines: priced.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice: unitPrice.amount })),
    total,
    prices,
    shippingAddress: toAddress(given.shippingAddress ?? create(AddressSchema)),
  };
}

/** What is to be paid, as the caller says. */
export function toPricedOrder(request: Pick<CreateOrderRequest, "lines" | "adjustments" | "total">): PricedArticles {
  return {
    lines: request.lines.map(({ sku, quantity, unitPrice, adjustments }) => ({
      sku,
      quantity,
      unitPrice: toMoney(unitPrice),
      adjustments: adjustments.map(toAdjustment),
    })),
    adjustments: request.adjustments.map(toAdjustment),
    total: request.total,
  };
}

/** An address as the domain has it. */
export function toAddress({ recipient, lines, city, postalCode, country }: Address): ShippingAddress {
  return { recipient, lines, city, postalCode, country };
}

/** Where the saga wants an order to go. */
export function toMove(request: TransitionOrderRequest): Move {
  const { to, ...change } = toChange(request);
  if (to === undefined) throw new RangeError(`${request.status} is not the status of an order`);
  return { ...change, to, followed: request.followed };
}

/** What the saga makes of an amendment. */
export function toAmendmentDecision(request: DecideAmendmentRequest): AmendmentDecision {
  const { orderId, number, failure, shipments, partly } = request;
  return {
    orderId,
    number,
    failure: failure && { reason: failure.reason, customerMessage: failure.customerMessage },
    shipments: shipments.length === 0 ? undefined : shipments.map(toShipment),
    partly,
  };
}

/** Where the saga wants an order to go, or to stay. */
export function toChange(
  request: Pick<TransitionOrderRequest, "orderId" | "status" | "failure" | "shipments">,
): Change {
  const { orderId, status, failure, shipments } = request;
  return {
    orderId,
    to: statusFromProto.get(status),
    failure: failure && { reason: failure.reason, customerMessage: failure.customerMessage },
    shipments: shipments.length === 0 ? undefined : shipments.map(toShipment),
  };
}

/**
 * The filter of a list; nothing given is any. Orders are created at whole milliseconds, as the bounds are.
 *
 * @param owner the only customer whose orders are looked at; undefined: those of all
 * @returns undefined when it is about the orders of somebody else
 */
export function toFilter(request: ListOrdersRequest, owner?: string): OrderFilter | undefined {
  const customerId = request.customerId || undefined;
  if (owner !== undefined && customerId !== undefined && customerId !== owner) return undefined;
  return {
    customerId: owner ?? customerId,
    status: statusFromProto.get(request.status),
    createdFrom: wholeMs(request.createTimeFrom),
    createdUntil: wholeMs(request.createTimeUntil),
  };
}

/** An order as callers see it. */
export function toProto(order: Order): OrderProto {
  const { total, prices, shippingAddress } = order;
  const { currency } = total;
  return whole(OrderSchema, {
    orderId: order.orderId,
    customerId: order.customerId,
    contact: order.contact,
    status: statusToProto[order.status],
    lines: order.lines.map((line, index) => toLineProto(line, prices?.lineAdjustments[index] ?? [], currency)),
    total,
    shippingAddress: { ...shippingAddress, lines: [...shippingAddress.lines] },
    sagaId: order.sagaId,
    shipments: order.shipments.map(toShipmentProto),
    failure: order.failure,
    history: order.history.map(toEventProto),
    revision: order.revision,
    createTime: timestampFromDate(order.createTime),
    updateTime: timestampFromDate(order.updateTime),
    reviewTime: order.reviewTime && timestampFromDate(order.reviewTime),
    shortagePolicy: policyToProto[order.shortagePolicy],
    backOrderTime: order.backOrderTime && timestampFromDate(order.backOrderTime),
    adjustments: (prices?.adjustments ?? []).map((adjustment) => toAdjustmentProto(adjustment, currency)),
    amendment: order.amendment && toAmendmentProto(order.amendment),
    cancellation: order.cancellation && toCancellationProto(order.cancellation),
    shortage: order.shortage && toShortageProto(order.shortage),
    restOf: order.restOf ?? "",
    exchangeOf: order.exchangeOf && whole(OrderExchangeSchema, order.exchangeOf),
  });
}

function toCancellationProto({ outcome, createTime, parcels }: OrderCancellation) {
  return whole(OrderCancellationSchema, {
    outcome: outcomeToProto[outcome],
    createTime: timestampFromDate(createTime),
    parcels: parcels.map((parcel) =>
      whole(CancelledParcelSchema, {
        locationId: parcel.locationId,
        outcome: outcomeToProto[parcel.outcome],
        returnId: parcel.returnId,
      }),
    ),
  });
}

/** What customers read. */
const shortageTexts = {
  gone: "Not all of it was in stock. What was missing is not part of the order any more, and is not charged.",
  follows: "Not all of it was in stock. What is missing follows in an order of its own, and is charged when it ships.",
} as const;

function toShortageProto({ lines, total, time, restId, followedBy }: Shortage) {
  const follows = restId !== undefined || followedBy !== undefined;
  return whole(OrderShortageSchema, {
    lines: lines.map(({ sku, asked, there }) =>
      whole(OrderShortageLineSchema, { sku, askedQuantity: asked, thereQuantity: there }),
    ),
    total,
    customerMessage: follows ? shortageTexts.follows : shortageTexts.gone,
    createTime: timestampFromDate(time),
    followedBy: followedBy ?? "",
  });
}

/** An order as the saga goes on with it. */
export function toCutOrderProto({ lines, total, prices, shortage }: Order) {
  return whole(CutOrderResponseSchema, {
    lines: lines.map(({ sku, quantity, unitPrice }, index) =>
      whole(CutOrderLineSchema, { sku, quantity, unitPrice, amount: prices?.lineAmounts[index] }),
    ),
    total,
    followed: shortage?.restId !== undefined || shortage?.followedBy !== undefined,
  });
}

function toAmendmentProto({ number, status, failure, createTime, decideTime }: OrderAmendment) {
  return whole(OrderAmendmentSchema, {
    number,
    status: amendmentStatusToProto[status],
    failure,
    createTime: timestampFromDate(createTime),
    decideTime: decideTime && timestampFromDate(decideTime),
  });
}

/** A status of a request; undefined when it is not said. */
export function fromStatusProto(status: OrderStatusProto): OrderStatus | undefined {
  return statusFromProto.get(status);
}

/** The number of a status in the contract. */
export function toStatusProto(status: OrderStatus): OrderStatusProto {
  return statusToProto[status];
}

function toShipment(shipment: OrderShipmentProto): OrderShipment {
  const { locationId, shipmentId, trackingNumber, returnId, refunded } = shipment;
  return {
    locationId,
    shipmentId,
    status: shipmentStatusFromProto.get(shipment.status) ?? "planned",
    amount: toMoney(shipment.amount),
    trackingNumber,
    lines: shipment.lines.map(({ sku, quantity }) => ({ sku, quantity })),
    turnBack: turnBackFromProto.get(shipment.turnBack),
    returnId,
    refunded: refunded && toMoney(refunded),
  };
}

/** A line with what it costs besides. */
export function toLineProto(
  { sku, quantity, unitPrice }: OrderLine,
  adjustments: readonly Adjustment[],
  currency: string,
): OrderLineProto {
  return whole(OrderLineSchema, {
    sku,
    quantity,
    unitPrice: { currency, amount: unitPrice },
    adjustments: adjustments.map((adjustment) => toAdjustmentProto(adjustment, currency)),
  });
}

function toAdjustmentProto({ kind, name, amount, included }: Adjustment, currency: string): PriceAdjustment {
  return whole(PriceAdjustmentSchema, {
    kind: adjustmentKindToProto[kind],
    name,
    amount: { currency, amount },
    included,
  });
}

/** @throws RangeError for a kind that the rules of the contract have let through by mistake */
function toAdjustment({ kind, name, amount, included }: PriceAdjustment): PricedAdjustment {
  const known = adjustmentKindFromProto.get(kind);
  if (known === undefined || amount === undefined) throw new RangeError(`${kind} is not the kind of an adjustment`);
  return { kind: known, name, amount, included };
}

function toShipmentProto(shipment: OrderShipment): OrderShipmentProto {
  return whole(OrderShipmentSchema, {
    locationId: shipment.locationId,
    shipmentId: shipment.shipmentId,
    status: shipmentStatusToProto[shipment.status],
    amount: shipment.amount,
    trackingNumber: shipment.trackingNumber,
    lines: shipment.lines.map(({ sku, quantity }) => whole(OrderShipmentLineSchema, { sku, quantity })),
    turnBack: shipment.turnBack ? turnBackToProto[shipment.turnBack] : TurnBackProto.UNSPECIFIED,
    returnId: shipment.returnId,
    refunded: shipment.refunded,
  });
}

function toEventProto({ status, time }: OrderEvent): OrderEventProto {
  return whole(OrderEventSchema, { status: statusToProto[status], eventTime: timestampFromDate(time) });
}

/** An amount of the contract; of nothing when it is absent. */
export function toMoney(money: MoneyProto | undefined): Money {
  const { currency, amount } = money ?? create(MoneySchema);
  return { currency, amount };
}
