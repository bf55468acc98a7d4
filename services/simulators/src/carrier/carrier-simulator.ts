import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { newId } from "#platform/id.ts";
import { type Behaviour, behaviourOf, type Treated } from "../parcel/parcel-behaviour.ts";
import {
  CarrierStore,
  type LabelRow,
  type ListedRow,
  type NewLabel,
  type NewParcel,
  type ParcelPage,
  type TimedParcel,
} from "./carrier-store.ts";
import { eventsUntil, type JourneyEvent } from "./journey.ts";

/** What the simulated carrier works with. Durations are milliseconds. */
export interface CarrierSimulatorOptions {
  /** Its own world. */
  readonly store: Queryable;
  /** From booking to delivery. */
  readonly transitMs: number;
  /** How late it answers for `SIM-SLOW`. */
  readonly slowMs: number;
  /** Stock locations that it does not serve. */
  readonly refusedLocations: readonly string[];
  /** Milliseconds since 1970; the database's time when left out. */
  readonly now?: () => number;
}

/** A parcel as it is sent. */
export interface SentParcel extends Treated {
  /** What comes later and is not known is not booked. */
  readonly expireTime: Date;
}

/** What the carrier refuses. */
interface Refusal {
  readonly state: "refused";
  readonly code: string;
  readonly message: string;
}

/** What it has under a key; `undecided`: it takes its time, or its answer was lost. */
export type ParcelAnswer =
  | { readonly state: "booked"; readonly trackingNumber: string }
  | { readonly state: "unknown" | "cancelled" | "undecided" }
  | Refusal;

/** What it says to turning a parcel back. */
export type TurnBackSaid = { readonly state: "agreed" | "undecided" } | Refusal;

/** What it has under the key of a label. */
export type LabelAnswer =
  | { readonly state: "made"; readonly trackingNumber: string; readonly label: string }
  | { readonly state: "unknown" | "undecided" }
  | Refusal;

/** How much longer than others a parcel is on its way that goes far. */
const farFactor = 10;

/** A carrier that does what {@link behaviourOf} says, and remembers it in the database. */
export class CarrierSimulator {
  readonly #options: CarrierSimulatorOptions;
  readonly #bookings: Batcher<NewParcel, TimedParcel | undefined>;
  readonly #questions: Batcher<string, TimedParcel | undefined>;
  readonly #cancellations: Batcher<string, TimedParcel | undefined>;
  readonly #turns: Batcher<string, TimedParcel | undefined>;
  readonly #labels: Batcher<NewLabel, LabelRow | undefined>;
  readonly #labelQuestions: Batcher<string, LabelRow | undefined>;
  readonly #store: CarrierStore;

