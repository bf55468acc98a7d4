import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { TurnBackBehaviour } from "../parcel/parcel-behaviour.ts";

/** What there is under the key of a parcel. */
type ParcelState = "unknown" | "booked" | "refused" | "cancelled";

/** What the simulated carrier has under a key. */
export interface ParcelRow {
  readonly key: string;
  readonly state: ParcelState;
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

/** What is listed of a parcel. */
export type ListedRow = Pick<TimedParcel, "key" | "state" | "trackingNumber" | "refusal" | "bookTime" | "now">;

/** A piece of what is there, in the order of keys. */
export interface ParcelPage {
  /** The last key before it; from the first one when it is empty. */
  readonly after: string;
  readonly limit: number;
}

/** A label as it is asked for. */
export interface NewLabel {
  readonly key: string;
  readonly tracking: string;
  /** Whether it takes its time. */
  readonly slow: boolean;
}

/** A label that was made, and what time it is. */
export interface LabelRow {
  readonly key: string;
  /** How often it was asked for. */
  readonly calls: number;
  readonly trackingNumber: string;
  readonly slow: boolean;
  readonly makeTime: Date;
  readonly now: Date;
}

/** A parcel as it is sent to be booked. */
export interface NewParcel {
  readonly key: string;
  /** What a call finds that is the first one. */
  readonly first: ParcelState;
  /** What a later call makes of a parcel that is still unknown. */
  readonly later: ParcelState;
  /** When it is too late to book it. */
  readonly expire: Date;
  /** After so many milliseconds it is booked. */
  readonly delay: number;
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
  expire: "timestamptz",
  delay: "int4",
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

/** Everything of a parcel, and the time. $2: a time that a test gives. */
const timedColumns = `${parcelColumns}, ${timeOr("$2")} as now`;

/** What comes too late, and is not there, is left out. */
const book: SqlText = {
  name: "carrier_book",
  text: `insert into carrier_parcel as b (key, state, calls, tracking_number, refusal, lost, unreported, forgotten,
      transit_ms, turn_back, book_time, next_time)
    select n.key, n.first, 1, n.tracking, n.refusal, n.lost, n.unreported, n.forgotten, n.transit, n.turn_back,
      ${timeOr("$2")} + n.delay * interval '1 millisecond',
      case when n.first = 'booked' and not n.unreported
        then ${timeOr("$2")} + (n.delay + n.transit / 4) * interval '1 millisecond' end
    from jsonb_to_recordset($1::jsonb) as n(${bookedColumns.typed})
    where n.expire > ${timeOr("$2")}
      or (select k.state <> 'unknown' from carrier_parcel k where k.key = n.key)
    order by n.key
    on conflict (key) do update set calls = b.calls + 1,
      state = case when b.state = 'unknown' then $3::jsonb ->> b.key else b.state end,
      book_time = case when b.state = 'unknown' then excluded.book_time else b.book_time end,
      next_time = case when b.state = 'unknown' and $3::jsonb ->> b.key = 'booked' and not b.unreported
        then excluded.book_time + b.${collection} else b.next_time end
    returning ${timedColumns}`,
};

const find: SqlText = {
  name: "carrier_find",
  text: `select ${timedColumns} from carrier_parcel where key = any($1::text[])`,
};

/** A parcel that is collected stays booked; of what is not there nothing is kept. */
const cancel: SqlText = {
  name: "carrier_cancel",
  text: `update carrier_parcel b set
      state = case when b.state in ('refused', 'unknown')
          or (b.state = 'booked' and b.book_time + b.${collection} <= ${timeOr("$2")})
        then b.state else 'cancelled' end,
      next_time = case when b.state = 'booked' and b.book_time + b.${collection} <= ${timeOr("$2")} then b.next_time end
    where b.key = any(array(select key from carrier_parcel where key = any($1::text[]) order by key for update))
    returning ${timedColumns}`,
};

const list: SqlText = {
  name: "carrier_list",
  text: `select ${timedColumns} from carrier_parcel where key > $1 order by key limit $3`,
};

/** What has not arrived can be turned back where it is: how many stages it has behind it. */
const turns = `(b.state = 'booked' and b.turn_back not in ('refuse', 'silent', 'deliver') and not b.lost and b.turn_time is null
      and b.book_time + b.transit_ms * interval '1 millisecond' > ${timeOr("$2")})`;

const turnBack: SqlText = {
  name: "carrier_turn_back",
  text: `update carrier_parcel b set turn_calls = b.turn_calls + 1,
      turn_stage = case when ${turns} then least(3, floor(4 * extract(epoch from ${timeOr("$2")} - b.book_time) * 1000
        / greatest(1, b.transit_ms)))::int else b.turn_stage end,
      next_time = case when ${turns} and not b.unreported then ${timeOr("$2")} else b.next_time end,
      turn_time = case when ${turns} then ${timeOr("$2")} else b.turn_time end
    where b.key = any($1::text[]) returning ${timedColumns}`,
};

const labelColumns = `${selectList<Omit<LabelRow, "now">>({
  key: true,
  calls: true,
  trackingNumber: true,
  slow: true,
  makeTime: true,
})}, ${timeOr("$2")} as now`;
const madeColumns = writtenColumns<NewLabel>({ key: "text", tracking: "text", slow: "boolean" });

const makeLabels: SqlText = {
  name: "carrier_label",
  text: `insert into carrier_label as l (key, tracking_number, slow, make_time)
    select n.key, n.tracking, n.slow, ${timeOr("$2")} from jsonb_to_recordset($1::jsonb) as n(${madeColumns.typed}) order by n.key
    on conflict (key) do update set calls = l.calls + 1
    returning ${labelColumns}`,
};

const findLabels: SqlText = {
  name: "carrier_label_find",
  text: `select ${labelColumns} from carrier_label where key = any($1::text[])`,
};

const claimDue: SqlText = {
  name: "carrier_due",
  text: `update carrier_parcel set next_time = ${timeOr("$1")} + $2 * interval '1 millisecond'
    where key = any(array(select key from carrier_parcel where next_time <= ${timeOr("$1")}
      order by next_time limit $3 for update skip locked))
    returning ${parcelColumns}, ${timeOr("$1")} as now`,
};

const advance: SqlText = {
  name: "carrier_advance",
  text: `update carrier_parcel b set stage = n.stage, next_time = n.next, report_attempts = 0
    from jsonb_to_recordset($1::jsonb) as n(${advancedColumns.typed}) where b.key = n.key`,
};

const postpone: SqlText = {
  name: "carrier_postpone",
  text: `update carrier_parcel set report_attempts = report_attempts + 1, next_time = ${timeOr("$2")}
      + least(60000, 250 * 2 ^ least(report_attempts, 20)) * interval '1 millisecond'
    where key = any($1::text[])`,
};

/** The memory of the simulated carrier. Times are its own, unless it is told one. */
export class CarrierStore {
  readonly #store: Queryable;

