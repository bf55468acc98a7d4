import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { timeOr } from "../carrier/carrier-store.ts";
import { behaviourOf, type Treated } from "../parcel/parcel-behaviour.ts";

/** What the simulated warehouse works with. */
export interface WarehouseSimulatorOptions {
  /** Its own world. */
  readonly store: Queryable;
  /** How long packing takes, in milliseconds. */
  readonly packingMs: number;
  /** How much longer it takes at most: which share of it, follows from the shipment's id. Default 0. */
  readonly spreadMs?: number;
  /** Milliseconds since 1970; the database's time when left out. */
  readonly now?: () => number;
}

/** How far the packing of one shipment is. */
export type PackingState =
  /** @property askAgainMs when to look again, in milliseconds */
  | { readonly kind: "packing"; readonly askAgainMs: number }
  | { readonly kind: "packed" }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

interface PackingRow {
  readonly shipmentId: string;
  /** 0 when it is ready. */
  readonly askAgainMs: number;
  readonly failure: string;
  readonly calledOff: boolean;
}

interface BegunPacking {
  readonly shipment_id: string;
  readonly failure: string;
  /** Milliseconds. */
  readonly takes: number;
}

const packingColumns = selectList<PackingRow>({
  shipmentId: true,
  askAgainMs: `greatest(0, ceil(extract(epoch from ready_time - ${timeOr("$2")}) * 1000))::float8`,
  failure: true,
  calledOff: true,
});
const begunColumns = writtenColumns<BegunPacking>({
  shipment_id: "uuid",
  failure: "text",
  takes: "float8",
});

const begin: SqlText = {
  name: "warehouse_begin",
  text: `insert into warehouse_packing (shipment_id, begin_time, ready_time, failure)
    select n.shipment_id, ${timeOr("$2")}, ${timeOr("$2")} + n.takes * interval '1 millisecond', n.failure
    from jsonb_to_recordset($1::jsonb) as n(${begunColumns.typed})
    order by n.shipment_id on conflict (shipment_id) do nothing`,
};

const look: SqlText = {
  name: "warehouse_look",
  text: `select ${packingColumns} from warehouse_packing where shipment_id = any($1::uuid[])`,
};

/** Of what was never asked for there is a row from then on, so that it is not begun later. */
const callOff: SqlText = {
  name: "warehouse_call_off",
  text: `insert into warehouse_packing (shipment_id, begin_time, ready_time, called_off)
    select id, ${timeOr("$2")}, ${timeOr("$2")}, true from unnest($1::uuid[]) as id order by id
    on conflict (shipment_id) do update set called_off = true`,
};

/** A warehouse that packs everything in the same time, give or take, and remembers in the database what it has begun. */
export class WarehouseSimulator {
  readonly #store: Queryable;
  readonly #packingMs: number;
  readonly #spreadMs: number;
  readonly #now: (() => number) | undefined;

  constructor(options: WarehouseSimulatorOptions) {
    this.#store = options.store;
    this.#packingMs = options.packingMs;
    this.#spreadMs = options.spreadMs ?? 0;
    this.#now = options.now;
  }

  /** Begins what it has not begun, and says how far each is, in the same order. */
  async pack(orders: readonly Treated[]): Promise<PackingState[]> {
    const now = this.#now && new Date(this.#now());
    const ids = orders.map((order) => decodeId(order.key));
    const known = await this.#look(ids, now);
    const fresh = orders.filter((order) => !known.has(order.key));
    if (fresh.length > 0) {
      const rows = fresh.map(
        (order): BegunPacking => ({
          shipment_id: decodeId(order.key),
          failure: behaviourOf(order).unpackable ?? "",
          takes: this.#packingMs + Math.floor(this.#spreadMs * shareOf(order.key)),
        }),
      );
      await this.#store.query(begin, [JSON.stringify(rows), now]);
    }
    const all = fresh.length > 0 ? await this.#look(ids, now) : known;
    return orders.map((order) => stateOf(all.get(order.key)));
  }

  /** Packs these no more; what was packed goes back on its shelf. */
  async callOff(keys: readonly string[]): Promise<void> {
    const now = this.#now && new Date(this.#now());
    await this.#store.query(callOff, [[...new Set(keys)].map(decodeId), now]);
  }

  async #look(ids: readonly string[], now: Date | undefined): Promise<Map<string, PackingRow>> {
    const rows = await this.#store.query<PackingRow>(look, [ids, now]);
    return new Map(rows.map((row) => [encodeId(row.shipmentId), row]));
  }
}

/** From 0 to 1, always the same for a shipment: the end of an id is random. */
function shareOf(shipmentId: string): number {
  return Number.parseInt(decodeId(shipmentId).slice(-8), 16) / 2 ** 32;
}

function stateOf(row: PackingRow | undefined): PackingState {
  if (!row) throw new Error("the simulated warehouse forgot what it was asked to pack");
  const { askAgainMs, failure: code, calledOff } = row;
  if (calledOff) return { kind: "failed", code: "CALLED_OFF", message: "it was called off" };
  if (askAgainMs > 0) return { kind: "packing", askAgainMs };
  if (code !== "") return { kind: "failed", code, message: "the warehouse cannot pack it" };
  return { kind: "packed" };
}
