import { randomUUID } from "node:crypto";
import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Parcel, ParcelName } from "./parcel.ts";

/** What the repository needs of a database. */
export type Statements = Pick<Database, "query">;

/** Somebody else works at the parcel since: what was found out is not written. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

/** A parcel that nobody else works at, and for how long things have been so; milliseconds. */
export interface TakenParcel {
  readonly leaseId: string;
  readonly parcel: Parcel;
  /** Since something was last sent, or failed. */
  readonly quietMs: number;
  /** Since it was first refused in a way that may pass; 0 when it never was. */
  readonly doubtMs: number;
  /** Whether it is too late to begin it. */
  readonly isLate: boolean;
}

/** A piece of what there is, in the order of keys. */
export interface ParcelPage {
  /** The last key before it; from the first one when it is empty. */
  readonly after: string;
  readonly limit: number;
}

const columns = selectList<Parcel>({
  kind: true,
  key: true,
  state: true,
  shipmentId: true,
  trackingNumber: true,
  carrier: true,
  label: true,
  code: true,
  voids: true,
});

/** What comes too late does not begin. */
const begin: SqlText = {
  name: "easypost_begin",
  text: `insert into easypost_parcel (kind, key) select $1, $2 where $3::timestamptz > clock_timestamp()
    on conflict (kind, key) do nothing`,
};

const find: SqlText = {
  name: "easypost_find",
  text: `select ${columns} from easypost_parcel where kind = $1 and key = $2`,
};

const findByShipment: SqlText = {
  name: "easypost_find_by_shipment",
  text: `select ${columns} from easypost_parcel where shipment_id = $1 and shipment_id <> ''`,
};

const take: SqlText = {
  name: "easypost_take",
  text: `update easypost_parcel set lease_id = $3, lease_time = clock_timestamp() + $4 * interval '1 millisecond'
    where kind = $1 and key = $2 and (lease_id is null or lease_time < clock_timestamp())
    returning ${columns}, (extract(epoch from clock_timestamp() - touch_time) * 1000)::float8 as "quietMs",
      coalesce(extract(epoch from clock_timestamp() - doubt_time) * 1000, 0)::float8 as "doubtMs", $5::timestamptz <= clock_timestamp() as "isLate"`,
};

const release: SqlText = {
  name: "easypost_release",
  text: "update easypost_parcel set lease_id = null where kind = $1 and key = $2 and lease_id = $3",
};

const write: SqlText = {
  name: "easypost_write",
  text: `update easypost_parcel set state = $4, shipment_id = $5, tracking_number = $6, carrier = $7, label = $8, code = $9, voids = $10,
      doubt_time = case when $12 then coalesce(doubt_time, clock_timestamp()) else doubt_time end,
      touch_time = clock_timestamp(), lease_time = clock_timestamp() + $11 * interval '1 millisecond'
    where kind = $1 and key = $2 and lease_id = $3 returning key`,
};

/** What has no label is no parcel. */
const list: SqlText = {
  name: "easypost_list",
  text: `select ${columns} from easypost_parcel where kind = 'parcel' and key > $1 and state <> 'begun' order by key limit $2`,
};

/** Remembers what EasyPost is asked for before it is, and what came of it. */
export class ParcelRepository {
  readonly #database: Statements;
  readonly #leaseMs: number;

  /** @param leaseMs how long somebody who works at a parcel may take until it is anybody's again */
  constructor(database: Statements, leaseMs: number) {
    this.#database = database;
    this.#leaseMs = leaseMs;
  }

  /** Writes down that it is asked for, unless that is known or comes too late, and returns what is known of it. */
  async begin(name: ParcelName, expireTime: Date): Promise<Parcel | undefined> {
    await this.#database.query(begin, [name.kind, name.key, expireTime]);
    return await this.find(name);
  }

  async find({ kind, key }: ParcelName): Promise<Parcel | undefined> {
    return (await this.#database.query<Parcel>(find, [kind, key]))[0];
  }

  /** The one that EasyPost calls so. */
  async findByShipment(shipmentId: string): Promise<Parcel | undefined> {
    return (await this.#database.query<Parcel>(findByShipment, [shipmentId]))[0];
  }

  /**
   * Takes one for oneself; undefined while somebody else has it.
   *
   * @param expireTime after which it is not begun any more
   */
  async take({ kind, key }: ParcelName, expireTime: Date): Promise<TakenParcel | undefined> {
    const leaseId = randomUUID();
    const values = [kind, key, leaseId, this.#leaseMs, expireTime];
    const [row] = await this.#database.query<Parcel & Pick<TakenParcel, "quietMs" | "doubtMs" | "isLate">>(
      take,
      values,
    );
    if (!row) return undefined;
    const { quietMs, doubtMs, isLate, ...parcel } = row;
    return { leaseId, parcel, quietMs, doubtMs, isLate };
  }

  /** Gives it to others. */
  async release({ leaseId, parcel: { kind, key } }: TakenParcel): Promise<void> {
    await this.#database.query(release, [kind, key, leaseId]);
  }

  /**
   * Writes what has become of it; the lease begins anew.
   *
   * @param isDoubted whether it was refused in a way that may pass
   * @throws LeaseLost
   */
  async write(taken: TakenParcel, change: Partial<Parcel>, isDoubted = false): Promise<TakenParcel> {
    const until = performance.now() + this.#leaseMs;
    const parcel: Parcel = { ...taken.parcel, ...change };
    const { kind, key, state, shipmentId, trackingNumber, carrier, label, code, voids } = parcel;
    const rows = await this.#database.query(write, [
      ...[kind, key, taken.leaseId, state, shipmentId, trackingNumber, carrier, label, code, voids],
      ...[this.#leaseMs, isDoubted],
    ]);
    // Who was frozen meanwhile, for so long that it is anybody's again, does not go on either.
    if (rows.length === 0 || performance.now() > until)
      throw new LeaseLost(`somebody else may work at the ${kind} ${key}`);
    return { ...taken, parcel, quietMs: 0 };
  }

  /** Parcels in the order of keys, byte by byte, without those that have not begun at EasyPost. */
  list({ after, limit }: ParcelPage): Promise<Parcel[]> {
    return this.#database.query<Parcel>(list, [after, limit]);
  }
}
