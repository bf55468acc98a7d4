import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList } from "#platform/database/columns.ts";
import { replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { orderNotFound, stepNotParked } from "../order/errors.ts";
import { type StepDecisionRequest, stepDecisionEntry } from "../order/order-audit.ts";
import { type DecisionDetail, eventIds } from "./order-event.ts";
import type { ParkedStep } from "./settlement.repository.ts";

/** Which parked orders a list shows. */
export interface ParkedFilter {
  /** A step with its location, or without one: then wherever it is. */
  readonly step: string | undefined;
  readonly reason: string | undefined;
  readonly customerId: string | undefined;
  /** Only those that wait for longer, in milliseconds. */
  readonly olderThanMs: number | undefined;
}

/** An order that waits for an operator. */
export interface ParkedOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly parked: ParkedStep;
  /** At whole milliseconds. */
  readonly parkTime: Date;
  readonly lastEpisodeId: string;
}

/** Where a page begins. */
export type ParkedPlace = Pick<ParkedOrder, "parkTime" | "orderId">;

interface ParkedRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly parkedStep: string;
  readonly parkedReason: string;
  readonly parkedError: string;
  readonly parkTime: Date;
  readonly lastEpisodeId: string;
}

const parkedColumns = selectList<ParkedRow>({
  orderId: true,
  customerId: true,
  parkedStep: true,
  parkedReason: true,
  parkedError: true,
  parkTime: true,
  lastEpisodeId: true,
});

/** One statement for all filters: there are few parked orders, and the index has none but them. */
const list: SqlText = {
  name: "parked_list",
  prepared: false,
  text: `select ${parkedColumns} from customer_order
    where park_time is not null and (park_time, order_id) > ($1::timestamptz, $2::uuid)
      and ($3::text is null or parked_step = $3 or starts_with(parked_step, $3 || ':'))
      and ($4::text is null or parked_reason = $4)
      and ($5::uuid is null or customer_id = $5)
      and ($6::bigint is null or park_time < now() - $6 * interval '1 millisecond')
    order by park_time, order_id limit $7`,
};

/**
 * Judged under the row's lock, and written with all that belongs to it. The step does not wait for an operator from here on:
 * if it has to again, the next settlement says so.
 */
const decide: SqlText = {
  name: "parked_decide",
  text: `with locked as materialized (
    select order_id from customer_order where order_id = $1::uuid and parked_step = $2 for no key update
  ), keyed as (
    insert into idempotency_key (method, request_id, fingerprint, response)
    select $3, $4, $5::bytea, ''::bytea from locked
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, $6, 'decision', $7::jsonb from locked on conflict do nothing
  ), audited as (${insertAuditEvents("$8", { join: "join locked on locked.order_id = a.order_id" })}
  ), unparked as (
    update customer_order o set parked_step = null, parked_reason = null, parked_error = null, park_time = null
    from locked where o.order_id = locked.order_id
  )
  select exists (select from locked) as decided from customer_order where order_id = $1::uuid`,
};

type SubmittedDecision = StepDecisionRequest & { readonly origin: AuditOrigin };

/** What parked orders work with. */
export interface ParkedOrdersOptions {
  readonly database: Queryable;
  /** Told how many decisions were accepted. */
  readonly onAccepted: (count: number) => void;
}

/** Orders of which a step waits for an operator, and what operators decide about them. */
export class ParkedOrders {
  readonly #options: ParkedOrdersOptions;
  readonly #decide: (decisions: SubmittedDecision[]) => Promise<(true | Error)[]>;

  constructor(options: ParkedOrdersOptions) {
    this.#options = options;
    this.#decide = replayable<SubmittedDecision, true>({
      database: options.database,
      method: decisionMethod,
      run: (decisions) => Promise.all(decisions.map((decision) => this.#write(decision))),
      decode: () => true,
    });
  }

  /** At most `limit` orders, the longest waiting first, after a place when it is given. */
  async list(
    filter: ParkedFilter,
    page: { readonly after: ParkedPlace | undefined; readonly limit: number },
  ): Promise<ParkedOrder[]> {
    const { step, reason, customerId, olderThanMs } = filter;
    const rows = await this.#options.database.query<ParkedRow>(list, [
      page.after?.parkTime ?? "-infinity",
      page.after ? decodeId(page.after.orderId) : "00000000-0000-0000-0000-000000000000",
      step,
      reason,
      customerId === undefined ? undefined : decodeId(customerId),
      olderThanMs,
      page.limit,
    ]);
    return rows.map(toParkedOrder);
  }

  /**
   * Takes an operator's decision. A request id belongs to one order and step.
   *
   * @throws ORDER_NOT_FOUND, STEP_NOT_PARKED, REQUEST_ID_REUSED
   */
  async decide(request: StepDecisionRequest): Promise<void> {
    const [outcome] = await this.#decide([{ ...request, origin: auditOrigin(request.requestId) }]);
    if (outcome instanceof Error) throw outcome;
  }

  async #write(decision: SubmittedDecision): Promise<true | Error> {
    const { requestId, fingerprint, orderId, step } = decision;
    const detail: DecisionDetail = { step, resolved: decision.decision === "resolve", requestId };
    const [row] = await this.#options.database.query<{ decided: boolean }>(decide, [
      decodeId(orderId),
      step,
      decisionMethod(decision),
      requestId,
      fingerprint,
      eventIds.decision(detail),
      JSON.stringify(detail),
      auditEvents([stepDecisionEntry(decision)]),
    ]);
    if (!row) return orderNotFound(orderId);
    if (!row.decided) return stepNotParked({ orderId, step });
    this.#options.onAccepted(1);
    return true;
  }
}

/** The first column of a decision's idempotency key: the same id may stand for another order's step, or another step. */
function decisionMethod({ orderId, step }: StepDecisionRequest): string {
  return `DecideParkedStep/${orderId}/${step}`;
}

function toParkedOrder(row: ParkedRow): ParkedOrder {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    parked: { step: row.parkedStep, reason: row.parkedReason, error: row.parkedError },
    parkTime: row.parkTime,
    lastEpisodeId: encodeId(row.lastEpisodeId),
  };
}
