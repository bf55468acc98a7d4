import { selectList } from "#platform/database/columns.ts";
import { encodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { jsonWithKey, withKey } from "#platform/personal/personal-key.ts";
import { awaitsStock, type ShortagePolicy } from "./back-order-state.ts";
import { type CancelReason, openFailure } from "./cancel-reason.ts";
import { cancellationOf } from "./cancellation.ts";
import type {
  AmendmentStatus,
  NewOrder,
  Order,
  OrderAmendment,
  OrderExchange,
  OrderLine,
  OrderShipment,
  OrderStatus,
  ShipmentLine,
  ShipmentStatus,
  ShippingAddress,
  Shortage,
  TurnBack,
} from "./order.ts";
import { openAddress, openContact, type StoredContact } from "./order-person.ts";
import { type PriceColumns, toPrices } from "./price-row.ts";
import { awaitsReview } from "./review-state.ts";

/** A line as JSON: SKU, quantity, unit price; the price as text, because JSON has no 64-bit integers. */
export type LineJson = [sku: string, quantity: number, unitPrice: string];

/**
 * What an order costs once it is amended. What changes no line leaves the price as it is by then: something may have been missing of the order
 * since it was asked for. The amendment's alias is `a`.
 */
export const amendedTotal = (order: string): string => `case when a.lines is null then ${order}.total else a.total end`;

/** The lines of `o` as {@link LineJson}. */
export const linesOf = `select json_agg(json_build_array(sku, quantity, unit_price::text) order by line_number) as lines
    from order_line where order_line.order_id = o.order_id`;

/** Reads the lines of `o` beside it, so that an order is one row. */
export const withLines = `cross join lateral (${linesOf}) l`;

/** A parcel as it is stored. */
export interface ShipmentJson {
  readonly locationId: string;
  readonly shipmentId: string;
  readonly status: ShipmentStatus;
  readonly currency: string;
  readonly amount: string;
  readonly trackingNumber: string;
  /** Absent: not known. */
  readonly lines?: readonly ShipmentLine[];
  /** Absent: the carrier was not asked. */
  readonly turnBack?: TurnBack;
  /** Absent: there is none. */
  readonly returnId?: string;
  /** Minor units of its currency; absent: it was not lost, or all of its amount was paid back. */
  readonly refunded?: string;
}

/** A status that the order had, as it is stored; the time in milliseconds since 1970. */
export interface EventJson {
  readonly status: OrderStatus;
  readonly time: number;
}

/** The last amendment of an order as it is stored; times in milliseconds since 1970. */
export interface AmendmentJson {
  readonly number: number;
  readonly status: AmendmentStatus;
  readonly createTime: number;
  readonly decideTime?: number;
  readonly reason?: string;
  readonly message?: string;
  /** Parcels had left when it, or one before it, was accepted: they cost what they cost then. */
  readonly partly?: true;
}

/** What was missing of an order, as it is stored; the time in milliseconds since 1970, what it would have cost as text. */
export interface ShortageJson {
  readonly time: number;
  readonly total: string;
  readonly lines: readonly ShortLineJson[];
  /** What is to follow in an order of its own, once this one is confirmed; gone when it does, or nothing is to. */
  readonly rest?: RestJson | undefined;
  /** The order that it follows in, a uuid. */
  readonly followedBy?: string;
}

/** An order that is to be, as it is stored with the one of which it is the rest; its id is a uuid, amounts are texts. */
export interface RestJson extends PriceColumns {
  readonly id: string;
  readonly total: string;
  readonly lines: readonly LineJson[];
}

type ShortLineJson = readonly [sku: string, asked: number, there: number];

/** An order as the workflow before episodes is started with it; ids are uuids. */
export interface SagaOrderRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly total: bigint;
  /** A text when it is sealed, with its key. */
  readonly shippingAddress: ShippingAddress | string;
  readonly sagaId: string;
  readonly lines: LineJson[];
  readonly cardToken: string;
  readonly traceparent: string;
}

