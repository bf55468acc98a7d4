import type { Database } from "#platform/database/database.ts";
import { StartError } from "#platform/process/startup.ts";
import { lowestPlace, StatisticsRepository } from "./statistics.repository.ts";

/** Events of one transaction, and orders of one when they are counted anew. */
const batch = 1_000;
/** Rows that are taken away by one statement. */
const removeBatch = 5_000;

/** How far a count has come. */
export interface Refreshed {
  /** Events of the audit log that were looked at. */
  readonly events: number;
  /** Whether there are more. */
  readonly more: boolean;
  /** Everything that happened before is counted; undefined while that has never been so. */
  readonly trueUntil: Date | undefined;
}

/**
 * Counts orders by the day on which they were placed.
 *
 * Whatever happens to an order is written down in the audit log by the same statement. So an order of which there is an event is
 * counted anew: what is in the counts of it is taken out and what its row says now is put in, in one transaction. That may be done as
 * often as one likes, by whomever. The log is read in the order of its transactions, and a place is left behind only when no other event
 * can come before it any more; what may have to be read again is.
 */
export class Statistics {
  readonly #database: Pick<Database, "query" | "transaction">;

  constructor(database: Pick<Database, "query" | "transaction">) {
    this.#database = database;
  }

  /**
   * Counts what has happened since.
   *
   * @param budgetMs after this no further batch is begun
   */
  async refresh(budgetMs: number): Promise<Refreshed> {
    const end = performance.now() + budgetMs;
    let pass: Pass | undefined;
    let events = 0;
    for (;;) {
      const counted = await this.#batch(pass);
      pass = counted.pass;
      events += counted.events;
      const { more, trueUntil } = counted;
      if (!more || performance.now() >= end) return { events, more, trueUntil };
    }
  }

  /**
   * Counts every order anew, beside what is shown, and shows that in the end. Nobody who counts or reads waits for it. What is left of one
   * that was cut off, the next one takes away.
   *
   * @param onProgress told how many orders were counted so far
   * @returns how many orders there were
   * @throws StartError when somebody else has begun meanwhile
   */
  async rebuild(onProgress: (orders: number) => void = () => undefined): Promise<number> {
    const repository = new StatisticsRepository(this.#database);
    const begun = await repository.beginRebuild();
    await this.#removeFormer();
    let orders = 0;
    for (let after: string = lowestPlace.eventId; ; ) {
      const ids = await repository.ordersAfter(after, batch);
      if (!(await repository.isRebuilding(begun.generation))) throw overtaken();
      await this.#database.transaction((tx) => new StatisticsRepository(tx).count(begun.generation, ids));
      orders += ids.length;
      onProgress(orders);
      if (ids.length < batch) break;
      after = ids.at(-1) ?? after;
    }
    if (!(await repository.endRebuild(begun))) throw overtaken();
    await this.#removeFormer();
    return orders;
  }

  /** One transaction: what it counts and how far it has come stand or fall together. */
  #batch(before: Pass | undefined): Promise<Omit<Refreshed, "events"> & { events: number; pass: Pass }> {
    return this.#database.transaction(async (tx) => {
      const repository = new StatisticsRepository(tx);
      const state = await repository.lock();
      const { generation, now } = state;
      // What was counted anew meanwhile is to be brought up to date from where that began.
      const { began, place } = before?.generation === generation ? before : { began: now, place: state };
      const events = await repository.events(place, batch);
      const orderIds = events.flatMap(({ orderId }) => (orderId === null ? [] : [orderId]));
      await repository.count(generation, orderIds);
      const more = events.length === batch;
      const settled = events.filter((event) => event.settled).at(-1);
      await repository.move(settled && isAfter(settled, state) ? settled : state, more ? undefined : began);
      const pass = { generation, began, place: events.at(-1) ?? place };
      return { pass, events: events.length, more, trueUntil: more ? (state.trueUntilTime ?? undefined) : began };
    });
  }

  async #removeFormer(): Promise<void> {
    const repository = new StatisticsRepository(this.#database);
    while ((await repository.removeFormer(removeBatch)) > 0);
  }
}

/** A place in the audit log. */
interface Place {
  readonly transaction: string;
  readonly eventId: string;
}

/** From one batch to the next: what was there when the first one began is counted when the last one ends. */
interface Pass {
  readonly generation: number;
  readonly began: Date;
  readonly place: Place;
}

/** Another process may have come further meanwhile. */
function isAfter(one: Place, other: Place): boolean {
  const [a, b] = [BigInt(one.transaction), BigInt(other.transaction)];
  return a > b || (a === b && one.eventId > other.eventId);
}

function overtaken(): StartError {
  return new StartError("somebody else has begun to count orders anew meanwhile: this one gives up");
}
