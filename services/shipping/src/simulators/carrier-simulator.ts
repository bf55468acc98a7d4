import { setTimeout as pause } from "node:timers/promises";
import { Batcher } from "#platform/batch/batcher.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { newId } from "#platform/id.ts";
import { fired } from "#platform/wait.ts";
import type {
  BookingOrder,
  BookingState,
  Carrier,
  LabelOrder,
  LabelState,
  TurnBackAnswer,
} from "../booking/carrier.ts";
import type { TrackingEvent } from "../shipment/shipment.ts";
import { type Behaviour, behaviourOf } from "./behaviour.ts";
import { CarrierStore, type LabelRow, type NewParcel, type ParcelRow, type TimedParcel } from "./carrier-store.ts";
import { eventsUntil } from "./journey.ts";

/** What the simulated carrier works with. Durations are milliseconds. */
export interface CarrierSimulatorOptions {
  /** The carrier's own world: its schema `simulator`, its own connections. */
  readonly store: Queryable;
  /** From booking to delivery. */
  readonly transitMs: number;
  /** How late it answers for `SIM-SLOW`. */
  readonly slowMs: number;
  /** Stock locations that it does not serve. */
  readonly refusedLocations: readonly string[];
  /** Milliseconds since 1970; the database's time when left out. */
  readonly now?: () => number;
  /** Passes time; rejects when the caller hangs up. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** How much longer than others a parcel is on its way that goes far. */
const farFactor = 10;

/** The carrier answered with a server error: whether the call had an effect, the caller cannot know. */
export class CarrierFault extends Error {
  override readonly name = "CarrierFault";
}

/** A carrier that does what {@link behaviourOf} says, and remembers it in the database. */
export class CarrierSimulator implements Carrier {
  readonly name = "simulator";
  readonly #options: CarrierSimulatorOptions;
  readonly #bookings: Batcher<NewParcel, ParcelRow>;
  readonly #questions: Batcher<string, TimedParcel | undefined>;
  readonly #cancellations: Batcher<string, ParcelRow>;
  readonly #turns: Batcher<string, TimedParcel | undefined>;
  readonly #store: CarrierStore;

  constructor(options: CarrierSimulatorOptions) {
    this.#options = options;
    const store = new CarrierStore(options.store);
    this.#store = store;
    const now = () => options.now && new Date(options.now());
    this.#bookings = new Batcher({
      name: "simulator.book",
      keyOf: (parcel) => parcel.key,
      run: (parcels) => store.book(parcels, now()),
    });
    this.#questions = new Batcher({ name: "simulator.find", run: (keys) => store.find(keys, now()) });
    this.#cancellations = new Batcher({
      name: "simulator.cancel",
      keyOf: (key) => key,
      run: (keys) => store.cancel(keys, now()),
    });
    this.#turns = new Batcher({
      name: "simulator.turn_back",
      keyOf: (key) => key,
      run: (keys) => store.turnBack(keys, now()),
    });
  }

  async book(order: BookingOrder, signal: AbortSignal): Promise<BookingState> {
    const behaviour = behaviourOf(order, this.#options.refusedLocations);
    if (behaviour.slow) await this.#wait(this.#options.slowMs, signal);
    const row = await this.#bookings.submit(this.#parcel(order.key, behaviour), { signal });
    if (behaviour.fails && row.calls <= 2) throw new CarrierFault("503 from the carrier");
    if (behaviour.losesAnswer && row.calls === 1) await hangUp(signal);
    return stateOf(row);
  }

  async find(key: string, signal: AbortSignal): Promise<BookingState> {
    const row = await this.#questions.submit(key, { signal });
    return row ? stateOf(row) : { kind: "unknown" };
  }

  async cancel(key: string, signal: AbortSignal): Promise<BookingState> {
    return stateOf(await this.#cancellations.submit(key, { signal }));
  }

  async track(key: string, signal: AbortSignal): Promise<readonly TrackingEvent[] | undefined> {
    const row = await this.#questions.submit(key, { signal });
    return row?.state === "booked" && !row.forgotten ? eventsUntil(row, row.now) : undefined;
  }

  async turnBack(key: string, signal: AbortSignal): Promise<TurnBackAnswer> {
    const row = await this.#turns.submit(key, { signal });
    if (row?.state !== "booked") return refused("UNKNOWN_PARCEL", "there is no such parcel");
    if (row.turnBack === "silent" || (row.turnBack === "timeout" && row.turnCalls === 1)) await hangUp(signal);
    if (row.turnBack === "slow" && row.turnCalls === 1) await this.#wait(this.#options.slowMs, signal);
    const isUnderWay = row.now.getTime() < row.bookTime.getTime() + row.transitMs;
    if (row.turnTime !== null || (row.turnBack === "deliver" && isUnderWay)) return { kind: "agreed" };
    return refused("NOT_POSSIBLE", "it is too late, or there is no way back from where it goes");
  }

  async makeLabel({ key, address, locationId }: LabelOrder, signal: AbortSignal): Promise<LabelState> {
    const { label } = behaviourOf({ address, locationId });
    if (label === "refuse") return refused("ADDRESS_NOT_SERVED", "nothing is collected there");
    if (label === "slow") await this.#wait(this.#options.slowMs, signal);
    const row = await this.#store.makeLabel(key, `SIMR${newId()}`);
    if (label === "timeout" && row?.calls === 1) await hangUp(signal);
    return labelOf(row);
  }

  async findLabel(key: string, signal: AbortSignal): Promise<LabelState> {
    signal.throwIfAborted();
    return labelOf(await this.#store.findLabel(key));
  }

  #parcel(key: string, behaviour: Behaviour): NewParcel {
    const outcome = behaviour.refusal === undefined ? "booked" : "refused";
    const { lost = false, unreported = false, forgotten = false, refusal = "" } = behaviour;
    const first = behaviour.fails ? "unknown" : outcome;
    const transit = this.#options.transitMs * (behaviour.far ? farFactor : 1);
    const fate = { refusal, lost, unreported, forgotten, transit, turn_back: behaviour.turnBack ?? ("" as const) };
    return { key, first, later: outcome, tracking: `SIM${newId()}`, ...fate };
  }

  #wait(ms: number, signal: AbortSignal): Promise<unknown> {
    const { wait = (time: number, end: AbortSignal) => pause(time, undefined, { signal: end }) } = this.#options;
    return wait(ms, signal);
  }
}

function refused(code: string, message: string): { kind: "refused"; code: string; message: string } {
  return { kind: "refused", code, message };
}

function labelOf(row: LabelRow | undefined): LabelState {
  if (!row) return { kind: "unknown" };
  const { trackingNumber } = row;
  return { kind: "made", trackingNumber, label: `https://carrier.example/labels/${trackingNumber}.pdf` };
}

function stateOf(row: ParcelRow): BookingState {
  const states: Record<BookingState["kind"], BookingState> = {
    unknown: { kind: "unknown" },
    booked: { kind: "booked", trackingNumber: row.trackingNumber },
    refused: { kind: "refused", code: row.refusal, message: "the carrier does not take it" },
    cancelled: { kind: "cancelled" },
  };
  return states[row.state];
}

/** An answer that never arrives: the caller's patience ends it. */
async function hangUp(signal: AbortSignal): Promise<never> {
  await fired(signal);
  throw signal.reason;
}
