import { InventoryErrorReason } from "#gen/shop/inventory/v1/inventory_error_reason_pb.js";
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
import { InventoryError } from "./errors.ts";
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
  type LockedLevel,
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
/**
 * Of an article that lies at very many locations, so many are locked and considered, those with most of it; and so many times more
 * when that does not do.
 */
const firstReach = 32;
const furtherBy = 8;
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
    let reach = firstReach;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answers = await this.#attempt(requests, { lookUp, reach });
        if (answers === "look up") lookUp = true;
        else if (answers === "reach further") reach *= furtherBy;
        else return this.#count(requests, answers);
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

  /** Without an answer when a reservation that was not looked for is there, or stock that was not looked at may help. */
  #attempt(requests: StockRequest[], how: Omit<Opening, "commands">): Promise<Answer[] | "look up" | "reach further"> {
    return this.#database.transaction(async (tx) => {
      const opened = await openBook(tx, { commands: requests.map((request) => request.command), ...how });
      const { book, partial } = opened;
      const answers = requests.map(({ command }) => applyTo(book, command));
      if (!how.lookUp && (await isOneKnown(tx, requests, answers))) return "look up";
      if (requests.some(({ command }, index) => mayBeElsewhere(command, answers[index], partial)))
        return "reach further";
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

/** Refusals that more locations may turn into a reservation. */
const scarce: ReadonlySet<number> = new Set([
  InventoryErrorReason.OUT_OF_STOCK,
  InventoryErrorReason.TOO_MANY_LOCATIONS,
  InventoryErrorReason.HOLD_EXPIRED,
]);

/** Whether a command was refused for want of stock, and has an article of which not every location was considered. */
function mayBeElsewhere(command: StockCommand, answer: Answer | undefined, partial: ReadonlySet<string>): boolean {
  if (partial.size === 0 || !(answer instanceof InventoryError) || !scarce.has(answer.reason)) return false;
  return (
    command.kind === "confirm" || (command.kind === "reserve" && command.lines.some(({ sku }) => partial.has(sku)))
  );
}

interface Opening {
  readonly commands: readonly StockCommand[];
  readonly lookUp: boolean;
  /** How many locations of an article are considered, those with most of it. */
  readonly reach: number;
}

interface Opened {
  readonly book: StockBook;
  /** The articles of which locations were left out that have some. */
  readonly partial: ReadonlySet<string>;
}

/** Locks and reads what the commands are about: reservations first, then levels, each in one order. One round trip. */
async function openBook(tx: Transaction, { commands, lookUp, reach }: Opening): Promise<Opened> {
  const skus = new Set<string>();
  const moving: string[] = [];
  const confirming: string[] = [];
  const looked: string[] = [];
  const adjusted: Adjust[] = [];
  for (const command of commands) {
    if (command.kind === "adjust") adjusted.push(command);
    else if (command.kind === "reserve") for (const line of command.lines) skus.add(line.sku);
    else (command.kind === "confirm" ? confirming : moving).push(decodeId(command.orderId));
    if (command.kind === "reserve" && lookUp) looked.push(decodeId(command.orderId));
  }
  const orders = [...moving, ...confirming, ...looked];
  const additions = adjusted.filter(({ delta }) => delta > 0n);
  const meant = [[...skus], reach, adjusted.map(({ sku }) => sku), adjusted.map(({ locationId }) => locationId)];
  const [reservations, , levels, [clock]] = await Promise.all([
    orders.length > 0 ? tx.query<ReservationRow>(lockReservations, [orders]) : [],
    additions.length > 0
      ? tx.query(ensureLevels, [additions.map(({ sku }) => sku), additions.map(({ locationId }) => locationId)])
      : [],
    moving.length + confirming.length > 0
      ? tx.query<LockedLevel>(lockLevelsOfOrders, [...meant, moving, confirming])
      : tx.query<LockedLevel>(lockLevels, meant),
    tx.query<{ now: Date }>(readClock),
  ]);
  if (!clock) throw new Error("the database did not say what time it is");
  const book = new StockBook({ levels, reservations: reservations.map(toReservation) }, clock.now);
  return { book, partial: partialOf(levels, reach) };
}

function partialOf(levels: readonly LockedLevel[], reach: number): Set<string> {
  if (levels.length < reach) return new Set();
  const seen = Map.groupBy(
    levels.filter((level) => level.seen !== null),
    ({ sku }) => sku,
  );
  return new Set(
    [...seen]
      .filter(([, own]) => own.length >= reach && own.every((level) => Number(level.seen) > 0))
      .map(([sku]) => sku),
  );
}