/** The address of `o`, with its key when it is sealed. */
export const addressOf = jsonWithKey("o.shipping_address");

/** The columns of {@link SagaOrderRow}, from `o` and {@link withLines}. */
export const sagaOrderColumns = selectList<SagaOrderRow>(
  {
    orderId: true,
    customerId: true,
    currency: true,
    total: true,
    shippingAddress: addressOf,
    sagaId: true,
    lines: "l.lines",
    cardToken: true,
    traceparent: true,
  },
  "o",
);

/** An order with its lines; ids are uuids. */
export interface OrderRow extends Omit<SagaOrderRow, "cardToken" | "traceparent">, StoredContact, PriceColumns {
  readonly status: OrderStatus;
  readonly shipments: ShipmentJson[];
  readonly failureReason: string | null;
  readonly failureMessage: string | null;
  /** A text when it is sealed, with its key; null when nobody said why. */
  readonly cancelReason: CancelReason | string | null;
  readonly history: EventJson[];
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
  /** Null while nobody is to decide about it. */
  readonly reviewTime: Date | null;
  readonly shortagePolicy: ShortagePolicy;
  /** Null while it does not wait for stock. */
  readonly backOrderTime: Date | null;
  readonly amendment: AmendmentJson | null;
  /** Null while no cancellation was accepted. */
  readonly cancelTime: Date | null;
  /** Null when nothing had left then. */
  readonly recall: RecallJson | null;
  /** Null: nothing was missing. */
  readonly shortage: ShortageJson | null;
  /** Null: it is the rest of none. */
  readonly restOf: string | null;
  /** Null: it is sent in exchange for nothing. */
  readonly exchange: ExchangeJson | null;
}

/** For what an order is sent in exchange, as it is stored; ids are uuids. */
export interface ExchangeJson {
  readonly orderId: string;
  readonly returnId: string;
  /** The credits that pay it, in minor units as text. */
  readonly credits: readonly string[];
}

/** A cancellation that was accepted when parcels had left. */
export interface RecallJson {
  /** Where the parcels leave from that were not with the customer. */
  readonly locations: readonly string[];
}

/** The columns of {@link OrderRow}, from `o` and {@link withLines}. */
export const orderColumns = selectList<OrderRow>(
  {
    orderId: true,
    customerId: true,
    givenName: true,
    familyName: true,
    email: true,
    contact: withKey("o.contact"),
    status: true,
    currency: true,
    total: true,
    adjustments: true,
    lineAmounts: true,
    shippingAddress: addressOf,
    shipments: true,
    failureReason: true,
    failureMessage: true,
    cancelReason: jsonWithKey("o.cancel_reason"),
    history: true,
    revision: true,
    createTime: true,
    updateTime: true,
    reviewTime: `case when ${awaitsReview} then o.review_time end`,
    shortagePolicy: true,
    backOrderTime: `case when ${awaitsStock} then o.back_order_time end`,
    amendment: true,
    cancelTime: true,
    recall: true,
    shortage: true,
    restOf: true,
    exchange: true,
    sagaId: "coalesce(o.last_episode_id, o.saga_id)",
    lines: "l.lines",
  },
  "o",
);

/** The orders of rows. */
export function toOrders(personal: PersonalData, rows: readonly OrderRow[]): Promise<Order[]> {
  return Promise.all(rows.map((row) => toOrder(personal, row)));
}

async function toOrder(personal: PersonalData, row: OrderRow): Promise<Order> {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    contact: await openContact(personal, row.customerId, row),
    status: row.status,
    lines: row.lines.map(toLine),
    total: { currency: row.currency, amount: row.total },
    prices: toPrices(row),
    shippingAddress: await openAddress(personal, row.orderId, row.shippingAddress),
    sagaId: encodeId(row.sagaId),
    shipments: row.shipments.map(toShipment),
    failure: await openFailure(personal, row),
    history: row.history.map(({ status, time }) => ({ status, time: new Date(time) })),
    revision: row.revision,
    createTime: row.createTime,
    updateTime: row.updateTime,
    reviewTime: row.reviewTime ?? undefined,
    shortagePolicy: row.shortagePolicy,
    backOrderTime: row.backOrderTime ?? undefined,
    amendment: row.amendment ? toAmendment(row.amendment) : undefined,
    cancellation: toCancellation(row),
    shortage: row.shortage ? toShortage(row.shortage, row.currency) : undefined,
    restOf: row.restOf === null ? undefined : encodeId(row.restOf),
    exchangeOf: row.exchange ? toExchange(row.exchange, row.currency) : undefined,
  };
}

