import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import type { Shipment } from "../shipment/shipment.ts";
import { eventsColumn, type ShipmentRowWithEvents, shipmentColumns, toShipment } from "../shipment/shipment-row.ts";

/** Which parcels to ask the carrier about, the oldest first. */
export interface SilentFilter {
  /** Only this order's, whatever was reported of them last; empty: all that are silent. */
  readonly orderId: string;
  /** Only what is younger than this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A parcel that the carrier has. */
export interface SilentShipment {
  /** With all that was reported. */
  readonly shipment: Shipment;
  /** Nobody has reported anything for longer than a parcel can be under way. */
  readonly overdue: boolean;
}

/** When a parcel is silent, and when it is overdue: this long after it was reported on last. Milliseconds. */
export interface Silence {
  readonly silentMs: number;
  readonly overdueMs: number;
}

type SilentRow = ShipmentRowWithEvents & { readonly overdue: boolean };

/** A report changes `update_time`. The condition on the address is that of the index of lists by status. */
const columns = `${shipmentColumns}, ${eventsColumn},
      s.update_time < now() - $3::float8 * interval '1 millisecond' as overdue`;
const isWithCarrier = "s.status = 'shipped' and s.address is not null and s.shipment_id > $1::uuid";

/** $1: after, $2: at most, $3: overdue, $4: silent. */
const findSilent: SqlText = {
  name: "shipment_silent",
  text: `select ${columns} from shipment s
    where ${isWithCarrier} and s.update_time < now() - $4::float8 * interval '1 millisecond'
    order by s.shipment_id limit $2`,
};

/** $1: after, $2: at most, $3: overdue, $4: the order. */
const findOfOrder: SqlText = {
  name: "shipment_with_carrier",
  text: `select ${columns} from shipment s where ${isWithCarrier} and s.order_id = $4::uuid
    order by s.shipment_id limit $2`,
};

const noteLook: SqlText = {
  name: "shipment_look_note",
  text: "update shipment_look set look_time = clock_timestamp() where single",
};

const lookAge: SqlText = {
  name: "shipment_look_age",
  text: `select greatest(0, extract(epoch from now() - look_time))::float8 as seconds from shipment_look
    where single`,
};

/** Less than every id. */
const beginning = "00000000-0000-0000-0000-000000000000";

/** Finds parcels of which nobody reports anything. The database's clock decides. */
export class SilentShipmentRepository {
  readonly #database: Database;
  readonly #silence: Silence;

  constructor(database: Database, silence: Silence) {
    this.#database = database;
    this.#silence = silence;
  }

  /** A page of them. */
  async find({ orderId, after, limit }: SilentFilter): Promise<SilentShipment[]> {
    const { silentMs, overdueMs } = this.#silence;
    const page = [after ? decodeId(after) : beginning, limit, overdueMs];
    const rows = await (orderId
      ? this.#database.query<SilentRow>(findOfOrder, [...page, decodeId(orderId)])
      : this.#database.query<SilentRow>(findSilent, [...page, silentMs]));
    return rows.map((row) => ({ shipment: toShipment(row, row.events), overdue: row.overdue }));
  }

  /** Notes that all silent parcels were looked at. */
  async noteLook(): Promise<void> {
    await this.#database.query(noteLook);
  }

  /** For how many seconds nobody has looked at all silent parcels; at first, since there is the table. */
  async lookAge(): Promise<number> {
    const [row] = await this.#database.query<{ seconds: number }>(lookAge);
    return row?.seconds ?? 0;
  }
}
