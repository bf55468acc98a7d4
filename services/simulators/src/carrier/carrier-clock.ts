import type { Queryable } from "#platform/database/transaction.ts";
import { CarrierStore, type TimedParcel } from "./carrier-store.ts";
import { eventOf, type JourneyEvent, timeOf } from "./journey.ts";

/** What the carrier tells of a parcel. */
export interface CarrierReport {
  readonly trackingNumber: string;
  readonly event: JourneyEvent;
}

/** What the clock works with. */
export interface CarrierClockOptions {
  /** The carrier's own world. */
  readonly store: Queryable;
  /** Who is told; a report that it throws for is made again later. */
  readonly report: (report: CarrierReport) => Promise<unknown>;
  /** Milliseconds since 1970; the database's time when left out. */
  readonly now?: () => number;
}

/** The most parcels of one sweep. */
export const batchSize = 256;
/** How long a claimed parcel is left alone, in milliseconds. */
const leaseMs = 5_000;

/** Moves the simulated carrier's parcels: what time has brought about is reported, a parcel's stages in a row. */
export class CarrierClock {
  readonly #options: CarrierClockOptions;
  readonly #store: CarrierStore;

  constructor(options: CarrierClockOptions) {
    this.#options = options;
    this.#store = new CarrierStore(options.store);
  }

  /** Reports what is due; returns for how many parcels the reports were taken. */
  async sweep(): Promise<number> {
    const now = this.#options.now && new Date(this.#options.now());
    const parcels = await this.#store.claimDue(now, { leaseMs, limit: batchSize });
    const reported = await Promise.all(parcels.map((parcel) => this.#reportDue(parcel)));
    const moved = reported.flatMap((stage, index) => {
      const parcel = parcels[index];
      return parcel && stage !== undefined ? [{ key: parcel.key, stage, next: timeOf(parcel, stage) }] : [];
    });
    const taken = new Set(moved.map((each) => each.key));
    await this.#store.advance(moved);
    await this.#store.postpone(
      parcels.map((parcel) => parcel.key).filter((key) => !taken.has(key)),
      now,
    );
    return moved.length;
  }

  /** The stage after those that were reported; undefined when a report was not taken. */
  async #reportDue(parcel: TimedParcel): Promise<number | undefined> {
    let stage = parcel.stage;
    const reports: Promise<unknown>[] = [];
    for (let due = timeOf(parcel, stage); due && due <= parcel.now; due = timeOf(parcel, stage)) {
      const event = eventOf(parcel, stage, due);
      if (event) reports.push(this.#options.report({ trackingNumber: parcel.trackingNumber, event }));
      stage += 1;
    }
    const outcomes = await Promise.allSettled(reports);
    return outcomes.every((outcome) => outcome.status === "fulfilled") ? stage : undefined;
  }
}
