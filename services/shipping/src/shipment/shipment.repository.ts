import type { EntityManager } from "@mikro-orm/postgresql";
import { auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { type ColumnsOf, writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { type Fenced, isOver } from "#platform/fence.ts";
import { bucketOf, decodeId, newId } from "#platform/id.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import { attachKeys, type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { episodeOver, shipmentCancelled } from "./errors.ts";
import type { Backlog, Moved, OnMoved } from "./metrics.ts";
import { ShipmentEntity } from "./shipment.entity.ts";
import {
  type Address,
  isTombstone,
  type Shipment,
  type ShipmentLine,
  type ShipmentStatus,
  type StoredAddress,
  shipmentKey,
} from "./shipment.ts";
import { addressPlace } from "./shipment-address.ts";
import { createdEffect, createdJoin, type Submission } from "./shipment-audit.ts";
import { commit, decodeRef, type ShipmentRef, shipmentKeys } from "./shipment-change.ts";
import { higherFence, refuseOver } from "./shipment-fence.ts";
import { nameColumns, namedShipments, stepAside } from "./shipment-generations.ts";
import { eventsColumn, type ShipmentRowWithEvents, shipmentColumns, toShipment } from "./shipment-row.ts";

/** A shipment to be created. */
export interface NewShipment extends Keyed, Submission, Fenced {
  readonly orderId: string;
  readonly locationId: string;
  readonly generation: number;
  readonly lines: readonly ShipmentLine[];
  readonly address: Address;
  /** Empty: no workflow is told. */
  readonly sagaId: string;
  /** Whether orders is told what becomes of it. */
  readonly reported: boolean;
}

/** What became of a {@link NewShipment}; a repetition has only the id. */
export interface CreatedShipment extends ShipmentRef {
  readonly shipment?: Shipment;
}

/** Which shipments to list, the newest first. */
export interface ShipmentFilter {
  readonly orderId?: string | undefined;
  readonly status?: ShipmentStatus | undefined;
  /** Only what is older than this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** The columns of a shipment that come with a request: all that is not the request's own, with an id. */
type InsertedShipment = ColumnsOf<
  { shipmentId: string; address: StoredAddress } & Omit<NewShipment, keyof Keyed | "origin" | "address">
>;

/** A shipment to be inserted, with the key of its address when that is sealed. */
type InsertedRow = InsertedShipment & Partial<PersonalKeyRow>;

const insertedColumns = writtenColumns<InsertedShipment>({
  shipment_id: "uuid",
  order_id: "uuid",
  location_id: "text",
  generation: "int",
  fence: "int",
  lines: "jsonb",
  address: "jsonb",
  saga_id: "text",
  reported: "boolean",
  traceparent: "text",
});

const insertShipments: SqlText = {
  name: "shipment_insert",
  text: `with input as materialized (
      select n.*, ${higherFence("n")} as higher_fence
      from jsonb_to_recordset($1::jsonb) as n(n int, ${insertedColumns.typed}, ${personalKeyColumns.typed})
    ), created as (
      insert into shipment as s (${insertedColumns.names}, status, due_time)
      select ${insertedColumns.names}, 'preparing', clock_timestamp()
      from input where higher_fence is null order by order_id, location_id
      on conflict (order_id, location_id) do update set fence = excluded.fence where s.fence < excluded.fence
      returning shipment_id
    ), sealed as (
      insert into personal_key (${personalKeyColumns.names}, subject)
      select ${personalKeyColumns.names}, order_id from input join created using (shipment_id) where key_id is not null
    ), audited as (${insertAuditEvents("$2", { join: createdJoin })})
    select n, higher_fence as "higherFence", created.shipment_id is not null as created
    from input left join created using (shipment_id)`,
};

/** What became of an entry of an insertion. */
interface InsertedEntry {
  readonly n: number;
  /** Null: no later episode of the order has asked for anything. */
  readonly higherFence: number | null;
  readonly created: boolean;
}

const findByKey: SqlText = {
  name: "shipment_by_parcel",
  text: `select ${shipmentColumns}, ${eventsColumn} from ${namedShipments}`,
};

const findById: SqlText = {
  name: "shipment_by_id",
  text: `select ${shipmentColumns}, ${eventsColumn} from shipment s where s.shipment_id = any($1::uuid[])`,
};

const findOldestDue: SqlText = {
  name: "shipment_backlog",
  text: `select relay, greatest(0, extract(epoch from now() - due_time))::float8 as seconds from (values
      ('shipment.packing',
        (select due_time from shipment where status = 'preparing' and due_time <= now() order by due_time limit 1)),
      ('shipment.booking',
        (select due_time from shipment where status = 'booking' and due_time <= now() order by due_time limit 1)),
      ('shipment.report',
        (select report_due_time from shipment where report_due_time <= now() order by report_due_time limit 1))
    ) as backlog (relay, due_time)`,
};

/** Creates and reads shipments, many with a statement. */
export class ShipmentRepository {
  readonly #database: Database;
  /**
   * Creates shipments in `preparing`. An order has one for each location: a second request is answered with the first one's
   * shipment. Refuses with SHIPMENT_CANCELLED what was called off before it was created. No two entries may name the same
   * order and location.
   */
  readonly create: (inputs: NewShipment[]) => Promise<(CreatedShipment | Error)[]>;

  /** @param personal by default everything is plain */
  constructor(database: Database, onMoved: OnMoved = () => undefined, personal: PersonalData = plainPersonalData) {
    this.#database = database;
    const keys = shipmentKeys("shop.shipping.v1.ShippingService/CreateShipment");
    this.create = replayable<NewShipment, CreatedShipment>({
      database,
      ...keys,
      decode: decodeRef,
      onRepeated: (inputs) => refuseOver(database, inputs),
      run: async (inputs) => {
        const { outputs, created } = await database.transaction(async (tx) => {
          const inserted = await insertNew(tx, inputs, personal);
          await commit(tx, { keys, inputs, outputs: inserted.outputs, changes: [] });
          return inserted;
        });
        onMoved(created);
        return outputs;
      },
    });
  }

  /** The shipments with these ids, in the same order; undefined for an id that is not known. */
  async find(shipmentIds: readonly string[]): Promise<(Shipment | undefined)[]> {
    const rows = await this.#database.query<ShipmentRowWithEvents>(findById, [shipmentIds.map(decodeId)]);
    const byId = new Map(rows.map((row) => toShipment(row, row.events)).map((found) => [found.shipmentId, found]));
    return shipmentIds.map((id) => byId.get(id));
  }

  /** A page of shipments, the newest first; marks of cancellations that came first are no shipments. */
  async list(filter: ShipmentFilter): Promise<Shipment[]> {
    const em = this.#database.em();
    const records = await listQuery(em, filter).getResultList();
    await em.populate(records, ["events"]);
    const addresses = await attachKeys(
      this.#database,
      records.map(({ address }) => address ?? null),
    );
    return records.map((record, index) =>
      toShipment({ ...record, address: addresses[index] ?? null }, record.events.getItems()),
    );
  }

  /** How long the oldest that is due has waited for each relay; 0 when nothing is due. */
  async backlog(): Promise<Backlog> {
    const rows = await this.#database.query<{ relay: string; seconds: number | null }>(findOldestDue);
    return new Map(rows.map(({ relay, seconds }) => [relay, seconds ?? 0]));
  }
}

/** A page of shipments; every combination of filters goes along an index. */
export function listQuery(em: EntityManager, { orderId, status, after, limit }: ShipmentFilter) {
  const query = em
    .createQueryBuilder(ShipmentEntity, "s")
    .select("*")
    .where({ address: { $ne: null } });
  if (orderId) query.andWhere({ orderId: decodeId(orderId) });
  if (status) query.andWhere({ status });
  if (after) query.andWhere({ shipmentId: { $lt: decodeId(after) } });
  return query.orderBy({ shipmentId: "desc" }).limit(limit);
}

/** What an insertion did, and which shipments are new. */
interface Inserted {
  readonly outputs: (CreatedShipment | Error)[];
  readonly created: Moved[];
}

async function insertNew(tx: Transaction, inputs: readonly NewShipment[], personal: PersonalData): Promise<Inserted> {
  const ids = inputs.map((input) => newId(bucketOf(input.orderId)));
  const values = await insertedValues(personal, inputs, ids);
  const [, entries, found] = await Promise.all([
    stepAside(tx, inputs),
    tx.query<InsertedEntry>(insertShipments, values),
    tx.query<ShipmentRowWithEvents>(findByKey, nameColumns(inputs)),
  ]);
  const shipments = new Map(found.map((row) => toShipment(row, row.events)).map((each) => [shipmentKey(each), each]));
  const higher = new Map(entries.map(({ n, higherFence: fence }) => [n, fence]));
  const outputs = inputs.map((input, index) => {
    const shipment = shipments.get(shipmentKey(input));
    const highest = higher.get(index) ?? shipment?.fence ?? 0;
    if (isOver(input, highest)) return episodeOver(input, highest);
    // A later one has its place: it was called off, or never wanted.
    return !shipment || isTombstone(shipment)
      ? shipmentCancelled(input)
      : { shipmentId: shipment.shipmentId, shipment };
  });
  const created = entries.filter((entry) => entry.created);
  return { outputs, created: created.map(() => ({ status: "preparing" })) };
}

async function insertedValues(
  personal: PersonalData,
  inputs: readonly NewShipment[],
  ids: readonly string[],
): Promise<[string, string]> {
  const rows = await Promise.all(
    inputs.map(async (input, n) => {
      const { stored, key } = await personal.protect(addressPlace(input), input.address);
      return { n, ...toInsertedRow(input, ids[n] ?? ""), address: stored, ...key } satisfies InsertedRow & {
        n: number;
      };
    }),
  );
  const effects = inputs.map((input, n) => createdEffect({ ...input, shipmentId: ids[n] ?? "" }, "preparing"));
  return [JSON.stringify(rows), auditEvents(effects)];
}

function toInsertedRow(input: NewShipment, shipmentId: string): Omit<InsertedShipment, "address"> {
  return {
    shipment_id: decodeId(shipmentId),
    order_id: decodeId(input.orderId),
    location_id: input.locationId,
    generation: input.generation,
    fence: input.fence,
    lines: input.lines,
    saga_id: input.sagaId,
    reported: input.reported,
    traceparent: input.traceparent,
  };
}
