import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { amendmentDecided, orderNotFound } from "../order/errors.ts";
import type { AmendmentStatus, OrderFailure, OrderShipment } from "../order/order.ts";
import { amendActions } from "../order/order-audit.ts";
import { cardKeyOf } from "../order/order-cards.ts";
import { amendedTotal, type ShipmentJson, toShipmentJson } from "../order/order-row.ts";
import { changeChannel } from "../order/order-transition.repository.ts";

/** What becomes of an amendment. */
export interface AmendmentDecision {
  readonly orderId: string;
  readonly number: number;
  /** Undefined: it is accepted. */
  readonly failure: OrderFailure | undefined;
  /** The parcels from now on; undefined leaves them as they are. */
  readonly shipments: readonly OrderShipment[] | undefined;
  /** Whether it leaves some parcels as they are: they cost what they cost. */
  readonly partly: boolean;
}

type SubmittedDecision = AmendmentDecision & { readonly origin: AuditOrigin };

interface DecisionRow {
  /** Which entry of the batch it is. */
  readonly n: number;
  readonly id: string;
  readonly order_id: string;
  readonly number: number;
  readonly reason: string | undefined;
  readonly message: string | undefined;
  readonly shipments: readonly ShipmentJson[] | undefined;
  readonly partly: boolean;
}

const input = writtenColumns<DecisionRow>({
  n: "int",
  id: "text",
  order_id: "uuid",
  number: "int",
  reason: "text",
  message: "text",
  shipments: "jsonb",
  partly: "boolean",
});

interface DecidedRow {
  readonly n: number;
  readonly revision: number;
  readonly known: number | null;
  readonly status: AmendmentStatus | null;
}

const decidedColumns = selectList<DecidedRow>({
  n: "locked.n",
  revision: "coalesce(decided.revision, locked.revision)",
  known: "(coalesce(decided.amendment, locked.amendment)->>'number')::int",
  status: "coalesce(decided.amendment, locked.amendment)->>'status'",
});

/**
 * Judged under the rows' locks: each amendment is decided once. One that is accepted is the order from then on, by this one statement; the
 * card that paid is forgotten, and so is the key of the address that was. That of one that is refused is known until the saga is through with
 * it: a card means that something may be held. Rows are locked in the order of their ids; the input is sorted.
 */
