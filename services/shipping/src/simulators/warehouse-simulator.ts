import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { PackingOrder, PackingState, Warehouse } from "../packing/warehouse.ts";
import { behaviourOf } from "./behaviour.ts";

/** What the simulated warehouse works with. */
export interface WarehouseSimulatorOptions {
  /** The warehouse's own world: its schema `simulator`, its own connections. */
  readonly store: Queryable;
  /** How long packing takes, in milliseconds. */
  readonly packingMs: number;
  /** How much longer it takes at most: which share of it, follows from the shipment's id. Default 0. */
  readonly spreadMs?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

interface PackingRow {
  readonly shipmentId: string;
  readonly readyTime: Date;
  readonly failure: string;
}

interface BegunPacking {
  readonly shipment_id: string;
  readonly failure: string;
  /** Milliseconds. */
  readonly takes: number;
}

const packingColumns = selectList<PackingRow>({ shipmentId: true, readyTime: true, failure: true });
const begunColumns = writtenColumns<BegunPacking>({
  shipment_id: "uuid",
  failure: "text",
  takes: "float8",
});

const begin: SqlText = {
  name: "simulator_pack",
  text: `insert into simulator.packing (shipment_id, begin_time, ready_time, failure)
    select n.shipment_id, $2::timestamptz, $2::timestamptz + n.takes * interval '1 millisecond', n.failure from jsonb_to_recordset($1::jsonb) as n(${begunColumns.typed})
    order by n.shipment_id on conflict (shipment_id) do nothing`,
};

const look: SqlText = {
  name: "simulator_packing",
  text: `select ${packingColumns} from simulator.packing where shipment_id = any($1::uuid[])`,
};

/** A warehouse that packs everything in the same time, give or take, and remembers in the database what it has begun. */
export class WarehouseSimulator implements Warehouse {
  readonly #store: Queryable;
  readonly #packingMs: number;
  readonly #spreadMs: number;
  readonly #now: () => number;

  constructor(options: WarehouseSimulatorOptions) {
    this.#store = options.store;
    this.#packingMs = options.packingMs;
    this.#spreadMs = options.spreadMs ?? 0;
    this.#now = options.now ?? Date.now;
  }

  async pack(orders: readonly PackingOrder[], signal: AbortSignal): Promise<PackingState[]> {
    signal.throwIfAborted();
    const now = this.#now();
    const ids = orders.map((order) => decodeId(order.shipmentId));
    const known = await this.#look(ids);
    const fresh = orders.filter((order) => !known.has(order.shipmentId));
    if (fresh.length > 0) {
      const rows = fresh.map(
        (order): BegunPacking => ({
          shipment_id: decodeId(order.shipmentId),
          failure: behaviourOf(order).unpackable ?? "",
          takes: this.#packingMs + Math.floor(this.#spreadMs * shareOf(order.shipmentId)),
        }),
      );
      await this.#store.query(begin, [JSON.stringify(rows), new Date(now)]);
    }
    const all = fresh.length > 0 ? await this.#look(ids) : known;
    return orders.map((order) => stateOf(all.get(order.shipmentId), now));
  }

  async #look(ids: readonly string[]): Promise<Map<string, PackingRow>> {
    const rows = await this.#store.query<PackingRow>(look, [ids]);
    return new Map(rows.map((row) => [encodeId(row.shipmentId), row]));
  }
}

/** From 0 to 1, always the same for a shipment: the end of an id is random. */
function shareOf(shipmentId: string): number {
  return Number.parseInt(decodeId(shipmentId).slice(-8), 16) / 2 ** 32;
}

function stateOf(row: PackingRow | undefined, now: number): PackingState {
  if (!row) throw new Error("the simulated warehouse forgot what it was asked to pack");
  const askAgainMs = row.readyTime.getTime() - now;
  if (askAgainMs > 0) return { kind: "packing", askAgainMs };
  if (row.failure !== "") return { kind: "failed", code: row.failure, message: "the warehouse cannot pack it" };
  return { kind: "packed" };
}
