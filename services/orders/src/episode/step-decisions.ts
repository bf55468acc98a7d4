import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import { type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { orderNotFound, stepNotParked } from "../order/errors.ts";
import { type StepDecisionRequest, stepDecisionEntry } from "../order/order-audit.ts";
import { insertNoteKeys, type OrderNotes } from "../order/order-notes.ts";
import { type DecisionDetail, eventIds } from "./order-event.ts";

interface DecisionRow {
  /** Which entry of the batch it is. */
  readonly n: number;
  readonly order_id: string;
  readonly step: string;
  readonly method: string;
  readonly request_id: string;
  /** In hexadecimal digits. */
  readonly fingerprint: string;
  readonly event_id: string;
  readonly detail: DecisionDetail;
}

/** With the key of its note, when that is sealed. */
type DecisionInput = DecisionRow & Partial<PersonalKeyRow>;

const input = writtenColumns<DecisionRow>({
  n: "int",
  order_id: "uuid",
  step: "text",
  method: "text",
  request_id: "text",
  fingerprint: "text",
  event_id: "text",
  detail: "jsonb",
});

/**
 * Judged under the rows' locks, and written with all that belongs to it. The steps do not wait for an operator from here on: if
 * one has to again, the next settlement says so. Rows are locked in the order of their ids; the input is sorted.
 */
const decide: SqlText = {
  name: "parked_decide",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${input.typed}, ${personalKeyColumns.typed})
  ), locked as materialized (
    select i.*, o.customer_id from input i cross join lateral (
      select customer_id from customer_order where customer_order.order_id = i.order_id and parked_step = i.step for no key update
    ) o
  ), keyed as (
    insert into idempotency_key (method, request_id, fingerprint, response)
    select method, request_id, decode(fingerprint, 'hex'), ''::bytea from locked
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, event_id, 'decision', detail from locked on conflict do nothing
  ), sealed as (
    ${insertNoteKeys("locked")}
  ), audited as (${insertAuditEvents("$2", { join: "join locked on locked.n = a.n" })}
  ), unparked as (
    update customer_order o set parked_step = null, parked_reason = null, parked_error = null, park_time = null
    from locked where o.order_id = locked.order_id
  )
  select n, exists (select from locked where locked.n = input.n) as decided from input cross join lateral (
    select from customer_order where customer_order.order_id = input.order_id limit 1
  ) known`,
};

/** The same id may stand for another order's step, or another step. */
const decisionKeys: KeySpace<StepDecisionRequest> = {
  method: "DecideParkedStep",
  scope: ({ orderId, step }) => `${orderId}/${step}`,
};

type SubmittedDecision = StepDecisionRequest & { readonly origin: AuditOrigin };

/** What decisions work with. */
export interface StepDecisionsOptions {
  readonly database: Queryable;
  readonly notes: Pick<OrderNotes, "protect">;
  /** Told how many decisions were accepted. */
  readonly onAccepted: (count: number) => void;
}

/** Takes what operators decide about parked steps, as events of their orders: what arrives together is one statement. */
export class StepDecisions {
  readonly #options: StepDecisionsOptions;
  readonly #batcher: Batcher<SubmittedDecision, true>;

  constructor(options: StepDecisionsOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      name: "step decisions",
      keyOf: ({ orderId }) => orderId,
      run: replayable<SubmittedDecision, true>({
        database: options.database,
        ...decisionKeys,
        run: (decisions) => this.#write(decisions),
        decode: () => true,
      }),
    });
  }

  /**
   * Takes an operator's decision. A request id belongs to one order and step.
   *
   * @throws ORDER_NOT_FOUND, STEP_NOT_PARKED, REQUEST_ID_REUSED
   */
  async decide(request: StepDecisionRequest, signal: AbortSignal): Promise<void> {
    await this.#batcher.submit({ ...request, origin: auditOrigin(request.requestId) }, { signal });
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #write(decisions: SubmittedDecision[]): Promise<(true | Error)[]> {
    const { database, notes, onAccepted } = this.#options;
    const sorted = [...decisions].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
    const noted = await Promise.all(
      sorted.map(async (decision) => {
        const { note, orderId, origin } = decision;
        return { decision, note: await notes.protect(note, { orderId, requestId: origin.requestId }) };
      }),
    );
    const inputs = noted.map(({ decision, note }, n): DecisionInput => ({ ...toRow(decision, n), ...note.key }));
    const events = noted.map(({ decision, note }) => stepDecisionEntry(decision, note));
    const values = [JSON.stringify(inputs), auditEvents(events)];
    const rows = await database.query<{ n: number; decided: boolean }>(decide, values);
    const accepted = rows.filter(({ decided }) => decided).length;
    if (accepted > 0) onAccepted(accepted);
    const byOrder = new Map(rows.map(({ n, decided }) => [sorted[n]?.orderId, decided]));
    return decisions.map(({ orderId, step }) => {
      const decided = byOrder.get(orderId);
      if (decided === undefined) return orderNotFound(orderId);
      return decided || stepNotParked({ orderId, step });
    });
  }
}

function toRow(decision: SubmittedDecision, n: number): DecisionRow {
  const { requestId, fingerprint, orderId, step } = decision;
  const detail: DecisionDetail = { step, resolved: decision.decision === "resolve", requestId };
  return {
    n,
    order_id: decodeId(orderId),
    step,
    method: keyMethod(decisionKeys, decision),
    request_id: requestId,
    fingerprint: fingerprint.toString("hex"),
    event_id: eventIds.decision(detail),
    detail,
  };
}
