import { type AuditEntry, type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import {
  type Selected,
  selectList,
  type Written,
  type WrittenColumns,
  writtenColumns,
} from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { illegalTransition, orderNotFound } from "./errors.ts";
import { type OrderFailure, type OrderShipment, type OrderStatus, type ShippingAddress, sourcesOf } from "./order.ts";
import { auditActions, moveEntry, parcelsAction } from "./order-audit.ts";
import { type ShipmentJson, toShipmentJson } from "./order-row.ts";

/** The channel that every move is announced on; the payload has the order ids, separated by commas. */
export const changeChannel = "order_changed";

/** Where an order is to go. */
export interface Move {
  readonly orderId: string;
  readonly to: OrderStatus;
  readonly failure: OrderFailure | undefined;
  /** The parcels from now on; undefined leaves them as they are. */
  readonly shipments: readonly OrderShipment[] | undefined;
  /** Whether what was missing of it becomes an order of its own when it is confirmed by this move; nothing does unless it says so. */
  readonly followed?: boolean;
}

/** A move, or what becomes of an order that stays where it is. */
export interface Change extends Omit<Move, "to" | "followed"> {
  readonly to: OrderStatus | undefined;
}

/** A move and who wants it. */
export interface SubmittedMove extends Move {
  readonly origin: AuditOrigin;
}

/** What the row of a rest has that its first order's has otherwise; an address is sealed for the row that it lies in. */
export interface PreparedRest {
  readonly orderId: string;
  readonly createTime: Date;
  /** A text when it is sealed. */
  readonly shippingAddress: ShippingAddress | string;
  /** As its column holds it. */
  readonly cardToken: string;
  readonly key: PersonalKeyRow | undefined;
}

/** A move with what is placed by it. */
export interface RestingMove extends SubmittedMove {
  readonly rest?: PreparedRest | undefined;
}

/** An order after its move. */
export interface Moved {
  readonly status: OrderStatus;
  readonly revision: number;
  /** False when it had the status before. */
  readonly changed: boolean;
  /** When it was created, released after a review, or had the stock it waited for: nobody promised how long that takes. */
  readonly createTime: Date;
}

/**
 * How far a parcel has come. A list in which one has gone back is older than what is stored: calls may overtake each other.
 */
const older = `exists (
      select from jsonb_to_recordset(before_shipments) as o("locationId" text, status text)
      join jsonb_to_recordset(shipments) as n("locationId" text, status text) using ("locationId")
      where array_position(array['planned', 'shipped'], n.status) < array_position(
        array['planned', 'shipped', 'delivered', 'cancelled', 'lost', 'returned'], o.status))`;

/** The part of an entry that says where an order is to go, in the JSON that {@link changeOrders} takes apart. */
export interface ChangeRow {
  /** Which entry of the batch it is. */
  readonly n: number;
  readonly id: string;
  readonly order_id: string;
  /** Undefined: it stays where it is. */
  readonly status: OrderStatus | undefined;
  readonly sources: readonly OrderStatus[];
  readonly reason: string | undefined;
  readonly message: string | undefined;
  readonly shipments: readonly ShipmentJson[] | undefined;
}

/** The SQL types of {@link ChangeRow}. */
export const changeTypes = {
  n: "int",
  id: "text",
  order_id: "uuid",
  status: "text",
  sources: "text[]",
  reason: "text",
  message: "text",
  shipments: "jsonb",
} as const satisfies Written<ChangeRow>;

/** What a statement adds to the change of orders. */
export interface ChangeOptions {
  /** The columns of an entry: those of {@link ChangeRow}, and its own. */
  readonly input: WrittenColumns;
  /** Columns of the order that it looks at besides, under the row's lock, with a comma before; under names that no entry has. */
  readonly columns?: string;
  /** What it says about an entry besides, from all these columns, with a comma before. */
  readonly judge?: string;
  /** Columns that it needs of an entry afterwards, with commas between: `moved` and `outcomes` have them. */
  readonly keeps?: string;
  /**
   * Which of the orders that are there are written to, by what is known of the entry `i`: whether the order `moves`, `stays`
   * where it is, or stays with parcels that have come further (`repacks`).
   */
  readonly where: string;
  /** What is assigned besides, from the entry `i` to the order `o`, with a comma before. */
  readonly assign?: string;
  /** Whether what is assigned besides is a change that customers see, of the entry `i`; none by default. */
  readonly shows?: string;
}

/**
 * The common table expressions of a statement that changes orders, writes down what it did, and announces those that changed:
 * `moved` has the orders that were written to, `outcomes` all that are there. $1 has the entries, $2 the audit events.
 *
 * Rows are locked in the order of their ids, so that two batches cannot wait for each other; the input is sorted. What is known of an entry goes
 * with it from one expression to the next: PostgreSQL would join two of them by comparing each with each, as its other joins are off here.
 */
export function changeOrders(options: ChangeOptions): string {
  const { input, columns = "", judge = "", keeps = "", where, assign = "", shows = "false" } = options;
  const kept = keeps && `, ${keeps}`;
  return `locked as materialized (
    select i.*, o.* from json_to_recordset($1::json) as i(${input.typed}) cross join lateral (
      select status as before, shipments as before_shipments, revision as before_revision,
        coalesce(greatest(review_decide_time, stock_time), create_time) as create_time${columns} from customer_order
      where customer_order.order_id = i.order_id for no key update
    ) o
  ), judged as materialized (
    select *, before = any(sources) as moves, coalesce(status, before) = before as stays,
      coalesce(status, before) = before and coalesce(shipments <> before_shipments, false) and not ${older} as repacks${judge}
    from locked
  ), moved as (
    update customer_order o set
      status = case when i.moves then i.status else o.status end,
      revision = case when i.moves or i.repacks or ${shows} then o.revision + 1 else o.revision end,
      update_time = case when i.moves or i.repacks or ${shows} then greatest(now(), o.update_time) else o.update_time end,
      history = case when i.moves then o.history || jsonb_build_object(
        'status', i.status, 'time', floor(extract(epoch from greatest(now(), o.update_time)) * 1000)::bigint)
        else o.history end,
      failure_reason = coalesce(i.reason, o.failure_reason), failure_message = coalesce(i.message, o.failure_message),
      shipments = case when i.moves or i.repacks then coalesce(i.shipments, o.shipments) else o.shipments end${assign}
    from judged i
    where o.order_id = i.order_id and (${where})
    returning i.n, i.id, o.order_id, i.before, o.status, o.revision, i.create_time, i.moves or i.repacks as changed,
      i.moves or i.repacks or ${shows} as shown${kept.replace(/\w+/g, "i.$&")}
  ), outcomes as (
    select n, order_id, true as written, status, revision, before <> status as moved, create_time${kept} from moved
    union all
    select n, order_id, false, before, before_revision, false, create_time${kept} from judged
    where n not in (select n from moved)
  ), announced as (
    select pg_notify('${changeChannel}', string_agg(id, ',')) from moved where shown having count(*) > 0
  ), audited as (${insertAuditEvents("$2", {
    of: "moved",
    join: "where m.changed",
    action: `case when m.before = m.status then '${parcelsAction}' else a.action end`,
    details: "a.details || jsonb_build_object('from', m.before, 'to', m.status, 'revision', m.revision::text)",
  })})`;
}

/** What a statement says about an order that is there. */
interface MovedRow extends Moved {
  readonly n: number;
}

/** The columns of an order that is there, from `outcomes`; a statement must read `announcements` besides. */
export const movedTypes = {
  n: true,
  status: true,
  revision: true,
  changed: "moved",
  createTime: true,
} as const satisfies Selected<MovedRow>;

const movedColumns = selectList<MovedRow>(movedTypes);

const transition: SqlText = {
  name: "order_transition",
  text: `with ${changeOrders({
    input: writtenColumns<ChangeRow>(changeTypes),
    where: "i.moves or i.repacks",
  })}
  select ${movedColumns}, (select count(*) from announced) as announcements from outcomes`,
};

/** What an entry says of the rest of its order besides. */
interface RestColumns extends Partial<PersonalKeyRow> {
  readonly rest_id: string | undefined;
  readonly rest_time: Date | undefined;
  readonly rest_address: PreparedRest["shippingAddress"] | undefined;
  readonly rest_card: string | undefined;
}

const restTypes = {
  rest_id: "uuid",
  rest_time: "timestamptz",
  rest_address: "jsonb",
  rest_card: "text",
  key_id: "uuid",
  master: "text",
  wrapped: "text",
} as const satisfies Written<RestColumns>;
const restNames = writtenColumns<RestColumns>(restTypes).names;
const similarity = "country, card_key, address_key, postal_key";
/** What the rest of an order has of the first one's row. */
const inherited = "customer_id, currency, traceparent, given_name, family_name, email, contact";

/**
 * The same, and with orders that are confirmed by it come their rests: each is placed like an order that its customer places, with what the
 * row of the first one knew of it, which forgets it. So there is one as soon as that is confirmed, and never a second one.
 */
const transitionWithRests: SqlText = {
  name: "order_transition_rests",
  text: `with ${changeOrders({
    input: writtenColumns<ChangeRow & RestColumns>({ ...changeTypes, ...restTypes }),
    columns: `, ${inherited}, shortage`,
    judge: ", coalesce(shortage->'rest'->>'id' = rest_id::text, false) as followed",
    keeps: `followed, ${restNames}, ${inherited}, shortage`,
    where: "i.moves or i.repacks",
    assign: `, shortage = case when i.moves and i.status = 'confirmed' and i.followed
        then o.shortage - 'rest' || jsonb_build_object('followedBy', i.rest_id) else o.shortage end`,
  })}, rest as materialized (
    select n, ${restNames}, order_id as first_id, ${inherited}, shortage->'rest' as part from moved
    where before = 'pending' and status = 'confirmed' and followed
  ), sealed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from rest where key_id is not null
  ), placed as (
    insert into customer_order (order_id, ${inherited}, total, adjustments, line_amounts, shipping_address, card_token,
      shortage_policy, status, history, create_time, update_time, saga_id, dispatch_time, cancellable, rest_of)
    select rest_id, ${inherited}, (part->>'total')::bigint, part->'adjustments', part->'lineAmounts', rest_address, rest_card,
      'back_order', 'pending', jsonb_build_array(jsonb_build_object('status', 'pending',
        'time', floor(extract(epoch from rest_time) * 1000)::bigint)),
      rest_time, rest_time, rest_id, now(), true, first_id from rest
  ), happened as (
    insert into order_event (order_id, event_id, kind) select rest_id, 'placed', 'placed' from rest
  ), resembles as (
    insert into order_screening (order_id, customer_id, ${similarity})
    select rest_id, s.customer_id, ${similarity} from rest join order_screening s on s.order_id = rest.first_id
  ), lined as (
    insert into order_line (order_id, line_number, sku, quantity, unit_price)
    select rest_id, line.n, line.value->>0, (line.value->>1)::int, (line.value->>2)::bigint
    from rest cross join lateral jsonb_array_elements(part->'lines') with ordinality as line(value, n)
  ), created as (${insertAuditEvents("$3", {
    join: "join rest on rest.n = a.n",
    details: `a.details || jsonb_build_object('currency', rest.currency, 'total', part->>'total',
      'lines', jsonb_array_length(part->'lines')::text)`,
  })})
  select ${movedColumns}, (select count(*) from announced) as announcements from outcomes`,
};

/**
 * Moves many orders, no order twice, in one statement, which writes down what it did, and announces those that changed. An
 * order that has the status already counts as moved, and takes the parcels when they are newer; one that is missing or
 * cannot go there has an error as its outcome.
 *
 * @param moves at most 256: the payload of a notification ends at 8,000 bytes
 */
export async function transitionOrders(database: Queryable, moves: readonly RestingMove[]): Promise<(Moved | Error)[]> {
  const sorted = [...moves].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
  const entries = auditEvents(sorted.map(moveEntry));
  const rows = moves.some(({ rest }) => rest)
    ? await database.query<MovedRow>(transitionWithRests, [
        JSON.stringify(sorted.map(toRestingRow)),
        entries,
        auditEvents(sorted.flatMap(toRestEntry)),
      ])
    : await database.query<MovedRow>(transition, [JSON.stringify(sorted.map(toChangeRow)), entries]);
  const byOrder = new Map(rows.map((row) => [sorted[row.n]?.orderId, row]));
  return moves.map((move) => toOutcome(move, byOrder.get(move.orderId)));
}

function toOutcome(move: Move, row: MovedRow | undefined): Moved | Error {
  if (!row) return orderNotFound(move.orderId);
  if (row.status !== move.to) return illegalTransition({ orderId: move.orderId, from: row.status, to: move.to });
  return { status: row.status, revision: row.revision, changed: row.changed, createTime: row.createTime };
}

function toRestingRow(move: RestingMove, n: number): ChangeRow & RestColumns {
  const { orderId, createTime, shippingAddress, cardToken, key } = move.rest ?? {};
  return {
    ...toChangeRow(move, n),
    rest_id: orderId && decodeId(orderId),
    rest_time: createTime,
    rest_address: shippingAddress,
    rest_card: cardToken,
    ...key,
  };
}

function toRestEntry({ rest, orderId: first, origin }: RestingMove, n: number): AuditEntry[] {
  return rest ? [{ n, action: auditActions.pending, orderId: rest.orderId, details: { rest_of: first }, origin }] : [];
}

/** Where an order is to go, as the statement takes it apart. */
export function toChangeRow(move: Change, n: number): ChangeRow {
  return {
    n,
    id: move.orderId,
    order_id: decodeId(move.orderId),
    status: move.to,
    sources: move.to === undefined ? [] : sourcesOf(move.to),
    reason: move.failure?.reason,
    message: move.failure?.customerMessage,
    shipments: move.shipments?.map(toShipmentJson),
  };
}
