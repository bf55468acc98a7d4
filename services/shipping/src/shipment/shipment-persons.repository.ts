import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { forgottenJson, jsonWithKey, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { PersonalMove } from "#platform/personal/personal-move.ts";
import type { StoredAddress } from "./shipment.ts";
import { addressOf, addressPlace } from "./shipment-address.ts";
import { locationOf } from "./shipment-row.ts";

interface OtherRow {
  readonly shipmentId: string;
  readonly orderId: string;
  readonly locationId: string;
  readonly address: StoredAddress;
}

const columns = `shipment_id as "shipmentId", order_id as "orderId", location_id as "locationId",
    ${jsonWithKey("address")} as address`;

/** Those that an index has: few, once all are sealed. */
const findPlain: SqlText = {
  name: "shipment_personal_plain",
  prepared: false,
  text: `select ${columns} from shipment where jsonb_typeof(address) = 'object'
    order by shipment_id limit $1 for no key update skip locked`,
};

/** For the way back, which is rare: along the primary key. */
const findSealed: SqlText = {
  name: "shipment_personal_sealed",
  prepared: false,
  text: `select ${columns} from shipment where shipment_id > $2 and jsonb_typeof(address) = 'string'
    order by shipment_id limit $1 for no key update skip locked`,
};

const write: SqlText = {
  name: "shipment_personal_write",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(shipment_id uuid, order_id uuid, address jsonb, ${personalKeyColumns.typed})
  ), keyed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, order_id from input where key_id is not null
  )
  update shipment s set address = i.address from input i where s.shipment_id = i.shipment_id`,
};

/** The conditions on status and address are those of two indexes. */
const forget: SqlText = {
  name: "shipment_personal_forget",
  prepared: false,
  text: `with ended as materialized (
    select shipment_id, address from shipment
    where status in ('delivered', 'failed', 'lost', 'cancelled') and address <> ${forgottenJson}
      and update_time < now() - $1 * interval '1 day'
    order by update_time limit $2 for no key update skip locked
  ), came_back as materialized (
    select shipment_id, address from shipment
    where status = 'returned' and address <> ${forgottenJson} and update_time < now() - $1 * interval '1 day'
    order by update_time limit $2 for no key update skip locked
  ), due as materialized (
    select * from ended union all select * from came_back
  ), keyed as (
    delete from personal_key using due
    where jsonb_typeof(due.address) = 'string' and personal_key.key_id = left(due.address #>> '{}', 32)::uuid
  ), told as (
    update tracking_event e set place = '' from due where e.shipment_id = due.shipment_id and e.place <> ''
  )
  update shipment s set address = ${forgottenJson}, failure_reason = '' from due where s.shipment_id = due.shipment_id returning 1`,
};

/** Where parcels go, as rows hold it. */
export class ShipmentPersons {
  readonly #database: Database;
  readonly #personal: PersonalData;
  readonly #move: PersonalMove<OtherRow>;

  constructor(database: Database, personal: PersonalData) {
    this.#database = database;
    this.#personal = personal;
    this.#move = new PersonalMove(database, personal, {
      plain: findPlain,
      sealed: findSealed,
      idOf: ({ shipmentId }) => shipmentId,
      write: async (tx, rows) => {
        const moved = await Promise.all(rows.map((row) => this.#moved(row)));
        await tx.commitWith(write, [JSON.stringify(moved)]);
      },
    });
  }

  /** Has at most `limit` addresses lie as they are to lie now, sealed or plain; returns how many there were. For a `PersonalSweep`. */
  moveBatch(limit: number): Promise<number> {
    return this.#move.moveBatch(limit);
  }

  /**
   * Forgets where parcels went that ended more than `days` ago, and what was said of where they were, at most `limit` of them; returns how many there were. For a `Relay`.
   */
  async forgetBatch(days: number, limit: number): Promise<number> {
    return (await this.#database.query(forget, [days, limit])).length;
  }

  async #moved({ shipmentId, orderId: uuid, locationId, address }: OtherRow) {
    const parcel = { orderId: encodeId(uuid), locationId: locationOf(locationId), address };
    const plain = (await addressOf(this.#personal, parcel)) ?? {};
    const { stored, key } = await this.#personal.protect(addressPlace(parcel), plain);
    return { shipment_id: shipmentId, order_id: decodeId(parcel.orderId), address: stored, ...key };
  }
}
