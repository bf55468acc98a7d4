import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import type { Database } from "#platform/database/database.ts";
import {
  type IdempotencyRow,
  type Keyed,
  type KeySpace,
  keyMethod,
  replayable,
} from "#platform/database/idempotency.ts";
import { isUniqueViolation, sqlStateOf } from "#platform/database/sql-state.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { DomainError } from "#platform/errors.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { StockMetrics } from "./metrics.ts";
import type { Adjust, Level, Reservation, StockCommand } from "./stock.ts";
import { decodeAnswer, encodeAnswer } from "./stock-answer.ts";
import { type AuditedCommand, auditOf } from "./stock-audit.ts";
import { StockBook } from "./stock-book.ts";
import { type ReservationRow, toReservation } from "./stock-rows.ts";
import {
  ensureLevels,
  findExpired,
  findReservations,
  lockLevels,
  lockLevelsOfOrders,
  lockReservations,
  type ReservationOwner,
  readClock,
  writeStock,
  writeValues,
} from "./stock-statements.ts";

/** A command, its caller's key, and whoever is answerable for it. */
interface StockRequest extends Keyed, AuditedCommand {}

type Answer = Reservation | Level | Error;

/** How the repository works; all have defaults. */
export interface StockRepositoryOptions {
  /** Commands in one transaction; default 256. */
  readonly maxEntries?: number;
  /** Transactions at the same time; default 1: two would only wait for each other at a hot article. */
  readonly lanes?: number;
  readonly metrics?: StockMetrics;
}

/** Deadlocks and reservations that another process made at the same moment; more in a row is a fault. */
const maxAttempts = 4;
/** What is done for an order has that order's request ids; what is done to a shelf, those of its location. */
const stockKeys: KeySpace<StockRequest> = {
  method: ({ command }) => command.kind,
  scope: ({ command }) => scopeOf(command),
};
const unkeyed: Keyed = { requestId: "", fingerprint: Buffer.alloc(0) };

/**
 * Stock as PostgreSQL keeps it. All changes go through one batcher: the commands of many callers are worked through in one
 * transaction, which takes two round trips, and everyone is answered after its commit.
 */
export class StockRepository {
  readonly #database: Database;
  readonly #metrics: StockMetrics | undefined;
  readonly #batcher: Batcher<StockRequest, Reservation | Level>;

  constructor(database: Database, options: StockRepositoryOptions = {}) {
    this.#database = database;
    this.#metrics = options.metrics;
    this.#batcher = new Batcher<StockRequest, Reservation | Level>({
      name: "stock",
      keyOf: ({ command, requestId }) =>
        command.kind === "adjust" ? `${scopeOf(command)}/${requestId}` : command.orderId,
      maxEntries: options.maxEntries ?? 256,
      lanes: options.lanes ?? 1,
      run: replayable<StockRequest, Reservation | Level>({
        database,
        ...stockKeys,
        decode: decodeAnswer,
        run: (requests) => this.#run(requests),
      }),
    });
  }

  /** Does what a command says and returns the order's reservation after it. @throws InventoryError */
  async change(key: Keyed, command: Exclude<StockCommand, Adjust>, options?: SubmitOptions): Promise<Reservation> {
    const answer = await this.#submit(key, command, options);
    if (!("orderId" in answer)) throw new Error(`${command.kind} was answered with a level`);
    return answer;
  }

  /** Changes what is on the shelf and returns the level after it. @throws BELOW_RESERVED */
  async adjust(key: Keyed, command: Adjust, options?: SubmitOptions): Promise<Level> {
    const answer = await this.#submit(key, command, options);
    if (!("onHand" in answer)) throw new Error("an adjustment was answered with a reservation");
    return answer;
  }

  /** Gives back what is held beyond its time; returns how many orders that were, at most `limit`. */
  async expire(limit = 256): Promise<number> {
    const rows = await this.#database.query<ReservationOwner>(findExpired, [limit]);
    const orders = rows.map((row) => encodeId(row.orderId));
    await Promise.all(orders.map((orderId) => this.change(unkeyed, { kind: "expire", orderId })));
    return orders.length;
  }

  /** Takes no more commands and resolves once all that wait are answered. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  /** What nobody asked for is done by the service itself. */
  #submit(key: Keyed, command: StockCommand, options?: SubmitOptions): Promise<Reservation | Level> {
    const origin = key === unkeyed ? auditOrigin("", "service:inventory") : auditOrigin(key.requestId);
    return this.#batcher.submit({ ...key, command, origin }, options);
  }

  async #run(requests: StockRequest[]): Promise<Answer[]> {
    // A reservation is nearly always new: only when one was there already, it is looked for.
    let lookUp = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answers = await this.#attempt(requests, lookUp);
        if (answers) return this.#count(requests, answers);
        lookUp = true;
      } catch (error) {
        const isKnown = isUniqueViolation(error, "reservation_pkey");
        if (attempt >= maxAttempts || !(isKnown || sqlStateOf(error) === "40P01")) throw error;
        lookUp ||= isKnown;
      }
    }
  }

  #count(requests: StockRequest[], answers: Answer[]): Answer[] {
    const counts = new Map<string, number>();
    for (const [index, { command }] of requests.entries()) {
      const answer = answers[index];
      const label = `${command.kind} ${answer instanceof DomainError ? answer.reasonName : "done"}`;
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    for (const [label, count] of counts) {
      const [kind = "", outcome = ""] = label.split(" ");
      this.#metrics?.answered(kind, outcome, count);
    }
    return answers;
  }

  /** Undefined when a reservation that was not looked for is there. */
  #attempt(requests: StockRequest[], lookUp: boolean): Promise<Answer[] | undefined> {
    return this.#database.transaction(async (tx) => {
      const book = await openBook(tx, { commands: requests.map((request) => request.command), lookUp });
      const answers = requests.map(({ command }) => applyTo(book, command));
      if (!lookUp && (await isOneKnown(tx, requests, answers))) return undefined;
      const keys = requests.flatMap((request, index) => keyRows(request, answers[index] as Answer));
      if (keys.length > 0 || book.reservations.length > 0) {
        const done = requests.filter((_, index) => !(answers[index] instanceof Error));
        const audit = auditOf(done, book.reservations);
        await tx.commitWith(writeStock, writeValues(book, { keys, audit }));
      }
      this.#metrics?.moved(book.movements);
      return answers;
    });
  }
}