  constructor(store: Queryable) {
    this.#store = store;
  }

  /** Books what is not known yet, unless it comes too late: then it is undefined. Each key once in a batch. */
  async book(parcels: readonly NewParcel[], now?: Date): Promise<(TimedParcel | undefined)[]> {
    const later = Object.fromEntries(parcels.map((parcel) => [parcel.key, parcel.later]));
    const keys = parcels.map((parcel) => parcel.key);
    return sortedBy(
      keys,
      await this.#store.query<TimedParcel>(book, [JSON.stringify(parcels), now, JSON.stringify(later)]),
    );
  }

  /** What is known under keys, in the same order. */
  async find(keys: readonly string[], now?: Date): Promise<(TimedParcel | undefined)[]> {
    return sortedBy(keys, await this.#store.query<TimedParcel>(find, [keys, now]));
  }

  /** Calls off what is not collected yet; each key once in a batch. */
  async cancel(keys: readonly string[], now?: Date): Promise<(TimedParcel | undefined)[]> {
    return sortedBy(keys, await this.#store.query<TimedParcel>(cancel, [keys, now]));
  }

  /** What is there under keys, in the order of keys. */
  list({ after, limit }: ParcelPage, now?: Date): Promise<ListedRow[]> {
    return this.#store.query<TimedParcel>(list, [after, now, limit]);
  }

  /** Turns back what has not arrived, unless it is one of those that stay on their way; each key once in a batch. */
  async turnBack(keys: readonly string[], now?: Date): Promise<(TimedParcel | undefined)[]> {
    return sortedBy(keys, await this.#store.query<TimedParcel>(turnBack, [keys, now]));
  }

  /** Makes labels, or says which there are; each key once in a batch. */
  async makeLabels(labels: readonly NewLabel[], now?: Date): Promise<(LabelRow | undefined)[]> {
    const keys = labels.map(({ key }) => key);
    return sortedBy(keys, await this.#store.query<LabelRow>(makeLabels, [JSON.stringify(labels), now]));
  }

  /** The labels that are known under keys. */
  async findLabels(keys: readonly string[], now?: Date): Promise<(LabelRow | undefined)[]> {
    return sortedBy(keys, await this.#store.query<LabelRow>(findLabels, [keys, now]));
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

function sortedBy<P extends { readonly key: string }>(keys: readonly string[], rows: readonly P[]): (P | undefined)[] {
  const byKey = new Map(rows.map((row) => [row.key, row]));
  return keys.map((key) => byKey.get(key));
}
