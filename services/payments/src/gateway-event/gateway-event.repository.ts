import { auditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { Recording } from "../operation/operation-recording.ts";
import { type OperationRow, toInsertedEntry, toOperation, toUpdatedOperation } from "../operation/operation-row.ts";
import * as statements from "../operation/operation-statements.ts";
import { heldOf } from "../payment/payment.ts";
import { toPayment, toUpdatedPayment } from "../payment/payment-row.ts";
import {
  type Disputed,
  DisputeOrder,
  disputeName,
  eventEntry,
  type GatewayEvent,
  type Happening,
} from "./gateway-event.ts";
import * as eventStatements from "./gateway-event-statements.ts";

/** Takes what happened at the gateway by itself, once each. */
export class GatewayEventRepository {
  readonly #database: Pick<Database, "query" | "transaction">;

  constructor(database: Pick<Database, "query" | "transaction">) {
    this.#database = database;
  }

  /** Where events were read to; empty: none was. */
  async position(): Promise<string> {
    const [row] = await this.#database.query<{ position: string }>(eventStatements.findPosition);
    return row?.position ?? "";
  }

  /** How many of each kind were new in the last hour; of others there were none. */
  async recent(): Promise<ReadonlyMap<Happening["kind"], number>> {
    const rows = await this.#database.query<{ kind: Happening["kind"]; count: bigint }>(
      eventStatements.countRecentEvents,
    );
    return new Map(rows.map(({ kind, count }) => [kind, Number(count)]));
  }

  /** How many disputes are open, and how many of them have to be answered within so many milliseconds. */
  async disputes(withinMs: number): Promise<{ readonly open: number; readonly due: number }> {
    const [row] = await this.#database.query<{ open: bigint; due: bigint }>(eventStatements.countDisputes, [withinMs]);
    return { open: Number(row?.open ?? 0n), due: Number(row?.due ?? 0n) };
  }

  /**
   * Has events their effect, and notes where they were read to, in one transaction. That a refund has failed which is not decided here is put aside.
   *
   * @param from where they were read from, and up to where: nothing is done when somebody else has read on since
   * @returns those that were new; an event of a payment that there is not is none
   */
  take(events: readonly GatewayEvent[], from: { after: string; to: string }): Promise<readonly GatewayEvent[]> {
    return this.#database.transaction(async (tx) => {
      const [row] = await tx.query<{ position: string }>(eventStatements.lockPosition);
      if (row?.position !== from.after) return [];
      await tx.query(eventStatements.setPosition, [from.to]);
      return await this.#take(tx, events);
    });
  }

  /** Has those their effect that were put aside and whose refunds have been decided since, so many at most; returns those. */
  takeWaiting(limit: number): Promise<readonly GatewayEvent[]> {
    return this.#database.transaction(async (tx) => {
      const rows = await tx.query<eventStatements.WaitingEvent>(eventStatements.takeWaiting, [limit]);
      const happening = ({ refundKey: key, code }: eventStatements.WaitingEvent) =>
        ({ kind: "refund_failed", key, code }) as const;
      return await this.#take(
        tx,
        rows.map((row) => ({ ...row, happening: happening(row) })),
      );
    });
  }

  async #take(tx: Transaction, events: readonly GatewayEvent[]): Promise<readonly GatewayEvent[]> {
    if (events.length === 0) return [];
    const keys = events.flatMap(keysOf);
    const found = await tx.query<statements.FoundOperation>(statements.findOperations, [keys]);
    const operations = new Map(found.map((operation) => [operation.operationId, operation]));
    const paymentOf = new Map(found.map(({ operationId, paymentId }) => [operationId, paymentId]));
    const known = events.filter(({ authorizationKey }) => paymentOf.has(authorizationKey));
    // An approval may be on its way to be written down: what took it back has to come behind it.
    const early = known.filter(({ happening }) => isOpen(happening, operations));
    const ripe = known.filter(({ happening }) => !isOpen(happening, operations));
    await putAside(tx, early);
    const isNew = await this.#insert(tx, ripe, paymentOf);
    const fresh = ripe.filter(({ eventId }) => isNew.delete(eventId));
    if (fresh.length > 0) await this.#apply(tx, fresh, paymentOf);
    return fresh;
  }

  async #insert(tx: Transaction, events: readonly GatewayEvent[], paymentOf: PaymentIds): Promise<Set<string>> {
    const rows = await tx.query<{ eventId: string }>(eventStatements.insertEvents, [
      events.map(({ eventId }) => eventId),
      events.map(({ happening }) => happening.kind),
      events.map(({ authorizationKey }) => paymentOf.get(authorizationKey)),
    ]);
    return new Set(rows.map(({ eventId }) => eventId));
  }

  async #apply(tx: Transaction, events: readonly GatewayEvent[], paymentOf: PaymentIds): Promise<void> {
    const refunds = events.flatMap(keysOf).filter((key) => paymentOf.has(key));
    const paymentIds = [...new Set(refunds.flatMap((key) => paymentOf.get(key) ?? []))];
    const [payments, operations] = await Promise.all([
      tx.query<statements.LockedPayment>(statements.lockPayments, [paymentIds]),
      tx.query<OperationRow>(statements.findForRecording, [refunds, []]),
    ]);
    const time = payments[0]?.now ?? new Date(Number.NaN);
    const recording = new Recording(payments.map(toPayment), operations.map(toOperation), { time, inTurn: true });
    const news = await newsOf(tx, events, paymentOf);
    for (const event of news) effectOf(event, recording, encodeId(paymentOf.get(event.authorizationKey) ?? ""));
    await keepDisputes(tx, news, paymentOf);
    const changes = recording.changes();
    await tx.commitWith(statements.recordDecisions, [
      JSON.stringify(changes.payments.map(toUpdatedPayment)),
      JSON.stringify(changes.operations.map(toUpdatedOperation)),
      0,
      JSON.stringify(changes.entries.map(toInsertedEntry)),
      paymentIds,
      changes.operations.map(({ operationId }) => decodeId(operationId)),
      auditEvents(changes.events),
    ]);
  }
}

