import { type AuditOrigin, auditEvents } from "#platform/audit/audit-entry.ts";
import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { episodeOver, illegalTransition, orderNotFound, orderRecalled } from "../order/errors.ts";
import { moveEntry } from "../order/order-audit.ts";
import { cardKeyOf } from "../order/order-cards.ts";
import {
  type Change,
  type ChangeRow,
  changeOrders,
  changeTypes,
  type Moved,
  movedTypes,
  toChangeRow,
} from "../order/order-transition.repository.ts";
import { eventIds } from "./order-event.ts";

/** A step that waits for an operator. */
export interface ParkedStep {
  readonly step: string;
  readonly reason: string;
  readonly error: string;
}

/** How an order leaves an episode. */
export interface Settlement extends Change {
  readonly episodeId: string;
  /** What the saga remembers, a JSON object; undefined leaves it as it is. */
  readonly saga: string | undefined;
  /** Whether a cancellation is accepted while the order rests. */
  readonly cancellable: boolean;
  readonly needsCard: boolean;
  /** When the order is to be carried again although nothing happens to it, in milliseconds from now. */
  readonly retryAfterMs: number | undefined;
  /** Whom it waits for; empty when for nobody. */
  readonly waitsFor: string;
  readonly parked: ParkedStep | undefined;
  /** Whether it waits for stock. */
  readonly awaitsStock: boolean;
  /** The last amendment with which the saga is through; 0: none is new. */
  readonly amended: number;
  /** Whether who settles it knows of its cancellation; undefined: nobody looks. */
  readonly cancellationHeard: boolean | undefined;
}

/** A settlement and who wants it. */
export interface SubmittedSettlement extends Settlement {
  readonly origin: AuditOrigin;
}

/** An order that rests. */
export interface Settled extends Moved {
  /** Whether something happened to it meanwhile: it is to be carried again at once. */
  readonly due: boolean;
  /** Whether it waited for the same service before, and for an operator at the same step: then that is known. */
  readonly stillWaits: boolean;
  readonly stillParked: boolean;
}

/** What a settlement says besides where the order is to go, in the JSON that the statement takes apart. */
interface SettlementColumns {
  readonly episode_id: string;
  readonly saga: string | undefined;
  readonly cancellable: boolean;
  readonly needs_card: boolean;
  readonly retry_after_ms: number | undefined;
  readonly waits_for: string | undefined;
  readonly parked_step: string | undefined;
  readonly parked_reason: string | undefined;
  readonly parked_error: string | undefined;
  readonly awaits_stock: boolean;
  readonly amended: number;
  readonly cancellation_heard: boolean | undefined;
}

const input = writtenColumns<ChangeRow & SettlementColumns>({
  ...changeTypes,
  episode_id: "uuid",
  saga: "text",
  cancellable: "boolean",
  needs_card: "boolean",
  retry_after_ms: "bigint",
  waits_for: "text",
  parked_step: "text",
  parked_reason: "text",
  parked_error: "text",
  awaits_stock: "boolean",
  amended: "int",
  cancellation_heard: "boolean",
});

interface SettledRow extends Settled {
  readonly n: number;
  /** Whether the episode has the order, and no later run of its workflow has accepted a cancellation. */
  readonly mine: boolean;
  /** Whether it is to be FAILED, though its cancellation was accepted when parcels had left. */
  readonly recalled: boolean;
  readonly settled: boolean;
}

/**
 * A run that Temporal has given up, because its first task took too long, goes on all the same, beside the one that takes its place. What that one has accepted since is not to
 * be forgotten by what this one settles.
 */
const mine = `coalesce(held_by = episode_id, false) and (coalesce(cancellation_heard, true)
    or not coalesce(episode_events @> '[{"id": "${eventIds.cancellation}"}]', false))`;

const settledColumns = selectList<SettledRow>({
  ...movedTypes,
  mine: true,
  recalled: true,
  settled: "written",
  due: `written and (coalesce(retry_after_ms = 0, false) or exists (
      select from order_event e where e.order_id = outcomes.order_id and e.due_time <= now()))`,
  stillWaits: true,
  stillParked: true,
});

/** What an order is set to that settles; what it does not change must be the same value, so that the update is HOT. */
const assign = `, saga = coalesce(i.saga::json, o.saga), cancellable = i.cancellable,
      card_token = case when i.needs_card then o.card_token end, waits_for = i.waits_for,
      wait_time = case when i.waits_for is null then null
        when i.waits_for = o.waits_for then o.wait_time else now() end,
      parked_step = i.parked_step, parked_reason = i.parked_reason, parked_error = i.parked_error,
      park_time = case when i.parked_step is null then null
        when i.parked_step = o.parked_step then o.park_time else now() end,
      back_order_time = case when i.awaits_stock then coalesce(o.back_order_time, now()) else o.back_order_time end,
      stock_time = case when i.awaits_stock then null when o.back_order_time is not null then coalesce(o.stock_time, now())
        end,
      episode_id = null, episode_events = null, faults = 0`;

