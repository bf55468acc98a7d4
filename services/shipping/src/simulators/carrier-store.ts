import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { BookingState } from "../booking/carrier.ts";
import type { TurnBackBehaviour } from "./behaviour.ts";

/** What the simulated carrier has under a key. */
export interface ParcelRow {
  readonly key: string;
  readonly state: BookingState["kind"];
  /** How often it was asked to book it. */
  readonly calls: number;
  readonly trackingNumber: string;
  readonly refusal: string;
  readonly lost: boolean;
  /** Its reports never arrive. */
  readonly unreported: boolean;
  readonly forgotten: boolean;
  readonly transitMs: number;
  readonly bookTime: Date;
  /** What it does when it is asked to turn it back; empty: it does it. */
  readonly turnBack: TurnBackBehaviour | "";
  /** How often it was asked. */
  readonly turnCalls: number;
  /** How many stages of its way it had behind it then, and when that was; null: it was not turned back. */
  readonly turnStage: number;
  readonly turnTime: Date | null;
  /** How many reports were taken. */
  readonly stage: number;
}

/** A parcel, and what time it is. */
export interface TimedParcel extends ParcelRow {
  readonly now: Date;
}

/** A label that was made. */
export interface LabelRow {
  readonly key: string;
  /** How often it was asked for. */
  readonly calls: number;
  readonly trackingNumber: string;
}

/** A parcel as it is sent to be booked. */
export interface NewParcel {
  readonly key: string;
  /** What a call finds that is the first one. */
  readonly first: BookingState["kind"];
  /** What a later call makes of a parcel that is still unknown. */
  readonly later: BookingState["kind"];
  readonly tracking: string;
  readonly refusal: string;
  readonly lost: boolean;
  readonly unreported: boolean;
  readonly forgotten: boolean;
  readonly transit: number;
  readonly turn_back: TurnBackBehaviour | "";
}

/** A parcel whose reports were taken. */
export interface AdvancedParcel {
  readonly key: string;
  /** The one that is reported next. */
  readonly stage: number;
  /** When; null: never. */
  readonly next: Date | null;
}

const parcelColumns = selectList<ParcelRow>({
  key: true,
  state: true,
  calls: true,
  trackingNumber: true,
  refusal: true,
  lost: true,
  unreported: true,
  forgotten: true,
  transitMs: true,
  bookTime: true,
  turnBack: true,
  turnCalls: true,
  turnStage: true,
  turnTime: true,
  stage: true,
});
const bookedColumns = writtenColumns<NewParcel>({
  key: "text",
  first: "text",
  later: "text",
  tracking: "text",
  refusal: "text",
  lost: "boolean",
  unreported: "boolean",
  forgotten: "boolean",
  transit: "int4",
  turn_back: "text",
});
const advancedColumns = writtenColumns<AdvancedParcel>({ key: "text", stage: "int4", next: "timestamptz" });

/** The time that a test gives, else the database's: replicas share this world, and their clocks may differ. */
export function timeOr(parameter: `$${number}`): string {
  return `coalesce(${parameter}::timestamptz, now())`;
}

/** The parcel is collected a quarter of its way after the booking. */
const collection = "transit_ms / 4 * interval '1 millisecond'";

const book: SqlText = {
  name: "simulator_book",
  text: `insert into simulator.booking as b (key, state, calls, tracking_number, refusal, lost, unreported, forgotten,
      transit_ms, turn_back, book_time, next_time)
    select n.key, n.first, 1, n.tracking, n.refusal, n.lost, n.unreported, n.forgotten, n.transit, n.turn_back, ${timeOr("$2")},
      case when n.first = 'booked' and not n.unreported
        then ${timeOr("$2")} + n.transit / 4 * interval '1 millisecond' end
    from jsonb_to_recordset($1::jsonb) as n(${bookedColumns.typed})
    order by n.key
    on conflict (key) do update set calls = b.calls + 1,
      state = case when b.state = 'unknown' then $3::jsonb ->> b.key else b.state end,
      book_time = case when b.state = 'unknown' then excluded.book_time else b.book_time end,
      next_time = case when b.state = 'unknown' and $3::jsonb ->> b.key = 'booked' and not b.unreported
        then excluded.book_time + b.${collection} else b.next_time end
    returning ${parcelColumns}`,
};

const find: SqlText = {
  name: "simulator_find",
  text: `select ${parcelColumns}, ${timeOr("$2")} as now from simulator.booking where key = any($1::text[])`,
};

/** A key that was never seen is refused from then on; a parcel that is collected stays booked. */
const cancel: SqlText = {
  name: "simulator_cancel",
  text: `insert into simulator.booking as b (key, state, calls, tracking_number, lost, transit_ms, book_time)
    select n.key, 'cancelled', 0, '', false, 0, ${timeOr("$2")} from unnest($1::text[]) as n(key) order by n.key
    on conflict (key) do update set
      state = case when b.state = 'refused' or (b.state = 'booked' and b.book_time + b.${collection} <= ${timeOr("$2")})
        then b.state else 'cancelled' end,
      next_time = case when b.state = 'booked' and b.book_time + b.${collection} <= ${timeOr("$2")} then b.next_time end
    returning ${parcelColumns}`,
};

