import { type AuditEntry, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable, Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { personalKeyColumns, withKey } from "#platform/personal/personal-key.ts";
import { type DecisionDetail, eventIds } from "../episode/order-event.ts";
import type { Order, OrderShipment } from "../order/order.ts";
import { cardKeyOf, exchangeCardPlace, isSealedCard, OrderCards } from "../order/order-cards.ts";
import {
  type EventJson,
  type LineJson,
  type ShipmentJson,
  toLine,
  toLineJson,
  toShipment,
  toShipmentJson,
  withLines,
} from "../order/order-row.ts";
import { changeChannel } from "../order/order-transition.repository.ts";
import { type PriceColumns, toPriceColumns, toPrices } from "../order/price-row.ts";
import type {
  LabelState,
  OrderReturn,
  ReturnKind,
  ReturnLine,
  ReturnReason,
  ReturnStatus,
  WrittenReturn,
} from "./order-return.ts";
import type { ExchangeState, ReturnExchange } from "./return-exchange.ts";
import { openText, protectText, type ReturnText, textOfReturn } from "./return-texts.ts";

/** An order that is locked, as far as returns have to know it. */
export interface LockedOrder
  extends Pick<Order, "orderId" | "customerId" | "lines" | "prices" | "total" | "shipments"> {
  /** When all of it had arrived; undefined: it has not. */
  readonly deliverTime: Date | undefined;
  /** Whether it is carried by a workflow of the kind before episodes, which knows of no returns. */
  readonly isLegacy: boolean;
  /** Whether it was cancelled when parcels of it had left. */
  readonly isRecalled: boolean;
  /** By the database's clock. */
  readonly now: Date;
}

interface LockedRow extends PriceColumns {
  readonly customerId: string;
  readonly currency: string;
  readonly total: bigint;
  readonly lines: LineJson[];
  readonly shipments: ShipmentJson[];
  readonly history: EventJson[];
  readonly isLegacy: boolean;
  readonly isRecalled: boolean;
  readonly now: Date;
}

const lockedColumns = selectList<LockedRow>(
  {
    customerId: true,
    currency: true,
    total: true,
    adjustments: true,
    lineAmounts: true,
    lines: "l.lines",
    shipments: true,
    history: true,
    isLegacy: "o.saga_id <> o.order_id",
    isRecalled: "o.recall is not null",
    now: "now()",
  },
  "o",
);

const lock: SqlText = {
  name: "return_lock_order",
  text: `select ${lockedColumns} from (
      select * from customer_order where order_id = $1 and ($2::uuid is null or customer_id = $2) for no key update
    ) o ${withLines}`,
};

/** A line as JSON; the amount as text, because JSON has no 64-bit integers. */
type ReturnLineJson = [
  lineNumber: number,
  sku: string,
  quantity: number,
  received: number,
  restocked: number,
  locationId: string,
  amount: string,
];

/** SQL: the card of what is to be sent instead for `r`. */
const wantedCard = "(r.exchange ->> 'cardToken')";

/** What is to be sent instead, as it is stored: what nobody needs any more is not there. The total is minor units of the return's currency. */
interface WantedExchangeJson extends Partial<PriceColumns> {
  readonly lines: readonly LineJson[];
  readonly total: string;
  /** A sealed one is read with its key. */
  readonly cardToken?: string;
}

interface ReturnRow {
  readonly orderId: string;
  readonly returnId: string;
  readonly customerId: string;
  readonly status: ReturnStatus;
  readonly kind: ReturnKind;
  readonly reason: ReturnReason;
  readonly currency: string;
  readonly amount: bigint;
  readonly withheld: bigint;
  readonly trackingNumber: string;
  readonly parcelLocationId: string;
  readonly labelState: LabelState;
  readonly label: string;
  readonly labelCode: string;
  readonly grantedBy: string;
  readonly exchange: WantedExchangeJson | null;
  readonly exchangeState: Exclude<ExchangeState, "given_back"> | "";
  readonly exchangeOrderId: string | null;
  readonly exchangeCredit: bigint;
  readonly exchangeReason: string;
  /** Whether the order that was sent instead came to nothing. */
  readonly exchangeFailed: boolean;
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly lines: ReturnLineJson[] | null;
  readonly note: ReturnText | string | null;
  readonly answer: ReturnText | string | null;
  /** The step of its order that waits for an operator. */
  readonly parkedStep: string | null;
}

const returnColumns = selectList<ReturnRow>(
  {
    orderId: true,
    returnId: true,
    customerId: true,
    status: true,
    kind: true,
    reason: true,
    currency: true,
    amount: true,
    withheld: true,
    trackingNumber: true,
    parcelLocationId: true,
    labelState: true,
    label: true,
    labelCode: true,
    grantedBy: true,
    exchange: `case when ${isSealedCard(wantedCard)}
      then jsonb_set(r.exchange, '{cardToken}', to_jsonb(${withKey(wantedCard)})) else r.exchange end`,
    exchangeState: true,
    exchangeOrderId: true,
    exchangeCredit: true,
    exchangeReason: true,
    // What came to nothing may be deleted.
    exchangeFailed: `r.exchange_state = 'made' and not exists (select from customer_order n
      where n.order_id = r.exchange_order_id and n.status not in ('rejected', 'cancelled', 'failed'))`,
    revision: true,
    createTime: true,
    updateTime: true,
    lines: `(select json_agg(json_build_array(line_number, sku, quantity, received, restocked, location_id, amount::text)
        order by line_number) from order_return_line l where l.order_id = r.order_id and l.return_id = r.return_id)`,
    note: textOfReturn("note"),
    answer: textOfReturn("answer"),
    parkedStep: "(select parked_step from customer_order o where o.order_id = r.order_id)",
  },
  "r",
);

const findOfOrders: SqlText = {
  name: "return_of_orders",
  text: `select ${returnColumns} from order_return r where r.order_id = any($1::uuid[]) order by r.order_id, r.return_id`,
};

const find: SqlText = {
  name: "return_find",
  text: `select ${returnColumns} from order_return r
    where r.order_id = $1 and r.return_id = $2 and ($3::uuid is null or r.customer_id = $3)`,
};

/** What of a return is written; ids are uuids, amounts text. */
interface SavedRow {
  readonly order_id: string;
  readonly return_id: string;
  readonly customer_id: string;
  readonly status: ReturnStatus;
  readonly kind: ReturnKind;
  readonly reason: ReturnReason;
  readonly currency: string;
  readonly amount: string;
  readonly withheld: string;
  readonly tracking_number: string;
  readonly parcel_location_id: string;
  readonly label_state: LabelState;
  readonly label: string;
  readonly label_code: string;
  readonly granted_by: string;
  readonly exchange: WantedExchangeJson | undefined;
  readonly exchange_state: ReturnRow["exchangeState"];
  readonly exchange_order_id: string | undefined;
  readonly exchange_credit: string;
  readonly exchange_reason: string;
  readonly revision: number;
}

const saved = writtenColumns<SavedRow>({
  order_id: "uuid",
  return_id: "uuid",
  customer_id: "uuid",
  status: "text",
  kind: "text",
  reason: "text",
  currency: "text",
  amount: "bigint",
  withheld: "bigint",
  tracking_number: "text",
  parcel_location_id: "text",
  label_state: "text",
  label: "text",
  label_code: "text",
  granted_by: "text",
  exchange: "jsonb",
  exchange_state: "text",
  exchange_order_id: "uuid",
  exchange_credit: "bigint",
  exchange_reason: "text",
  revision: "int",
});

interface SavedLine {
  readonly order_id: string;
  readonly return_id: string;
  readonly line_number: number;
  readonly sku: string;
  readonly quantity: number;
  readonly received: number;
  readonly restocked: number;
  readonly location_id: string;
  readonly amount: string;
}

const savedLine = writtenColumns<SavedLine>({
  order_id: "uuid",
  return_id: "uuid",
  line_number: "int",
  sku: "text",
  quantity: "int",
  received: "int",
  restocked: "int",
  location_id: "text",
  amount: "bigint",
});

/**
 * Writes a return as it is from now on, with all that belongs to it, under the lock of its order. What somebody wrote who was erased
 * meanwhile is not kept.
 */
const save: SqlText = {
  name: "return_save",
  prepared: false,
  text: `with unsealed as (
    delete from personal_key using order_return r join json_to_recordset($1::json) as i(order_id uuid, return_id uuid)
      using (order_id, return_id)
    where personal_key.key_id = ${cardKeyOf(wantedCard)}
  ), carded as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id
    from json_to_recordset($10::json) as i(${personalKeyColumns.typed}, customer_id uuid)
    where not exists (select from erasure where erasure.customer_id = i.customer_id)
  ), saved as (
    insert into order_return as r (${saved.names}) select ${saved.names} from json_to_recordset($1::json) as i(${saved.typed})
    on conflict (order_id, return_id) do update set status = excluded.status, amount = excluded.amount,
      withheld = excluded.withheld, tracking_number = excluded.tracking_number, revision = excluded.revision,
      label_state = excluded.label_state, label = excluded.label, label_code = excluded.label_code,
      exchange = excluded.exchange, exchange_state = excluded.exchange_state, exchange_reason = excluded.exchange_reason,
      exchange_order_id = excluded.exchange_order_id, exchange_credit = excluded.exchange_credit,
      update_time = greatest(now(), r.update_time)
  ), lined as (
    insert into order_return_line (${savedLine.names})
    select ${savedLine.names} from json_to_recordset($2::json) as i(${savedLine.typed})
    on conflict (order_id, return_id, line_number) do update set received = excluded.received, restocked = excluded.restocked,
      location_id = excluded.location_id, amount = excluded.amount
  ), texts as materialized (
    select * from json_to_recordset($3::json) as i(order_id uuid, return_id uuid, customer_id uuid, kind text, text jsonb,
      ${personalKeyColumns.typed})
    where not exists (select from erasure where erasure.customer_id = i.customer_id)
  ), keyed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from texts where key_id is not null
  ), told as (
    insert into order_return_text (order_id, return_id, kind, customer_id, text)
    select order_id, return_id, kind, customer_id, text from texts
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, event_id, 'decision', detail from json_to_recordset($4::json) as i(order_id uuid, event_id text, detail jsonb)
    on conflict do nothing
  ), audited as (${insertAuditEvents("$5")})
  insert into idempotency_key (method, request_id, fingerprint, response)
  select $6::text, $7::text, $8::bytea, $9::bytea where $7::text <> ''`,
};

/** A parcel is lost; the transaction has locked the order. */
const lose: SqlText = {
  name: "return_parcel_lost",
  prepared: false,
  text: `with lost as (
    update customer_order set shipments = $2::jsonb, revision = revision + 1, update_time = greatest(now(), update_time)
    where order_id = $1 returning order_id
  ), announced as (
    select pg_notify('${changeChannel}', $3) from lost
  ), audited as (${insertAuditEvents("$4")})
  select count(*) from announced`,
};

/** What the saga is told to look at: it is given all that has come with the next episode. */
export const takeBackStep = "take-back";

/** Those of which something came, and nothing is under way. One that waits for an operator is carried when he has decided. */
const remind: SqlText = {
  name: "return_remind",
  prepared: false,
  text: `with forgotten as materialized (
    select distinct r.order_id from (
      select order_id from order_return where status = 'received' and update_time < now() - $1 * interval '1 millisecond'
      order by return_id limit $2
    ) r cross join lateral (
      select from customer_order o where o.order_id = r.order_id and o.episode_id is null and o.episode_events is null
        and o.parked_step is null limit 1
    ) o
    where not exists (select from order_event e where e.order_id = r.order_id)
  )
  insert into order_event (order_id, event_id, kind, detail)
  select order_id, 'decision:${takeBackStep}:again', 'decision',
    jsonb_build_object('step', '${takeBackStep}', 'resolved', false, 'requestId', 'again')
  from forgotten on conflict do nothing returning order_id as "orderId"`,
};

/** Of what was granted nothing comes back, and a second person may take days to approve it: see RefundsUnapproved. */
const oldestWaiting: SqlText = {
  name: "return_oldest_waiting",
  prepared: false,
  text: `select
      (select coalesce(extract(epoch from now() - min(update_time)), 0)::float8
        from order_return where status = 'received' and kind <> 'goodwill') as received,
      (select coalesce(extract(epoch from now() - min(update_time)), 0)::float8
        from order_return where status = 'approved' and label_state = 'refused') as unlabelled`,
};

/** How long the oldest returns have waited, in seconds; 0 when none does. */
export interface OldestReturns {
  /** Since they came, for stock and money to be back. */
  readonly received: number;
  /** Since the carrier has refused a label, for somebody to name a number. */
  readonly unlabelled: number;
}

/** What is written with a return. */
export interface SavedReturn {
  readonly now: WrittenReturn;
  /** Whether the order is to be carried, because something came. */
  readonly isToBeCarried: boolean;
  /** What is written now; a text that was written before is not written again. */
  readonly texts: { readonly note?: string; readonly answer?: string };
  readonly audit: AuditEntry;
  /** The key of the request; an empty request id: nobody's. */
  readonly key: { readonly method: string; readonly requestId: string; readonly fingerprint: Buffer };
}

/** Which returns a list shows. */
export interface ReturnFilter {
  readonly orderId: string | undefined;
  readonly customerId: string | undefined;
  readonly status: ReturnStatus | undefined;
  /** Of what is approved. */
  readonly labelState: LabelState | undefined;
}

/** Reads and writes returns. */
export class OrderReturnRepository {
  readonly #database: Database;
  readonly #personal: PersonalData;
  readonly #cards: OrderCards;

  constructor(database: Database, personal: PersonalData, cards = new OrderCards(personal)) {
    this.#database = database;
    this.#personal = personal;
    this.#cards = cards;
  }

  /** Locks an order, and reads what returns have to know of it; undefined when there is none, or it is somebody else's than the owner's. */
  async lockOrder(tx: Transaction, orderId: string, owner: string | undefined): Promise<LockedOrder | undefined> {
    const [row] = await tx.query<LockedRow>(lock, [decodeId(orderId), owner && decodeId(owner)]);
    if (!row) return undefined;
    const delivered = row.history.find(({ status }) => status === "delivered");
    return {
      orderId,
      customerId: encodeId(row.customerId),
      lines: row.lines.map(toLine),
      prices: toPrices(row),
      total: { currency: row.currency, amount: row.total },
      shipments: row.shipments.map(toShipment),
      deliverTime: delivered && new Date(delivered.time),
      isLegacy: row.isLegacy,
      isRecalled: row.isRecalled,
      now: row.now,
    };
  }

  /** All returns of some orders, by order, the oldest first. */
  async ofOrders(orderIds: readonly string[], database: Queryable = this.#database): Promise<OrderReturn[]> {
    if (orderIds.length === 0) return [];
    const rows = await database.query<ReturnRow>(findOfOrders, [orderIds.map(decodeId)]);
    return Promise.all(rows.map((row) => this.#toReturn(row)));
  }

  /** One return; undefined when there is none, or it is somebody else's than the owner's. */
  async find(orderId: string, returnId: string, owner: string | undefined): Promise<OrderReturn | undefined> {
    const values = [decodeId(orderId), decodeId(returnId), owner && decodeId(owner)];
    const [row] = await this.#database.query<ReturnRow>(find, values);
    return row && this.#toReturn(row);
  }

  /** At most `limit` returns, the newest first, older than the return `after` when it is given. */
  async list(filter: ReturnFilter, page: { after: string | undefined; limit: number }): Promise<OrderReturn[]> {
    const { statement, values } = listStatement(filter, page);
    const rows = await this.#database.query<ReturnRow>(statement, values);
    return Promise.all(rows.map((row) => this.#toReturn(row)));
  }

  /** Writes a return with all that belongs to it, and commits. */
  async save(tx: Transaction, { now, isToBeCarried, texts, audit, key }: SavedReturn): Promise<void> {
    const { orderId, returnId, customerId } = now;
    const ids = { orderId, returnId };
    const written = await Promise.all([
      protectText(this.#personal, { ...ids, kind: "note" }, { text: texts.note ?? "", customerId }),
      protectText(this.#personal, { ...ids, kind: "answer" }, { text: texts.answer ?? "", customerId }),
    ]);
    const card = await this.#cards.protect(exchangeCardPlace(decodeId(returnId)), now.exchange?.cardToken ?? "");
    await tx.commitWith(save, [
      JSON.stringify([toSavedRow(now, card.stored)]),
      JSON.stringify(now.lines.map((line) => toSavedLine(ids, line))),
      JSON.stringify(written.flat()),
      JSON.stringify(isToBeCarried ? [eventOf(now)] : []),
      auditEvents([audit]),
      key.method,
      key.requestId,
      key.fingerprint,
      Buffer.from(returnId),
      JSON.stringify(card.key ? [{ ...card.key, customer_id: decodeId(customerId) }] : []),
    ]);
  }

  /** Writes down that a parcel of an order is lost. */
  async lose(
    tx: Transaction,
    lost: { readonly orderId: string; readonly shipments: readonly OrderShipment[]; readonly audit: AuditEntry },
  ): Promise<void> {
    const { orderId, shipments, audit } = lost;
    await tx.query(lose, [
      decodeId(orderId),
      JSON.stringify(shipments.map(toShipmentJson)),
      orderId,
      auditEvents([audit]),
    ]);
  }

  /** Has at most `limit` orders carried of which something came before `ageMs`, and nothing is under way; returns which. */
  async remind(ageMs: number, limit: number): Promise<string[]> {
    const rows = await this.#database.query<{ orderId: string }>(remind, [ageMs, limit]);
    return rows.map(({ orderId }) => encodeId(orderId));
  }

  /** How long the oldest returns have waited. */
  async oldest(): Promise<OldestReturns> {
    const [row] = await this.#database.query<OldestReturns>(oldestWaiting);
    return row ?? { received: 0, unlabelled: 0 };
  }

  async #toExchange(row: ReturnRow): Promise<ReturnExchange | undefined> {
    const place = exchangeCardPlace(row.returnId);
    return toExchange(row, await this.#cards.open(place, row.exchange?.cardToken ?? null));
  }

  async #toReturn(row: ReturnRow): Promise<OrderReturn> {
    const { orderId, returnId, customerId, currency, amount, lines, note, answer, parkedStep, ...others } = row;
    const { exchange, exchangeState, exchangeOrderId, exchangeCredit, exchangeReason, exchangeFailed, ...rest } =
      others;
    const id = encodeId(returnId);
    return {
      ...rest,
      orderId: encodeId(orderId),
      returnId: id,
      customerId: encodeId(customerId),
      note: await openText(this.#personal, { returnId, kind: "note" }, note),
      answer: await openText(this.#personal, { returnId, kind: "answer" }, answer),
      lines: (lines ?? []).map(toReturnLine),
      amount: { currency, amount },
      exchange: await this.#toExchange(row),
      isDelayed: rest.status === "received" && parkedStep?.endsWith(`:${id}`) === true,
    };
  }
}

const highestId = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** The statement of a list and its values. */
export function listStatement(
  { orderId, customerId, status, labelState }: ReturnFilter,
  page: { after: string | undefined; limit: number },
): { statement: SqlText; values: unknown[] } {
  const values: unknown[] = [page.after === undefined ? highestId : decodeId(page.after), page.limit];
  const conditions = ["return_id < $1"];
  const by: string[] = [];
  const add = (column: string, value: string | undefined) => {
    if (value === undefined) return;
    conditions.push(`${column} = $${values.push(value)}`);
    by.push(`_${column}`);
  };
  add("order_id", orderId && decodeId(orderId));
  add("customer_id", customerId && decodeId(customerId));
  add("status", status);
  add("label_state", labelState);
  // The index of labels has no others.
  if (labelState) conditions.push("status = 'approved' and label_state <> ''");
  // biome-ignore lint/plugin/sql: the conditions are those above, with parameters
  const text = `select ${returnColumns} from (
      select * from order_return where ${conditions.join(" and ")} order by return_id desc limit $2
    ) r order by r.return_id desc`;
  return { statement: { name: `return_list${by.join("")}`, text }, values };
}

function toExchange(row: ReturnRow, cardToken: string): ReturnExchange | undefined {
  const { currency, exchange, exchangeState, exchangeOrderId, exchangeCredit, exchangeReason, exchangeFailed } = row;
  if (!exchange || exchangeState === "") return undefined;
  const { lines, total, adjustments, lineAmounts } = exchange;
  return {
    state: exchangeFailed ? "given_back" : exchangeState,
    lines: lines.map(toLine),
    total: { currency, amount: BigInt(total) },
    prices: toPrices({ adjustments, lineAmounts }),
    cardToken,
    orderId: exchangeOrderId ? encodeId(exchangeOrderId) : "",
    credit: exchangeCredit,
    reason: exchangeReason,
  };
}

/** @param card as it is to lie */
function toExchangeColumns(exchange: ReturnExchange | undefined, card: string) {
  if (!exchange) {
    const none = { exchange: undefined, exchange_order_id: undefined, exchange_credit: "0", exchange_reason: "" };
    return { ...none, exchange_state: "" } as const;
  }
  const { lines, total, prices, state, orderId, credit, reason } = exchange;
  const content = { lines: lines.map(toLineJson), total: String(total.amount), ...toPriceColumns(prices) };
  return {
    exchange: { ...content, ...(card && { cardToken: card }) },
    exchange_state: state === "given_back" ? "made" : state,
    exchange_order_id: orderId ? decodeId(orderId) : undefined,
    exchange_credit: String(credit),
    exchange_reason: reason,
  } as const;
}

function toReturnLine([
  lineNumber,
  sku,
  quantity,
  received,
  restocked,
  locationId,
  amount,
]: ReturnLineJson): ReturnLine {
  return { lineNumber, sku, quantity, received, restocked, locationId, amount: BigInt(amount) };
}

function toSavedRow(now: SavedReturn["now"], card: string): SavedRow {
  return {
    order_id: decodeId(now.orderId),
    return_id: decodeId(now.returnId),
    customer_id: decodeId(now.customerId),
    status: now.status,
    kind: now.kind,
    reason: now.reason,
    currency: now.amount.currency,
    amount: String(now.amount.amount),
    withheld: String(now.withheld),
    tracking_number: now.trackingNumber,
    parcel_location_id: now.parcelLocationId,
    label_state: now.labelState,
    label: now.label,
    label_code: now.labelCode,
    granted_by: now.grantedBy,
    ...toExchangeColumns(now.exchange, card),
    revision: now.revision,
  };
}

function toSavedLine({ orderId, returnId }: { orderId: string; returnId: string }, line: ReturnLine): SavedLine {
  return {
    order_id: decodeId(orderId),
    return_id: decodeId(returnId),
    line_number: line.lineNumber,
    sku: line.sku,
    quantity: line.quantity,
    received: line.received,
    restocked: line.restocked,
    location_id: line.locationId,
    amount: String(line.amount),
  };
}

/** It is a decision like those of operators, so that a version of before carries it as well. */
function eventOf({ orderId, returnId, status }: WrittenReturn) {
  const requestId = status === "approved" ? `label-${returnId}` : returnId;
  const detail: DecisionDetail = { step: takeBackStep, resolved: false, requestId };
  return { order_id: decodeId(orderId), event_id: eventIds.decision(detail), detail };
}