/** An amendment that a workflow of the version before did not see, or that came while it ran, is not forgotten. Seconds. */
const unheardSeconds = 30;

/** Shares with the transition of orders what becomes of their status; only the episode that has an order may settle it. */
const settle: SqlText = {
  name: "order_settle",
  text: `with ${changeOrders({
    input,
    columns: `, episode_id as held_by, episode_events, recall, waits_for as waited_for, parked_step as parked_before,
        back_order_time is not null and stock_time is null as awaited`,
    judge: `, ${mine} as mine, awaits_stock <> awaited as queues, coalesce(status = 'failed', false) and recall is not null as recalled,
      coalesce(waited_for = waits_for, false) as still_waits, coalesce(parked_before = parked_step, false) as still_parked`,
    keeps: "mine, recalled, still_waits, still_parked, retry_after_ms, amended, parked_step",
    where: "i.mine and (i.moves or i.stays) and not i.recalled",
    assign,
    shows: "i.queues",
  })}, later as (
    insert into order_event (order_id, event_id, kind, due_time)
    select order_id, '${eventIds.retry}', 'retry', now() + retry_after_ms * interval '1 millisecond'
    from moved where retry_after_ms is not null
    on conflict (order_id, event_id) do update set due_time = excluded.due_time
  ), gone as (
    delete from order_amendment a using moved where a.order_id = moved.order_id and a.number <= moved.amended
    returning a.order_id, a.shipping_address, ${cardKeyOf("a.card_token")} as card_key
  ), unsealed as (
    delete from personal_key using (
      select card_key as key_id from gone union all
      select left(gone.shipping_address #>> '{}', 32)::uuid from gone join customer_order o using (order_id)
      where jsonb_typeof(gone.shipping_address) = 'string' and gone.shipping_address <> o.shipping_address
    ) key where personal_key.key_id = key.key_id
  ), unheard as (
    insert into order_event (order_id, event_id, kind, due_time)
    select moved.order_id, '${eventIds.retry}', 'retry', now() + interval '${unheardSeconds} seconds'
    from moved join order_amendment a on a.order_id = moved.order_id
    where a.number > moved.amended and retry_after_ms is null and parked_step is null and moved.status <> 'pending'
    on conflict (order_id, event_id) do nothing
  )
  select ${settledColumns}, (select count(*) from announced) as announcements from outcomes`,
};

/**
 * Settles many orders, no order twice, in one statement.
 *
 * @param settlements at most 256: the payload of a notification ends at 8,000 bytes
 * @returns for each ORDER_NOT_FOUND, EPISODE_OVER, ORDER_RECALLED or ILLEGAL_TRANSITION, or how it stands
 */
export async function settleOrders(
  database: Queryable,
  settlements: readonly SubmittedSettlement[],
): Promise<(Settled | Error)[]> {
  const sorted = [...settlements].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
  const values = [JSON.stringify(sorted.map(toSettlementRow)), auditEvents(sorted.map(moveEntry))];
  const rows = await database.query<SettledRow>(settle, values);
  const byOrder = new Map(rows.map((row) => [sorted[row.n]?.orderId, row]));
  return settlements.map((settlement) => toOutcome(settlement, byOrder.get(settlement.orderId)));
}

function toOutcome(settlement: Settlement, row: SettledRow | undefined): Settled | Error {
  const { orderId, to } = settlement;
  if (!row) return orderNotFound(orderId);
  if (!row.mine) return episodeOver(settlement);
  if (row.recalled) return orderRecalled(orderId);
  if (!row.settled) return illegalTransition({ orderId, from: row.status, to: to ?? row.status });
  const { status, revision, changed, createTime, due, stillWaits, stillParked } = row;
  return { status, revision, changed, createTime, due, stillWaits, stillParked };
}

function toSettlementRow(settlement: Settlement, n: number): ChangeRow & SettlementColumns {
  const { parked } = settlement;
  return {
    ...toChangeRow(settlement, n),
    episode_id: decodeId(settlement.episodeId),
    saga: settlement.saga,
    cancellable: settlement.cancellable,
    needs_card: settlement.needsCard,
    retry_after_ms: settlement.retryAfterMs,
    waits_for: settlement.waitsFor || undefined,
    parked_step: parked?.step,
    parked_reason: parked?.reason,
    parked_error: parked?.error,
    awaits_stock: settlement.awaitsStock,
    amended: settlement.amended,
    cancellation_heard: settlement.cancellationHeard,
  };
}