function toExchange({ orderId, returnId, credits }: ExchangeJson, currency: string): OrderExchange {
  const amount = credits.reduce((sum, credit) => sum + BigInt(credit), 0n);
  return { orderId: encodeId(orderId), returnId: encodeId(returnId), credit: { currency, amount } };
}

function toShortage({ time, total, lines, rest, followedBy }: ShortageJson, currency: string): Shortage {
  return {
    restId: rest && encodeId(rest.id),
    followedBy: followedBy === undefined ? undefined : encodeId(followedBy),
    time: new Date(time),
    total: { currency, amount: BigInt(total) },
    lines: lines.map(([sku, asked, there]) => ({ sku, asked, there })),
  };
}

/** What was missing as the column holds it; the statement that writes it knows when. */
export function toShortageJson({ lines, total }: Pick<Shortage, "lines" | "total">): Omit<ShortageJson, "time"> {
  return { total: String(total.amount), lines: lines.map(({ sku, asked, there }) => [sku, asked, there]) };
}

/** What the saga of a row is started with. */
export async function toNewOrder(personal: PersonalData, row: SagaOrderRow): Promise<NewOrder> {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    lines: row.lines.map(toLine),
    total: { currency: row.currency, amount: row.total },
    // There were none.
    prices: undefined,
    shippingAddress: await openAddress(personal, row.orderId, row.shippingAddress),
    cardToken: row.cardToken,
    shortagePolicy: "reject",
    traceparent: row.traceparent,
  };
}

function toCancellation({ status, shipments, cancelTime, recall }: OrderRow): Order["cancellation"] {
  if (!cancelTime) return undefined;
  return cancellationOf({ status, shipments: shipments.map(toShipment), cancelTime, recalled: recall?.locations });
}

function toAmendment({ number, status, createTime, decideTime, reason, message = "" }: AmendmentJson): OrderAmendment {
  return {
    number,
    status,
    failure: reason === undefined ? undefined : { reason, customerMessage: message },
    createTime: new Date(createTime),
    decideTime: decideTime === undefined ? undefined : new Date(decideTime),
  };
}

/** A line as {@link linesOf} reads it back. */
export function toLineJson({ sku, quantity, unitPrice }: OrderLine): LineJson {
  return [sku, quantity, String(unitPrice)];
}

/** A parcel as the column holds it. */
export function toShipmentJson(shipment: OrderShipment): ShipmentJson {
  const { amount, lines, turnBack, returnId, refunded, ...rest } = shipment;
  return {
    ...rest,
    currency: amount.currency,
    amount: String(amount.amount),
    ...(lines.length > 0 && { lines }),
    ...(turnBack && { turnBack }),
    ...(returnId !== "" && { returnId }),
    ...(refunded && { refunded: String(refunded.amount) }),
  };
}

/** A line as the domain has it. */
export function toLine([sku, quantity, unitPrice]: LineJson): OrderLine {
  return { sku, quantity, unitPrice: BigInt(unitPrice) };
}

/** A parcel as the domain has it. */
export function toShipment(stored: ShipmentJson): OrderShipment {
  const { currency, amount, lines = [], turnBack, returnId = "", refunded, ...rest } = stored;
  const back = refunded === undefined ? undefined : { currency, amount: BigInt(refunded) };
  return { ...rest, amount: { currency, amount: BigInt(amount) }, lines, turnBack, returnId, refunded: back };
}
