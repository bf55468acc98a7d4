import { type AuditEntry, type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList, writtenColumns } from "#platform/database/columns.ts";
import { type Keyed, type KeySpace, keyMethod } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { personalKeyColumns } from "#platform/personal/personal-key.ts";
import { amendmentPending, cardNeeded, notAmendable, orderChanged, orderNotFound } from "../order/errors.ts";
import type { OrderLine, OrderStatus, Prices, ShippingAddress } from "../order/order.ts";
import { amendActions } from "../order/order-audit.ts";
import { amendmentCardPlace, type OrderCards } from "../order/order-cards.ts";
import type { OrderNotes } from "../order/order-notes.ts";
import { addressPlace } from "../order/order-person.ts";
import { type LineJson, toLineJson } from "../order/order-row.ts";
import { type PriceColumns, toPriceColumns } from "../order/price-row.ts";

/** The statuses of orders of which something may still be packed otherwise. */
const amendable = ["pending", "confirmed", "preparing"] as const satisfies readonly OrderStatus[];

/** What an order is to become. */
export interface AmendmentWish extends Keyed {
  readonly method: string;
  readonly orderId: string;
  /** Undefined: lines and price stay as they are. */
  readonly priced:
    | { readonly lines: readonly OrderLine[]; readonly total: bigint; readonly prices: Prices | undefined }
    | undefined;
  /** Undefined: as before. */
  readonly shippingAddress: ShippingAddress | undefined;
  /** Empty: none is named. */
  readonly cardToken: string;
  /** The revision that the order must have; 0: any. */
  readonly revision: number;
  /** Why, for the record; may be empty. */
  readonly reason: string;
  readonly origin: AuditOrigin;
}

/** An amendment that is under way. */
export interface AcceptedAmendment {
  readonly number: number;
}

/** The request ids of amendments: each order has its own. */
export const amendmentKeys: KeySpace<{ readonly method: string; readonly orderId: string }> = {
  method: ({ method }) => method,
  scope: ({ orderId }) => orderId,
};

interface AskedRow extends PriceColumns {
  readonly lines: readonly LineJson[] | undefined;
  readonly total: string | undefined;
  readonly shipping_address: ShippingAddress | string | undefined;
  readonly card_token: string;
}

const asked = writtenColumns<
  Omit<AskedRow, keyof PriceColumns> & { readonly adjustments: unknown; readonly line_amounts: unknown }
>({
  lines: "jsonb",
  total: "bigint",
  adjustments: "jsonb",
  line_amounts: "jsonb",
  shipping_address: "jsonb",
  card_token: "text",
});

interface StandingRow {
  readonly status: OrderStatus;
  readonly currency: string;
  readonly total: bigint;
  readonly revision: number;
  /** Of the amendment that is under way; null when none is. */
  readonly pending: number | null;
  /** Whether it may be amended at all. */
  readonly open: boolean;
  /** Of the one that was taken now. */
  readonly number: number | null;
}

const standingColumns = selectList<StandingRow>({
  status: true,
  currency: true,
  total: true,
  revision: true,
  pending: true,
  open: true,
  number: "(select number from accepted)",
});

/** SQL: whether an amendment that is accepted may need its card. */
const needsCard = "(amended > total or status = 'pending')";

/**
 * Judged under the row's lock. What it asks for lies apart until it is decided: the order is as it was. A parcel that leaves at this moment is
 * none of its business: whether the amendment comes too late is decided where the parcels are.
 */