const decide: SqlText = {
  name: "amendment_decide",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${input.typed})
  ), locked as materialized (
    select i.n, o.* from input i cross join lateral (
      select order_id, revision, amendment, shipping_address, total, status from customer_order
      where customer_order.order_id = i.order_id for no key update
    ) o
  ), judged as materialized (
    select i.*, i.reason is null as accepts, l.shipping_address as former, l.total as cost, ${amendedTotal("l")} as total, a.lines, a.adjustments,
      a.line_amounts, a.shipping_address, ${cardKeyOf("a.card_token")} as card_key
    from input i join locked l on l.n = i.n
    join order_amendment a on a.order_id = i.order_id and a.number = i.number
    where l.amendment->>'status' = 'pending' and (l.amendment->>'number')::int = i.number
      and (i.reason is not null or l.status in ('confirmed', 'preparing'))
  ), decided as (
    update customer_order o set revision = o.revision + 1, update_time = greatest(now(), o.update_time),
      amendment = o.amendment || jsonb_strip_nulls(jsonb_build_object(
        'status', case when j.accepts then 'accepted' else 'refused' end, 'reason', j.reason, 'message', j.message,
        'decideTime', floor(extract(epoch from now()) * 1000)::bigint,
        'partly', case when j.accepts and j.partly then true end)),
      total = case when j.accepts then j.total else o.total end,
      adjustments = case when j.accepts and j.lines is not null then j.adjustments else o.adjustments end,
      line_amounts = case when j.accepts and j.lines is not null then j.line_amounts else o.line_amounts end,
      shipping_address = case when j.accepts then coalesce(j.shipping_address, o.shipping_address) else o.shipping_address end,
      shipments = case when j.accepts then coalesce(j.shipments, o.shipments) else o.shipments end
    from judged j where o.order_id = j.order_id
    returning j.n, j.id, o.order_id, o.currency, o.revision, o.amendment
  ), lined as (
    insert into order_line (order_id, line_number, sku, quantity, unit_price)
    select order_id, line.n, line.value->>0, (line.value->>1)::int, (line.value->>2)::bigint
    from judged cross join lateral jsonb_array_elements(lines) with ordinality as line(value, n)
    where accepts
    on conflict (order_id, line_number) do update
    set sku = excluded.sku, quantity = excluded.quantity, unit_price = excluded.unit_price
  ), unlined as (
    delete from order_line using judged
    where order_line.order_id = judged.order_id and accepts and line_number > jsonb_array_length(judged.lines)
  ), paid as (
    update order_amendment a set card_token = '' from judged where a.order_id = judged.order_id and accepts
  ), unsealed as (
    delete from personal_key using (
      select card_key as key_id from judged where accepts union all
      select left(former #>> '{}', 32)::uuid from judged
      where accepts and shipping_address is not null and jsonb_typeof(former) = 'string'
    ) gone where personal_key.key_id = gone.key_id
  ), announced as (
    select pg_notify('${changeChannel}', string_agg(id, ',')) from decided having count(*) > 0
  ), audited as (${insertAuditEvents("$2", {
    join: "join decided on decided.n = a.n join judged on judged.n = a.n",
    details: `a.details || jsonb_build_object('currency', decided.currency, 'from', judged.cost::text,
      'to', case when judged.accepts then judged.total else judged.cost end::text, 'revision', decided.revision::text)`,
  })})
  select ${decidedColumns}, (select count(*) from announced) as announcements
  from locked left join decided on decided.n = locked.n`,
};

/** Bounded by what one notification can name. */
const maxDecisions = 256;

/** Decides what becomes of amendments: what arrives together is one statement. */
export class AmendmentDecisions {
  readonly #database: Queryable;
  readonly #batcher: Batcher<SubmittedDecision, number>;

  constructor(database: Queryable) {
    this.#database = database;
    this.#batcher = new Batcher({
      name: "amendment decisions",
      maxEntries: maxDecisions,
      keyOf: ({ orderId }) => orderId,
      run: (decisions: SubmittedDecision[]) => this.#decide(decisions),
    });
  }

  /** @returns the order's revision after it @throws ORDER_NOT_FOUND, AMENDMENT_DECIDED */
  decide(decision: AmendmentDecision, signal: AbortSignal): Promise<number> {
    return this.#batcher.submit({ ...decision, origin: auditOrigin() }, { signal });
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #decide(decisions: SubmittedDecision[]): Promise<(number | Error)[]> {
    const sorted = [...decisions].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
    const entries = sorted.map(({ orderId, number, failure, origin }) => ({
      action: failure ? amendActions.refused : amendActions.accepted,
      orderId,
      details: { number: String(number), ...(failure && { reason: failure.reason.slice(0, 64) }) },
      origin,
    }));
    const values = [JSON.stringify(sorted.map(toRow)), auditEvents(entries)];
    const rows = await this.#database.query<DecidedRow>(decide, values);
    const byOrder = new Map(rows.map((row) => [sorted[row.n]?.orderId, row]));
    return decisions.map((decision) => toOutcome(decision, byOrder.get(decision.orderId)));
  }
}

function toRow({ orderId, number, failure, shipments, partly }: AmendmentDecision, n: number): DecisionRow {
  return {
    n,
    id: orderId,
    order_id: decodeId(orderId),
    number,
    reason: failure?.reason,
    message: failure?.customerMessage,
    shipments: shipments?.map(toShipmentJson),
    partly,
  };
}

function toOutcome({ orderId, number, failure }: AmendmentDecision, row: DecidedRow | undefined): number | Error {
  if (!row) return orderNotFound(orderId);
  const wanted: AmendmentStatus = failure ? "refused" : "accepted";
  return row.known === number && row.status === wanted ? row.revision : amendmentDecided(orderId, number);
}