type PaymentIds = ReadonlyMap<string, string>;

async function putAside(tx: Transaction, events: readonly GatewayEvent[]): Promise<void> {
  const waiting = events.flatMap(({ happening, ...event }) =>
    happening.kind === "refund_failed" ? [{ ...event, ...happening }] : [],
  );
  if (waiting.length === 0) return;
  await tx.query(eventStatements.insertWaiting, [
    waiting.map(({ key }) => key),
    waiting.map(({ eventId }) => eventId),
    waiting.map(({ authorizationKey }) => authorizationKey),
    waiting.map(({ code }) => code),
  ]);
}

/** Without what tells of a dispute as it stood before something that is known of it. */
async function newsOf(
  tx: Transaction,
  events: readonly GatewayEvent[],
  paymentOf: PaymentIds,
): Promise<readonly GatewayEvent[]> {
  const told = events.flatMap(({ authorizationKey, happening }) => {
    if (happening.kind !== "disputed" || !happening.asOfTime) return [];
    return [{ paymentId: paymentOf.get(authorizationKey), disputeId: happening.disputeId }];
  });
  if (told.length === 0) return events;
  const known = await tx.query<{ paymentId: string; disputeId: string; asOfTime: Date }>(
    eventStatements.findDisputeTimes,
    [told.map(({ paymentId }) => paymentId), told.map(({ disputeId }) => disputeId)],
  );
  const order = new DisputeOrder(
    new Map(known.map(({ paymentId, disputeId, asOfTime }) => [disputeName(paymentId, disputeId), asOfTime])),
  );
  return events.filter((event) => order.isNews(event, paymentOf.get(event.authorizationKey) ?? ""));
}

/** Writes down how disputes stand: of each, what was told last. */
async function keepDisputes(tx: Transaction, events: readonly GatewayEvent[], paymentOf: PaymentIds): Promise<void> {
  const latest = new Map<string, Disputed & { readonly paymentId: string }>();
  for (const { authorizationKey, happening } of events) {
    if (happening.kind !== "disputed") continue;
    const paymentId = paymentOf.get(authorizationKey) ?? "";
    latest.set(disputeName(paymentId, happening.disputeId), { ...happening, paymentId });
  }
  const disputes = [...latest.values()];
  if (disputes.length === 0) return;
  await tx.query(eventStatements.upsertDisputes, [
    disputes.map(({ paymentId }) => paymentId),
    disputes.map(({ disputeId }) => disputeId),
    disputes.map(({ state }) => state),
    disputes.map(({ reason }) => reason),
    disputes.map(({ currency }) => currency),
    disputes.map(({ amount }) => amount),
    disputes.map(({ respondByTime }) => respondByTime ?? null),
    disputes.map(({ asOfTime }) => asOfTime ?? null),
  ]);
}

/** Whether it is about a refund that is not decided. */
function isOpen(happening: Happening, operations: ReadonlyMap<string, statements.FoundOperation>): boolean {
  return happening.kind === "refund_failed" && operations.get(happening.key)?.state === "pending";
}

/** The operations that an event is about. */
function keysOf({ authorizationKey, happening }: GatewayEvent): string[] {
  return happening.kind === "refund_failed" ? [authorizationKey, happening.key] : [authorizationKey];
}

function effectOf(event: GatewayEvent, recording: Recording, paymentId: string): void {
  const { happening } = event;
  if (happening.kind === "refund_failed") {
    const operationId = encodeId(happening.key);
    const revoked = recording.revoke(operationId, happening.code);
    if (!revoked) return;
    const payment = recording.payment(revoked.paymentId);
    const moved = { operation_id: operationId, currency: payment.currency, amount: String(revoked.amount ?? 0n) };
    recording.note(eventEntry(event, payment, { ...moved, decline_code: happening.code }));
    return;
  }
  const payment = recording.payment(paymentId);
  if (happening.kind === "hold_ended") {
    recording.endHold(paymentId);
    const { currency } = payment;
    recording.note(eventEntry(event, payment, { currency, amount: String(heldOf(payment)) }));
    return;
  }
  const { disputeId, state, reason, currency, amount, respondByTime } = happening;
  const until = respondByTime && { respond_by_time: respondByTime.toISOString() };
  const dispute = { dispute_id: disputeId, state, reason, currency, amount: String(amount), ...until };
  recording.note(eventEntry(event, payment, dispute));
}
