import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import { type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { personalKeyColumns } from "#platform/personal/personal-key.ts";
import { type DecisionDetail, eventIds } from "../episode/order-event.ts";
import { notInReview, orderNotFound } from "../order/errors.ts";
import { type ReviewDecisionRequest, reviewDecisionEntry } from "../order/order-audit.ts";
import { insertNoteKeys, type OrderNotes } from "../order/order-notes.ts";
import { changeChannel } from "../order/order-transition.repository.ts";
import { mayDecide, type ReviewDecision } from "../order/review-state.ts";
import type { ScreeningMetrics } from "./screening-metrics.ts";

interface DecidedRow {
  /** Which entry of the batch it is. */
  readonly n: number;
  readonly id: string;
  readonly order_id: string;
  readonly decision: ReviewDecision;
  readonly method: string;
  readonly request_id: string;
  /** In hexadecimal digits. */
  readonly fingerprint: string;
  readonly event_id: string;
  readonly detail: DecisionDetail;
}

const input = writtenColumns<DecidedRow>({
  n: "int",
  id: "text",
  order_id: "uuid",
  decision: "text",
  method: "text",
  request_id: "text",
  fingerprint: "text",
  event_id: "text",
  detail: "jsonb",
});

/**
 * Judged under the rows' locks, as a cancellation is: one of them comes first. The saga asks again what was found about the order, and
 * is told what was decided; that it is to ask is an event like any other decision. Rows are locked in the order of their ids.
 */
const decide: SqlText = {
  name: "review_decide",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${input.typed}, ${personalKeyColumns.typed})
  ), locked as materialized (
    select i.*, o.customer_id from input i cross join lateral (
      select customer_id from customer_order where customer_order.order_id = i.order_id and ${mayDecide} for no key update
    ) o
  ), keyed as (
    insert into idempotency_key (method, request_id, fingerprint, response)
    select method, request_id, decode(fingerprint, 'hex'), ''::bytea from locked where request_id <> ''
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, event_id, 'decision', detail from locked on conflict do nothing
  ), sealed as (
    ${insertNoteKeys("locked")}
  ), decided as (
    update customer_order o set review_decision = i.decision, review_decide_time = now(), revision = o.revision + 1,
      update_time = greatest(now(), o.update_time)
    from locked i where o.order_id = i.order_id returning i.n, i.id
  ), announced as (
    select pg_notify('${changeChannel}', string_agg(id, ',')) from decided having count(*) > 0
  ), audited as (${insertAuditEvents("$2", { join: "join decided on decided.n = a.n" })})
  select n, exists (select from decided where decided.n = input.n) as decided,
    (select count(*) from announced) as announcements
  from input cross join lateral (select from customer_order where customer_order.order_id = input.order_id limit 1) known`,
};

const keys: KeySpace<ReviewDecisionRequest> = { method: "DecideReview", scope: ({ orderId }) => orderId };

/** What the saga calls what it has asked: its events say so. */
const screeningStep = "screen";

type Submitted = ReviewDecisionRequest & { readonly origin: AuditOrigin };

/** What decisions work with. */
export interface ReviewDecisionsOptions {
  readonly database: Queryable;
  readonly notes: Pick<OrderNotes, "protect">;
  readonly metrics: ScreeningMetrics;
  /** Told how many orders are to be carried. */
  readonly onAccepted: (count: number) => void;
}

/** Takes what is decided about orders under review: what arrives together is one statement. */
export class ReviewDecisions {
  readonly #options: ReviewDecisionsOptions;
  readonly #batcher: Batcher<Submitted, true>;

  constructor(options: ReviewDecisionsOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      name: "review decisions",
      keyOf: ({ orderId }) => orderId,
      run: replayable<Submitted, true>({
        database: options.database,
        ...keys,
        run: (decisions) => this.#write(decisions),
        decode: () => true,
      }),
    });
  }

  /** Takes a person's decision. A request id belongs to one order. @throws ORDER_NOT_FOUND, NOT_IN_REVIEW, REQUEST_ID_REUSED */
  async decide(request: ReviewDecisionRequest, signal: AbortSignal): Promise<void> {
    await this.#batcher.submit({ ...request, origin: auditOrigin(request.requestId) }, { signal });
  }

  /** Gives up orders about which nobody has decided; those about which somebody has just now are left alone. */
  async expire(orderIds: readonly string[]): Promise<void> {
    const origin = auditOrigin("", "service:orders");
    const nobody = { requestId: "", fingerprint: Buffer.alloc(0), decision: "expired", note: "", origin } as const;
    if (orderIds.length > 0) await this.#write(orderIds.map((orderId) => ({ ...nobody, orderId })));
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #write(decisions: Submitted[]): Promise<(true | Error)[]> {
    const { database, notes, metrics, onAccepted } = this.#options;
    const sorted = [...decisions].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
    const noted = await Promise.all(
      sorted.map(async (decision) => {
        const { note, orderId, origin } = decision;
        return { decision, note: await notes.protect(note, { orderId, requestId: origin.requestId }) };
      }),
    );
    const rowsIn = noted.map(({ decision, note }, n) => ({ ...toRow(decision, n), ...note.key }));
    const events = noted.map(({ decision, note }) => reviewDecisionEntry(decision, note));
    const values = [JSON.stringify(rowsIn), auditEvents(events)];
    const rows = await database.query<{ n: number; decided: boolean }>(decide, values);
    const taken = rows.filter(({ decided }) => decided);
    for (const { n } of taken) metrics.decided(sorted[n]?.decision ?? "expired", 1);
    if (taken.length > 0) onAccepted(taken.length);
    const byOrder = new Map(rows.map(({ n, decided }) => [sorted[n]?.orderId, decided]));
    return decisions.map(({ orderId }) => {
      const decided = byOrder.get(orderId);
      return decided === undefined ? orderNotFound(orderId) : decided || notInReview(orderId);
    });
  }
}

function toRow(request: Submitted, n: number): DecidedRow {
  const { requestId, fingerprint, orderId, decision } = request;
  const detail: DecisionDetail = { step: screeningStep, resolved: decision === "released", requestId };
  return {
    n,
    id: orderId,
    order_id: decodeId(orderId),
    decision,
    method: keyMethod(keys, request),
    request_id: requestId,
    fingerprint: fingerprint.toString("hex"),
    event_id: eventIds.decision(detail),
    detail,
  };
}
