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
import { isOver } from "#platform/fence.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { episodeOver, InventoryError } from "./errors.ts";
import type { StockMetrics } from "./metrics.ts";
import {
  type Adjust,
  isExpired,
  isShort,
  isWaiting,
  type Level,
  type Movement,
  type Part,
  type Reservation,
  type Returned,
  type StockCommand,
} from "./stock.ts";
import { decodeAnswer, encodeAnswer } from "./stock-answer.ts";
import { type AuditedCommand, auditOf } from "./stock-audit.ts";
import { StockBook } from "./stock-book.ts";
import { crossingsOf } from "./stock-crossings.ts";
import {
  changeQueue,
  findServable,
  findServableOf,
  type QueueChange,
  queueChange,
  readQueue,
  type Servable,
} from "./stock-queue-statements.ts";
import { type ReservationRow, toReservation } from "./stock-rows.ts";
import {
  ensureLevels,
  findExpired,
  findReservations,
  findReturned,
  type HigherFence,
  type LockedLevel,
  lockLevels,
  lockLevelsOfOrders,
  lockReservations,
  type ReservationOwner,
  raiseFences,
  raiseValues,
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
  /** So many orders may wait for one article; default 10,000. Each claim on it sums what they want. */
  readonly queueMax?: number;
  /** A level is low when no more than this is available; default 0. Each crossing is an event. */
  readonly lowAt?: number;
  /** Told of which articles there may be some now that orders wait for, or have begun to wait for. */
  readonly onStock?: (skus: ReadonlySet<string>) => void;
  /** Told that the turn of orders has come. */
  readonly onServed?: (orders: number) => void;
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
/** Orders that may wait for one article. */
const maxQueue = 10_000;
const unkeyed: Keyed = { requestId: "", fingerprint: Buffer.alloc(0) };

/**
 * Stock as PostgreSQL keeps it. All changes go through one batcher: the commands of many callers are worked through in one
 * transaction, which takes two round trips, and everyone is answered after its commit.
 */
export class StockRepository {
  readonly #database: Database;
  readonly #metrics: StockMetrics | undefined;
  readonly #options: StockRepositoryOptions;
  readonly #batcher: Batcher<StockRequest, Reservation | Level>;

  constructor(database: Database, options: StockRepositoryOptions = {}) {
    this.#database = database;
    this.#metrics = options.metrics;
    this.#options = options;
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
        onRepeated: (requests) => refuseOver(database, requests),
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

  /**
   * Sets stock aside for orders whose turn has come, first come, first served; returns how many these were.
   *
   * @param skus only for those that wait for one of these; undefined: for all
   * @param limit at most so many
   */
  async serve(skus: readonly string[] | undefined, limit = 256): Promise<number> {
    const found =
      skus === undefined
        ? await this.#database.query<Servable>(findServable, [limit])
        : await this.#database.query<Servable>(findServableOf, [limit, skus]);
    const served = found.map(async ({ orderId: id, skus: wanted }) => {
      try {
        const { wait } = await this.change(unkeyed, { kind: "serve", orderId: encodeId(id), skus: wanted });
        return wait?.served === true;
      } catch (error) {
        // Somebody wrote it off at this moment: its turn has not come.
        if (error instanceof DomainError) return false;
        throw error;
      }
    });
    return (await Promise.all(served)).filter(Boolean).length;
  }

  /** Gives back what is set aside for an order that nobody knows any more. */
  async giveBack(orderId: string): Promise<void> {
    await this.change(unkeyed, { kind: "release", orderId });
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
  #attempt(
    requests: StockRequest[],
    how: Pick<Opening, "lookUp" | "reach">,
  ): Promise<Answer[] | "look up" | "reach further"> {
    return this.#database.transaction(async (tx) => {
      const opened = await openBook(tx, {
        commands: requests.map((request) => request.command),
        queueMax: this.#options.queueMax ?? maxQueue,
        ...how,
      });
      const { book, partial } = opened;
      const answers = requests.map(({ command }) => applyTo(book, command));
      if (!how.lookUp && (await isOneKnown(tx, requests, answers))) return "look up";
      if (requests.some(({ command }, index) => mayBeElsewhere(command, answers[index], partial)))
        return "reach further";
      const keys = requests.flatMap((request, index) => keyRows(request, answers[index] as Answer));
      const { reservations } = book;
      if (keys.length > 0 || reservations.length > 0) {
        const done = requests.filter((_, index) => !(answers[index] instanceof Error));
        const audit = [...auditOf(done, book), ...crossingsOf(book.levels, BigInt(this.#options.lowAt ?? 0))];
        const change = queueChange(reservations);
        const placeOf = change ? await changeQueue(tx, change) : noPlaces;
        await tx.commitWith(writeStock, writeValues(book, { keys, audit, placeOf }));
        this.#tell(book, change);
      }
      this.#metrics?.moved(book.movements);
      return answers;
    });
  }

  /** After the commit: whoever came to wait meanwhile tells as well, after his. So one of both sees the other. */
  #tell(book: StockBook, change: QueueChange | undefined): void {
    const { onStock, onServed } = this.#options;
    const skus = new Set(book.movements.filter(isRise).map(({ sku }) => sku));
    for (const sku of change?.skus ?? []) skus.add(sku);
    if (skus.size > 0) onStock?.(skus);
    if (change && change.served.length > 0) onServed?.(change.served.length);
  }
}

const noPlaces = () => undefined;

/**
 * Remembers the episodes that repetitions come from: one that is answered as an earlier one was builds on what that did, which nobody is to undo
 * any more. Says which come from an episode that is over.
 */
async function refuseOver(database: Database, requests: readonly StockRequest[]): Promise<(Error | undefined)[]> {
  const fences = requests.map(({ command }) => ("fence" in command ? (command.fence ?? 0) : 0));
  const asked = requests.flatMap(({ command }, index) =>
    command.kind === "adjust" || !fences[index] ? [] : [{ orderId: command.orderId, fence: fences[index] }],
  );
  if (asked.length === 0) return [];
  const higher = await database.query<HigherFence>(raiseFences, raiseValues(asked));
  const highest = new Map(higher.map((row) => [encodeId(row.orderId), row.fence]));
  return requests.map(({ command }, index) => {
    const seen = command.kind === "adjust" ? 0 : (highest.get(command.orderId) ?? 0);
    const fenced = { fence: fences[index] ?? 0 };
    return isOver(fenced, seen) ? episodeOver(scopeOf(command), fenced, seen) : undefined;
  });
}

/** Whether more can be reserved after it. */
function isRise({ onHandDelta, reservedDelta }: Movement): boolean {
  return onHandDelta > reservedDelta;
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
  // Not kept, as a refusal is not: asked again, it is judged anew.
  if ("orderId" in answer && isWaiting(answer)) return [];
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

/** Whether a command was refused for want of stock, or has got too little, and has an article of which not every location was considered. */
function mayBeElsewhere(command: StockCommand, answer: Answer | undefined, partial: ReadonlySet<string>): boolean {
  if (partial.size === 0 || !answer || !isScarce(answer)) return false;
  if ("orderId" in answer && isShort(answer)) return answer.missing.some(({ sku }) => partial.has(sku));
  if (command.kind === "serve") return command.skus.some((sku) => partial.has(sku));
  if (command.kind === "confirm") return true;
  const takes = command.kind === "reserve" || command.kind === "amend";
  return takes && command.lines.some(({ sku }) => partial.has(sku));
}

function isScarce(answer: Answer): boolean {
  if (answer instanceof InventoryError) return scarce.has(answer.reason);
  return "orderId" in answer && (isWaiting(answer) || isShort(answer));
}

interface Opening {
  readonly commands: readonly StockCommand[];
  readonly lookUp: boolean;
  /** How many locations of an article are considered, those with most of it. */
  readonly reach: number;
  /** So many orders may wait for one article. */
  readonly queueMax: number;
}

interface Opened {
  readonly book: StockBook;
  /** The articles of which locations were left out that have some. */
  readonly partial: ReadonlySet<string>;
}

/** The articles of which a command may take some, from wherever they are. */
function takenBy(command: StockCommand): readonly string[] {
  if (command.kind === "serve") return command.skus;
  return command.kind === "reserve" || command.kind === "amend" ? command.lines.map(({ sku }) => sku) : [];
}

/** Locks and reads what the commands are about: reservations first, then levels, each in one order. One round trip. */
async function openBook(tx: Transaction, { commands, lookUp, reach, queueMax }: Opening): Promise<Opened> {
  const skus = new Set<string>();
  const moving: string[] = [];
  const confirming: string[] = [];
  const serving: string[] = [];
  const looked: string[] = [];
  const adjusted: Adjust[] = [];
  const returning: string[] = [];
  const returned: Part[] = [];
  for (const command of commands) {
    if (command.kind === "adjust") adjusted.push(command);
    else if (command.kind === "restock") {
      returning.push(decodeId(command.orderId));
      returned.push(...command.parts);
    } else if (command.kind === "serve") serving.push(decodeId(command.orderId));
    else if (command.kind !== "reserve")
      (command.kind === "confirm" ? confirming : moving).push(decodeId(command.orderId));
    for (const sku of takenBy(command)) skus.add(sku);
    if (command.kind === "reserve" && lookUp) looked.push(decodeId(command.orderId));
  }
  const orders = [...moving, ...confirming, ...serving, ...looked, ...returning];
  const additions = [...adjusted.filter(({ delta }) => delta > 0n), ...returned];
  const meantItself = [...adjusted, ...returned];
  const meant = [[...skus], reach, meantItself.map(({ sku }) => sku), meantItself.map(({ locationId }) => locationId)];
  const [rows, before, , levels, queue, [clock]] = await Promise.all([
    orders.length > 0 ? tx.query<ReservationRow>(lockReservations, [orders]) : [],
    returning.length > 0 ? tx.query<Returned>(findReturned, [returning]) : [],
    additions.length > 0
      ? tx.query(ensureLevels, [additions.map(({ sku }) => sku), additions.map(({ locationId }) => locationId)])
      : [],
    moving.length + confirming.length > 0
      ? tx.query<LockedLevel>(lockLevelsOfOrders, [...meant, moving, confirming])
      : tx.query<LockedLevel>(lockLevels, meant),
    readQueue(tx, { skus: [...skus], serving }, queueMax),
    tx.query<{ now: Date }>(readClock),
  ]);
  if (!clock) throw new Error("the database did not say what time it is");
  const reservations = rows.map(toReservation);
  const late = confirming.length > 0 ? await readLate(tx, reservations, queueMax) : [];
  const claimed = new Map([...queue.claimed, ...late]);
  const known = before.map((row) => ({ ...row, orderId: encodeId(row.orderId) }));
  const state = { levels, reservations, queue: { ...queue, claimed }, returned: known };
  return { book: new StockBook(state, clock.now), partial: partialOf(levels, reach) };
}

/** What orders wait for of articles whose hold is over, and which may be taken again: seldom any. */
async function readLate(tx: Transaction, reservations: readonly Reservation[], queueMax: number) {
  const skus = new Set(reservations.filter(isExpired).flatMap(({ allocations }) => allocations.map(({ sku }) => sku)));
  if (skus.size === 0) return [];
  return (await readQueue(tx, { skus: [...skus], serving: [] }, queueMax)).claimed;
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