/** Whether an order that is about to be refused has a reservation. */
async function isOneKnown(tx: Transaction, requests: StockRequest[], answers: Answer[]): Promise<boolean> {
  const refused = requests.flatMap(({ command }, index) =>
    command.kind === "reserve" && answers[index] instanceof Error ? [decodeId(command.orderId)] : [],
  );
  if (refused.length === 0) return false;
  const known = await tx.query(findReservations, [refused]);
  return known.length > 0;
}

function keyRows(request: StockRequest, answer: Answer): IdempotencyRow[] {
  const { requestId, fingerprint } = request;
  if (answer instanceof Error || requestId === "") return [];
  return [{ method: keyMethod(stockKeys, request), requestId, fingerprint, response: encodeAnswer(answer) }];
}

function scopeOf(command: StockCommand): string {
  return command.kind === "adjust" ? command.locationId : command.orderId;
}

/** A refusal is an answer; anything else fails the batch. */
function applyTo(book: StockBook, command: StockCommand): Answer {
  try {
    return command.kind === "adjust" ? book.adjust(command) : book.apply(command);
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}

interface Opening {
  readonly commands: readonly StockCommand[];
  readonly lookUp: boolean;
}

/** Locks and reads what the commands are about: reservations first, then levels, each in one order. One round trip. */
async function openBook(tx: Transaction, { commands, lookUp }: Opening): Promise<StockBook> {
  const skus = new Set<string>();
  const moving: string[] = [];
  const confirming: string[] = [];
  const looked: string[] = [];
  for (const command of commands) {
    if (command.kind === "adjust") skus.add(command.sku);
    else if (command.kind === "reserve") for (const line of command.lines) skus.add(line.sku);
    else (command.kind === "confirm" ? confirming : moving).push(decodeId(command.orderId));
    if (command.kind === "reserve" && lookUp) looked.push(decodeId(command.orderId));
  }
  const orders = [...moving, ...confirming, ...looked];
  const additions = commands.filter((command): command is Adjust => command.kind === "adjust" && command.delta > 0n);
  const [reservations, , levels, [clock]] = await Promise.all([
    orders.length > 0 ? tx.query<ReservationRow>(lockReservations, [orders]) : [],
    additions.length > 0
      ? tx.query(ensureLevels, [additions.map(({ sku }) => sku), additions.map(({ locationId }) => locationId)])
      : [],
    moving.length + confirming.length > 0
      ? tx.query<Level>(lockLevelsOfOrders, [[...skus], moving, confirming])
      : tx.query<Level>(lockLevels, [[...skus]]),
    tx.query<{ now: Date }>(readClock),
  ]);
  if (!clock) throw new Error("the database did not say what time it is");
  return new StockBook({ levels, reservations: reservations.map(toReservation) }, clock.now);
}