const accept: SqlText = {
  name: "amendment_accept",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_record($3::json) as i(${asked.typed})
  ), locked as materialized (
    select order_id, customer_id, status, currency, total, revision, amendment,
      case when amendment->>'status' = 'pending' or exists (select from order_amendment a where a.order_id = o.order_id)
        then (amendment->>'number')::int end as pending,
      status = any('{${amendable.join(",")}}') and saga_id = order_id and cancel_time is null
        and not exists (select from erasure where erasure.customer_id = o.customer_id) as open
    from customer_order o where order_id = $1 for no key update
  ), accepted as materialized (
    select l.*, coalesce((amendment->>'number')::int, 0) + 1 as number, coalesce(i.total, l.total) as amended, i.lines,
      i.adjustments, i.line_amounts, i.shipping_address, i.card_token
    from locked l cross join input i
    where open and pending is null and (revision = $2 or $2 = 0)
      and (coalesce(i.total, l.total) <= l.total or i.card_token <> '')
  ), keyed as (
    insert into idempotency_key (method, request_id, fingerprint, response)
    select $5, $6, $7, int4send(number) from accepted
  ), asked as (
    insert into order_amendment (order_id, number, lines, total, adjustments, line_amounts, shipping_address, card_token)
    select order_id, number, lines, amended, adjustments, line_amounts, shipping_address,
      case when ${needsCard} then card_token else '' end from accepted
  ), sealed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id
    from accepted cross join json_to_recordset($8::json) as k(${personalKeyColumns.typed}, card boolean)
    where card is null or ${needsCard}
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, 'amendment:' || number, 'amendment', jsonb_build_object('number', number) from accepted
  ), audited as (${insertAuditEvents("$4", {
    join: "cross join accepted",
    details: `a.details || jsonb_build_object('number', accepted.number::text, 'currency', accepted.currency,
      'from', accepted.total::text, 'to', accepted.amended::text)`,
  })}
  ), marked as (
    update customer_order o set amendment = jsonb_build_object('number', number, 'status', 'pending',
        'createTime', floor(extract(epoch from now()) * 1000)::bigint)
      || case when accepted.amendment ? 'partly' then '{"partly": true}'::jsonb else '{}'::jsonb end
    from accepted where o.order_id = accepted.order_id
  )
  select ${standingColumns} from locked`,
};

/** Writes down what orders are to become. */
export class AmendmentRepository {
  readonly #database: Queryable;
  readonly #personal: PersonalData;
  readonly #cards: OrderCards;
  readonly #notes: OrderNotes;

  constructor(
    database: Queryable,
    { personal, cards, notes }: { personal: PersonalData; cards: OrderCards; notes: OrderNotes },
  ) {
    this.#database = database;
    this.#personal = personal;
    this.#cards = cards;
    this.#notes = notes;
  }

  /**
   * Takes an amendment, with its key, its event and its row in the audit log, or says why not.
   *
   * @returns ORDER_NOT_FOUND, NOT_AMENDABLE, AMENDMENT_PENDING, ORDER_CHANGED, CARD_NEEDED as values
   * @throws a unique violation of `idempotency_key_pkey` when the request id was used before; nothing is written
   */
  async accept(wish: AmendmentWish): Promise<AcceptedAmendment | Error> {
    const { orderId, requestId, fingerprint, revision, reason, origin } = wish;
    const { row, keys } = await this.#protect(wish);
    const note = await this.#notes.protect(reason, { orderId, requestId: origin.requestId });
    const entry: AuditEntry = { action: amendActions.asked, orderId, details: note.details, origin };
    const values = [
      decodeId(orderId),
      revision,
      JSON.stringify(row),
      auditEvents([entry]),
      keyMethod(amendmentKeys, wish),
      requestId,
      fingerprint,
      JSON.stringify([...keys, ...(note.key ? [note.key] : [])]),
    ];
    const [standing] = await this.#database.query<StandingRow>(accept, values);
    if (!standing) return orderNotFound(orderId);
    return standing.number === null ? refusalOf(wish, standing) : { number: standing.number };
  }

  /** A new address lies as that of the order does, so that it can take its place. */
  async #protect({ orderId, priced, shippingAddress, cardToken }: AmendmentWish) {
    const id = decodeId(orderId);
    const address = shippingAddress && (await this.#personal.protect(addressPlace(id), shippingAddress));
    const card = await this.#cards.protect(amendmentCardPlace(id), cardToken);
    const { adjustments, lineAmounts } = toPriceColumns(priced?.prices);
    const row = {
      lines: priced?.lines.map(toLineJson),
      total: priced && String(priced.total),
      adjustments,
      line_amounts: lineAmounts,
      shipping_address: address?.stored,
      card_token: card.stored,
    };
    return { row, keys: [...(address?.key ? [address.key] : []), ...(card.key ? [{ ...card.key, card: true }] : [])] };
  }
}

function refusalOf({ orderId, revision, priced }: AmendmentWish, standing: StandingRow): Error {
  const { status, currency, total, pending, open } = standing;
  if (!open) return notAmendable(orderId, status);
  if (pending !== null) return amendmentPending(orderId, pending);
  if (revision !== 0 && revision !== standing.revision) return orderChanged(orderId, standing.revision);
  return cardNeeded(orderId, { total: { currency, amount: total }, amended: priced?.total ?? total });
}