  constructor(options: CarrierSimulatorOptions) {
    this.#options = options;
    const store = new CarrierStore(options.store);
    this.#store = store;
    const now = () => options.now && new Date(options.now());
    const itself = (key: string) => key;
    this.#bookings = new Batcher({
      name: "simulator.book",
      keyOf: ({ key }) => key,
      run: (parcels) => store.book(parcels, now()),
    });
    this.#questions = new Batcher({ name: "simulator.find", run: (keys) => store.find(keys, now()) });
    this.#cancellations = new Batcher({
      name: "simulator.cancel",
      keyOf: itself,
      run: (keys) => store.cancel(keys, now()),
    });
    this.#turns = new Batcher({
      name: "simulator.turn_back",
      keyOf: itself,
      run: (keys) => store.turnBack(keys, now()),
    });
    this.#labels = new Batcher({
      name: "simulator.label",
      keyOf: ({ key }) => key,
      run: (labels) => store.makeLabels(labels, now()),
    });
    this.#labelQuestions = new Batcher({ name: "simulator.find_label", run: (keys) => store.findLabels(keys, now()) });
  }

  async book(parcel: SentParcel, options?: SubmitOptions): Promise<ParcelAnswer> {
    const behaviour = behaviourOf(parcel, this.#options.refusedLocations);
    const row = await this.#bookings.submit(this.#parcel(parcel, behaviour), options);
    if (row && behaviour.fails && row.calls <= 2) return { state: "undecided" };
    if (row && behaviour.losesAnswer && row.calls === 1) return { state: "undecided" };
    return answerOf(row);
  }

  async find(key: string, options?: SubmitOptions): Promise<ParcelAnswer> {
    return answerOf(await this.#questions.submit(key, options));
  }

  async cancel(key: string, options?: SubmitOptions): Promise<ParcelAnswer> {
    return answerOf(await this.#cancellations.submit(key, options));
  }

  /** Everything that has happened to a parcel; undefined when there is none. */
  async track(key: string, options?: SubmitOptions): Promise<readonly JourneyEvent[] | undefined> {
    const row = await this.#questions.submit(key, options);
    return row?.state === "booked" && !row.forgotten ? eventsUntil(row, row.now) : undefined;
  }

  async turnBack(key: string, options?: SubmitOptions): Promise<TurnBackSaid> {
    const row = await this.#turns.submit(key, options);
    if (row?.state !== "booked") return refused("UNKNOWN_PARCEL", "there is no such parcel");
    if (row.turnBack === "silent" || (row.turnBack === "timeout" && row.turnCalls === 1)) return { state: "undecided" };
    if (row.turnBack === "slow" && row.turnTime && this.#isSlow(row.turnTime, row.now)) return { state: "undecided" };
    const isUnderWay = row.now.getTime() < row.bookTime.getTime() + row.transitMs;
    if (row.turnTime !== null || (row.turnBack === "deliver" && isUnderWay)) return { state: "agreed" };
    return refused("NOT_POSSIBLE", "it is too late, or there is no way back from where it goes");
  }

  async makeLabel(order: Treated, options?: SubmitOptions): Promise<LabelAnswer> {
    const { label } = behaviourOf(order);
    if (label === "refuse") return refused("ADDRESS_NOT_SERVED", "nothing is collected there");
    const made = { key: order.key, tracking: `SIMR${newId()}`, slow: label === "slow" };
    const row = await this.#labels.submit(made, options);
    return label === "timeout" && row?.calls === 1 ? { state: "undecided" } : this.#labelOf(row);
  }

  async findLabel(key: string, options?: SubmitOptions): Promise<LabelAnswer> {
    return this.#labelOf(await this.#labelQuestions.submit(key, options));
  }

  /** What is there under keys, in the order of keys. */
  async list(page: ParcelPage): Promise<{ readonly key: string; readonly answer: ParcelAnswer }[]> {
    const rows = await this.#store.list(page, this.#options.now && new Date(this.#options.now()));
    return rows.map((row: ListedRow) => ({ key: row.key, answer: answerOf(row) }));
  }

  /** Takes nothing more, and ends once all is answered that was taken. */
  async drain(): Promise<void> {
    const asked = [this.#questions, this.#cancellations, this.#turns, this.#labelQuestions];
    await Promise.all([this.#bookings.drain(), this.#labels.drain(), ...asked.map((batcher) => batcher.drain())]);
  }

  #isSlow(since: Date, now: Date): boolean {
    return now.getTime() < since.getTime() + this.#options.slowMs;
  }

  #labelOf(row: LabelRow | undefined): LabelAnswer {
    if (!row) return { state: "unknown" };
    const { trackingNumber } = row;
    if (row.slow && this.#isSlow(row.makeTime, row.now)) return { state: "undecided" };
    return { state: "made", trackingNumber, label: `https://carrier.example/labels/${trackingNumber}.pdf` };
  }

  #parcel({ key, expireTime }: SentParcel, behaviour: Behaviour): NewParcel {
    const outcome = behaviour.refusal === undefined ? "booked" : "refused";
    const { lost = false, unreported = false, forgotten = false, refusal = "" } = behaviour;
    return {
      key,
      first: behaviour.fails ? "unknown" : outcome,
      later: outcome,
      expire: expireTime,
      delay: behaviour.slow ? this.#options.slowMs : 0,
      tracking: `SIM${newId()}`,
      refusal,
      lost,
      unreported,
      forgotten,
      transit: this.#options.transitMs * (behaviour.far ? farFactor : 1),
      turn_back: behaviour.turnBack ?? "",
    };
  }
}

function refused(code: string, message: string): Refusal {
  return { state: "refused", code, message };
}

/** One that is booked later is not decided before. */
function answerOf(row: ListedRow | undefined): ParcelAnswer {
  if (!row) return { state: "unknown" };
  if (row.state === "refused") return refused(row.refusal, "the carrier does not take it");
  if (row.state !== "booked") return { state: row.state };
  return row.bookTime > row.now ? { state: "undecided" } : { state: "booked", trackingNumber: row.trackingNumber };
}
