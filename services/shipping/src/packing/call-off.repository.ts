import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import type { Shipment } from "../shipment/shipment.ts";
import { type ShipmentRow, shipmentColumns, toShipment } from "../shipment/shipment-row.ts";

/** A shipment of whose call-off the warehouse has not heard. */
export interface CallOff extends Shipment {
  /** How often it was told. */
  readonly callOffAttempts: number;
  /** It was told for as long as it is told. */
  readonly isLate: boolean;
}

type CallOffTerms = Pick<CallOff, "callOffAttempts" | "isLate">;

/** Beside the columns of its shipment; $1 is how long the warehouse is told, in milliseconds. */
const callOffColumns = selectList<CallOffTerms>({
  callOffAttempts: "c.attempts",
  isLate: "c.create_time < now() - $1::float8 * interval '1 millisecond'",
});

/** Nobody else gets them for the time of the lease. $2: lease in milliseconds, $3: at most. */
const claimDue: SqlText = {
  name: "call_off_claim",
  text: `with c as (
      update call_off set attempts = attempts + 1, due_time = clock_timestamp() + $2::float8 * interval '1 millisecond'
      where shipment_id = any(array(select shipment_id from call_off where due_time <= now()
        order by due_time limit $3 for update skip locked))
      returning *
    )
    select ${callOffColumns}, ${shipmentColumns} from c join shipment s on s.shipment_id = c.shipment_id`,
};

const close: SqlText = {
  name: "call_off_close",
  text: "delete from call_off where shipment_id = any($1::uuid[])",
};

/** $1: ids, $2: their attempts, $3, $4: the longest pause and half the first. */
const defer: SqlText = {
  name: "call_off_defer",
  text: `update call_off c set due_time = clock_timestamp()
      + least($3::float8, $4::float8 * 2 ^ least(c.attempts, 20)) * (0.5 + random()) * interval '1 millisecond'
    from unnest($1::uuid[], $2::int4[]) as d(shipment_id, attempts)
    where c.shipment_id = d.shipment_id and c.attempts = d.attempts`,
};

const backlog: SqlText = {
  name: "call_off_backlog",
  text: `select greatest(0, extract(epoch from now() - (
    select due_time from call_off where due_time <= now() order by due_time limit 1)))::float8 as seconds`,
};

/** The shortest and the longest pause before the warehouse is told again, in milliseconds, give or take a half. */
const pauses = { first: 250, longest: 60_000 };

/** The outbox to the warehouse: what was called off is written into it by the statement that calls it off, see `saveShipments`. */
export class CallOffRepository {
  readonly #database: Pick<Database, "query">;

  constructor(database: Pick<Database, "query">) {
    this.#database = database;
  }

  /** Shipments of whose call-off the warehouse is to be told now. @param patienceMs how long it is told */
  async claimDue(patienceMs: number, leaseMs: number, limit: number): Promise<CallOff[]> {
    const rows = await this.#database.query<CallOffTerms & ShipmentRow>(claimDue, [patienceMs, leaseMs, limit]);
    return rows.map((row) => ({
      ...toShipment(row),
      callOffAttempts: row.callOffAttempts,
      isLate: row.isLate,
    }));
  }

  /** The warehouse has heard of these, or never will. */
  async close(callOffs: readonly CallOff[]): Promise<void> {
    if (callOffs.length === 0) return;
    await this.#database.query(close, [callOffs.map(({ shipmentId }) => decodeId(shipmentId))]);
  }

  /** The warehouse has not taken these: it is told again after a pause that doubles. A claim that has run out stays. */
  async defer(callOffs: readonly CallOff[]): Promise<void> {
    if (callOffs.length === 0) return;
    const ids = callOffs.map(({ shipmentId }) => decodeId(shipmentId));
    const attempts = callOffs.map(({ callOffAttempts }) => callOffAttempts);
    await this.#database.query(defer, [ids, attempts, pauses.longest, pauses.first / 2]);
  }

  /** For how many seconds the oldest that is due has waited; 0 when none is. */
  async backlog(): Promise<number> {
    const [row] = await this.#database.query<{ seconds: number | null }>(backlog);
    return row?.seconds ?? 0;
  }
}
