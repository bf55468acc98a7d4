import { selectList } from "#platform/database/columns.ts";
import { encodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { jsonWithKey } from "#platform/personal/personal-key.ts";
import type { ShortagePolicy } from "../order/back-order-state.ts";
import type { OrderStatus, ShippingAddress } from "../order/order.ts";
import { amendmentCardPlace, cardWithKey, openCard, orderCardPlace } from "../order/order-cards.ts";
import { openAddress } from "../order/order-person.ts";
import { addressOf, amendedTotal, type LineJson, linesOf, toLine } from "../order/order-row.ts";
import type { Episode, EpisodeAmendment, EpisodeLine, EpisodeOrder, EpisodeReturn, ReturnedPart } from "./episode.ts";
import type { CarriedEvent } from "./order-event.ts";

/** The statuses in which the shipments of an order may have to be created yet. */
const checkoutStatuses = ["pending", "confirmed"] as const satisfies readonly OrderStatus[];

/** An order as its episode is started with it; ids are uuids. */
export interface EpisodeOrderRow {
  readonly orderId: string;
  readonly fence: number;
  readonly customerId: string;
  readonly currency: string;
  readonly total: bigint;
  readonly createTime: Date;
  readonly checkoutTime: Date;
  readonly ageMs: number;
  readonly traceparent: string;
  readonly saga: string | null;
  readonly episodeEvents: CarriedEvent[];
  readonly confirmed: boolean;
  /** Whether something was found about it: it is asked for, also where orders are screened no more. */
  readonly found: boolean;
  /** Null once the shipments are created. */
  readonly lines: LineJson[] | null;
  /** What each line costs; null where that is its quantity times its price, and once the shipments are created. */
  readonly lineAmounts: string[] | null;
  /** A text when it is sealed, with its key; null once the shipments are created. */
  readonly shippingAddress: ShippingAddress | string | null;
  /** With its key when it is sealed. */
  readonly cardToken: string | null;
  readonly shortagePolicy: ShortagePolicy;
  /** The lines as they were asked for: SKU, how many, and how many of them were there; null: nothing was missing. */
  readonly askedLines: (readonly [sku: string, asked: number, there: number])[] | null;
  /** For how long it has waited for stock; null: it does not. */
  readonly stockWaitMs: number | null;
  /** Null when nothing has come back. */
  readonly returns: ReturnJson[] | null;
  /** Null when there is none with which the saga is not through. */
  readonly amendment: AmendmentRow | null;
  /** A text when it is sealed, with its key. */
  readonly amendedAddress: ShippingAddress | string | null;
  /** Null when it was not cancelled after parcels had left. */
  readonly recalled: string[] | null;
  /** Returns that wait for a label, by their uuids; null: there is none. */
  readonly labels: { readonly id: string; readonly locationId: string }[] | null;
  /** In minor units as text; null: it is sent in exchange for nothing. */
  readonly credits: string[] | null;
}

/** Articles that have come back, as JSON; the id is a uuid, the amount is text. */
interface ReturnJson {
  readonly id: string;
  readonly amount: string;
  readonly grantedBy: string;
  readonly parcel: string;
  readonly parts: ReturnedPart[] | null;
  /** The order that is to be sent for it, a uuid; null: there is none. */
  readonly exchange: string | null;
  readonly credit: string;
}

/** As many as one episode takes of an order, and as many as there may be. */
const maxReturns = 20;

/** What of `o` has come back, and of which stock and money are not back: nothing is looked up before something can have come. */
const returnsOf = `case when o.status not in ('pending', 'confirmed', 'rejected') then (
      select json_agg(json_build_object('id', r.return_id, 'amount', r.amount::text, 'grantedBy', r.granted_by,
        'parcel', r.parcel_location_id, 'exchange', r.exchange_order_id, 'credit', r.exchange_credit::text, 'parts', (
        select json_agg(json_build_object('sku', l.sku, 'locationId', l.location_id, 'quantity', l.restocked) order by l.line_number)
        from order_return_line l where l.order_id = r.order_id and l.return_id = r.return_id and l.restocked > 0
      )) order by r.return_id)
      from (
        select * from order_return where order_return.order_id = o.order_id and status = 'received'
        order by return_id limit ${maxReturns}
      ) r
    ) end`;

/** The returns of `o` for which the carrier is to make labels: back to where the parcel left from, or where anything did. */
const labelsOf = `case when o.status not in ('pending', 'confirmed', 'rejected') then (
      select json_agg(json_build_object('id', r.return_id, 'locationId', coalesce(nullif(r.parcel_location_id, ''), s.location))
        order by r.return_id)
      from (
        select * from order_return where order_return.order_id = o.order_id and status = 'approved' and label_state = 'wanted'
        order by return_id limit ${maxReturns}
      ) r cross join (
        select p.value ->> 'locationId' as location from jsonb_array_elements(o.shipments) with ordinality p(value, n)
        where p.value ->> 'status' in ('shipped', 'delivered') order by p.n limit 1
      ) s
    ) end`;

interface AmendmentRow {
  readonly number: number;
  readonly accepted: boolean;
  readonly lines: LineJson[] | null;
  readonly lineAmounts: string[] | null;
  readonly total: string;
  /** With its key when it is sealed. */
  readonly cardToken: string;
}

/** What the order `o` is to become. */
const amendmentOf = (what: string) =>
  `case when o.amendment is not null then (select ${what} from order_amendment a where a.order_id = o.order_id) end`;

/** Of `o`, which is a row of `customer_order`, whether a checkout may be ahead of it, or shipments are to be created anew. */
const inCheckout = `(o.status in (${checkoutStatuses.map((status) => `'${status}'`).join(", ")})
    or o.amendment is not null and o.status = 'preparing')`;

/** When `o` was accepted by the database's clock; that of the replica that took it may be wrong by hours. */
const acceptTime = "coalesce(o.accept_time, o.create_time)";
/** When its checkout began: for an order that a person has released, or that has waited for stock, then. */
const checkoutTime = `coalesce(greatest(o.review_decide_time, o.stock_time), ${acceptTime})`;

/** The columns of {@link EpisodeOrderRow}, from `o`. */
export const episodeOrderColumns = selectList<EpisodeOrderRow>(
  {
    orderId: true,
    fence: "o.episodes",
    customerId: true,
    currency: true,
    total: true,
    createTime: acceptTime,
    checkoutTime,
    ageMs: `(extract(epoch from now() - ${checkoutTime}) * 1000)::float8`,
    traceparent: true,
    saga: "o.saga::text",
    episodeEvents: true,
    found: "o.review_reasons is not null",
    confirmed: `o.history @> '[{"status": "confirmed"}]'`,
    lines: `case when ${inCheckout} then (${linesOf}) end`,
    lineAmounts: `case when ${inCheckout} then o.line_amounts end`,
    shippingAddress: `case when ${inCheckout} then ${addressOf} end`,
    cardToken: cardWithKey("o.card_token"),
    shortagePolicy: true,
    askedLines: `case when ${inCheckout} then o.shortage->'lines' end`,
    stockWaitMs: `case when o.stock_time is null then (extract(epoch from now() - o.back_order_time) * 1000)::float8 end`,
    returns: returnsOf,
    amendment: amendmentOf(`json_build_object('number', a.number, 'accepted', o.amendment->>'status' = 'accepted',
      'lines', a.lines, 'lineAmounts', a.line_amounts, 'total', (${amendedTotal("o")})::text, 'cardToken', ${cardWithKey("a.card_token")})`),
    amendedAddress: amendmentOf(jsonWithKey("a.shipping_address")),
    recalled: "o.recall -> 'locations'",
    labels: labelsOf,
    credits: "o.exchange -> 'credits'",
  },
  "o",
);

/** How many bytes `o` adds to the start of an episode, roughly: texts, and what stands around them. */
export const episodeOrderBytes = `512 + coalesce(octet_length(o.saga::text), 0) + case when ${inCheckout} then
    octet_length(o.shipping_address::text) + 96 * (select count(*) from order_line where order_line.order_id = o.order_id)
  else 0 end + coalesce(${amendmentOf("octet_length(a.shipping_address::text) + octet_length(a.lines::text)")}, 0)`;

/** An episode and the orders that it carries still. */
export async function toEpisode(
  personal: PersonalData,
  episodeId: string,
  rows: readonly EpisodeOrderRow[],
): Promise<Episode> {
  return { episodeId, orders: await Promise.all(rows.map((row) => toEpisodeOrder(personal, row))) };
}

async function toEpisodeOrder(personal: PersonalData, row: EpisodeOrderRow): Promise<EpisodeOrder> {
  const { orderId, lines, lineAmounts, shippingAddress } = row;
  return {
    orderId: encodeId(orderId),
    fence: row.fence,
    customerId: encodeId(row.customerId),
    total: { currency: row.currency, amount: row.total },
    createTime: row.createTime,
    checkoutTime: row.checkoutTime,
    ageMs: row.ageMs,
    traceparent: row.traceparent,
    saga: row.saga ?? "",
    events: row.episodeEvents,
    confirmed: row.confirmed,
    found: row.found,
    shortagePolicy: row.shortagePolicy,
    stockWaitMs: row.stockWaitMs ?? undefined,
    returns: (row.returns ?? []).map(toReturn),
    checkout:
      lines && shippingAddress !== null
        ? {
            lines: toEpisodeLines(lines, lineAmounts),
            asked: row.askedLines?.map(([sku, quantity]) => ({ sku, quantity })),
            shippingAddress: await openAddress(personal, orderId, shippingAddress),
            cardToken: await openCard(personal, orderCardPlace(orderId), row.cardToken),
          }
        : undefined,
    amendment: row.amendment ? await toAmendment(personal, { ...row, amendment: row.amendment }) : undefined,
    recalled: row.recalled ?? undefined,
    labels: (row.labels ?? []).map(({ id, locationId }) => ({ returnId: encodeId(id), locationId })),
    credits: (row.credits ?? []).map(BigInt),
  };
}

async function toAmendment(
  personal: PersonalData,
  { orderId, currency, amendment, amendedAddress }: EpisodeOrderRow & { readonly amendment: AmendmentRow },
): Promise<EpisodeAmendment> {
  const { number, accepted, lines, lineAmounts, total, cardToken } = amendment;
  return {
    number,
    accepted,
    lines: lines ? toEpisodeLines(lines, lineAmounts) : undefined,
    total: { currency, amount: BigInt(total) },
    shippingAddress: amendedAddress === null ? undefined : await openAddress(personal, orderId, amendedAddress),
    cardToken: await openCard(personal, amendmentCardPlace(orderId), cardToken),
  };
}

function toEpisodeLines(lines: readonly LineJson[], amounts: readonly string[] | null): EpisodeLine[] {
  return lines.map((line, index) => ({ ...toLine(line), amount: amountAt(amounts, index) }));
}

function amountAt(amounts: readonly string[] | null, index: number): bigint | undefined {
  const amount = amounts?.[index];
  return amount === undefined ? undefined : BigInt(amount);
}

function toReturn({ id, amount, grantedBy, parcel, parts, exchange, credit }: ReturnJson): EpisodeReturn {
  return {
    returnId: encodeId(id),
    amount: BigInt(amount),
    grantedBy,
    parcelLocationId: parcel,
    parts: parts ?? [],
    exchange: exchange === null ? undefined : { orderId: encodeId(exchange), credit: BigInt(credit) },
  };
}