/** What has not arrived can be turned back where it is: how many stages it has behind it. */
const turns = `(b.state = 'booked' and b.turn_back not in ('refuse', 'silent', 'deliver') and not b.lost and b.turn_time is null
      and b.book_time + b.transit_ms * interval '1 millisecond' > ${timeOr("$2")})`;

const turnBack: SqlText = {
  name: "simulator_turn_back",
  text: `update simulator.booking b set turn_calls = b.turn_calls + 1,
      turn_stage = case when ${turns} then least(3, floor(4 * extract(epoch from ${timeOr("$2")} - b.book_time) * 1000
        / greatest(1, b.transit_ms)))::int else b.turn_stage end,
      next_time = case when ${turns} and not b.unreported then ${timeOr("$2")} else b.next_time end,
      turn_time = case when ${turns} then ${timeOr("$2")} else b.turn_time end
    where b.key = any($1::text[]) returning ${parcelColumns}, ${timeOr("$2")} as now`,
};

const makeLabel: SqlText = {
  name: "simulator_label",
  text: `insert into simulator.label as l (key, tracking_number)
    select * from unnest($1::text[], $2::text[]) as n(key, tracking_number) order by key
    on conflict (key) do update set calls = l.calls + 1
    returning key, calls, tracking_number as "trackingNumber"`,
};

const findLabel: SqlText = {
  name: "simulator_label_find",
  text: `select key, calls, tracking_number as "trackingNumber" from simulator.label where key = $1`,
};

const claimDue: SqlText = {
  name: "simulator_due",
  text: `update simulator.booking set next_time = ${timeOr("$1")} + $2 * interval '1 millisecond'
    where key = any(array(select key from simulator.booking where next_time <= ${timeOr("$1")}
      order by next_time limit $3 for update skip locked))
    returning ${parcelColumns}, ${timeOr("$1")} as now`,
};

const advance: SqlText = {
  name: "simulator_advance",
  text: `update simulator.booking b set stage = n.stage, next_time = n.next, report_attempts = 0
    from jsonb_to_recordset($1::jsonb) as n(${advancedColumns.typed}) where b.key = n.key`,
};

const postpone: SqlText = {
  name: "simulator_postpone",
  text: `update simulator.booking set report_attempts = report_attempts + 1, next_time = ${timeOr("$2")}
      + least(60000, 250 * 2 ^ least(report_attempts, 20)) * interval '1 millisecond'
    where key = any($1::text[])`,
};

/** The memory of the simulated carrier, in its own schema. Times are its own, unless it is told one. */
export class CarrierStore {
  readonly #store: Queryable;

  constructor(store: Queryable) {
    this.#store = store;
  }

  /** Books what is not known yet; each key once in a batch. */
  async book(parcels: readonly NewParcel[], now?: Date): Promise<ParcelRow[]> {
    const later = Object.fromEntries(parcels.map((parcel) => [parcel.key, parcel.later]));
    const keys = parcels.map((parcel) => parcel.key);
    const rows = await this.#store.query<ParcelRow>(book, [JSON.stringify(parcels), now, JSON.stringify(later)]);
    return sortedBy(keys, rows).filter((row) => row !== undefined);
  }

  /** What is known under keys, in the same order. */
  async find(keys: readonly string[], now?: Date): Promise<(TimedParcel | undefined)[]> {
    return sortedBy(keys, await this.#store.query<TimedParcel>(find, [keys, now]));
  }

  /** Calls off what is not collected yet; each key once in a batch. */
  async cancel(keys: readonly string[], now?: Date): Promise<ParcelRow[]> {
    return sortedBy(keys, await this.#store.query<ParcelRow>(cancel, [keys, now])).filter((row) => row !== undefined);
  }

  /** Turns back what has not arrived, unless it is one of those that stay on their way; each key once in a batch. */
  async turnBack(keys: readonly string[], now?: Date): Promise<(TimedParcel | undefined)[]> {
    return sortedBy(keys, await this.#store.query<TimedParcel>(turnBack, [keys, now]));
  }

  /** Makes a label, or says which one there is. */
  async makeLabel(key: string, trackingNumber: string): Promise<LabelRow | undefined> {
    const [row] = await this.#store.query<LabelRow>(makeLabel, [[key], [trackingNumber]]);
    return row;
  }

  /** The label that is known under a key. */
  async findLabel(key: string): Promise<LabelRow | undefined> {
    const [row] = await this.#store.query<LabelRow>(findLabel, [key]);
    return row;
  }

  /** Parcels with something to report; nobody else gets them for the time of the lease (milliseconds). */
  claimDue(now: Date | undefined, options: { leaseMs: number; limit: number }): Promise<TimedParcel[]> {
    return this.#store.query<TimedParcel>(claimDue, [now, options.leaseMs, options.limit]);
  }

  /** The reports before `stage` were taken; the next one is due at `next`, or there is none. */
  async advance(parcels: readonly AdvancedParcel[]): Promise<void> {
    if (parcels.length > 0) await this.#store.query(advance, [JSON.stringify(parcels)]);
  }

  /** Reports were not taken and are made again after a pause that doubles. */
  async postpone(keys: readonly string[], now?: Date): Promise<void> {
    if (keys.length > 0) await this.#store.query(postpone, [keys, now]);
  }
}

function sortedBy<P extends ParcelRow>(keys: readonly string[], rows: readonly P[]): (P | undefined)[] {
  const byKey = new Map(rows.map((row) => [row.key, row]));
  return keys.map((key) => byKey.get(key));
}
