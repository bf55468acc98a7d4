import { setTimeout as pause } from "node:timers/promises";
import type { Ask, Reader } from "./ask.ts";
import { type Finding, maxNamed } from "./finding.ts";
import type { Onward } from "./progress.ts";

/**
 * Up to where movements are summed page by page, each page at a moment of its own: what was written before this can be read at any
 * moment once `transaction` and all before it have ended, and does not change. The rest is summed in the moment of the levels.
 */
export interface Settled {
  readonly movement: number;
  /** The first transaction that had not begun. */
  readonly transaction: string;
}

/** A movement gets its id after its transaction has its own, with the lock of its level: so no earlier id comes later. */
export async function readSettled(ask: Ask): Promise<Settled> {
  const [row] = await ask<{ movement: string; transaction: string }>(
    `select coalesce(max(movement_id), 0) as movement, pg_snapshot_xmax(pg_current_snapshot())::text as transaction
    from stock_movement`,
  );
  return { movement: Number(row?.movement ?? 0), transaction: row?.transaction ?? "0" };
}

/** What is known of one article at one location. */
interface Level {
  onHand: number;
  reserved: number;
  movedOnHand: number;
  movedReserved: number;
  /** The part of `movedReserved` that was moved for orders. */
  reservedByOrders: number;
}

interface SumRow {
  sku: string;
  location_id: string;
  on_hand: string;
  reserved: string;
  by_orders: string;
}

const sums = `sku, location_id, sum(on_hand_delta) as on_hand, sum(reserved_delta) as reserved,
  coalesce(sum(reserved_delta) filter (where order_id is not null), 0) as by_orders`;

/**
 * Every level must be explained by its movements, and what is reserved by what orders have reserved. Holds one sum for each
 * article and location in memory, however many movements there are.
 *
 * @throws BooksError when a transaction does not end that was under way when the comparison began
 */
export async function checkLevels(
  reader: Reader,
  settled: Settled,
  { pageSize, onProgress }: { readonly pageSize: number; readonly onProgress: Onward },
): Promise<Finding[]> {
  await untilSettled(reader, settled);
  const levels = new Levels();
  for (let from = 1; from <= settled.movement; from += pageSize) {
    const to = Math.min(from + pageSize - 1, settled.movement);
    const where = "where movement_id between $1 and $2 group by sku, location_id";
    const rows = await reader.moment((ask) => ask<SumRow>(`select ${sums} from stock_movement ${where}`, [from, to]));
    for (const row of rows) levels.move(row);
    onProgress({ what: "stock movements", done: to, of: settled.movement });
  }
  await reader.moment(async (ask) => {
    const where = "where movement_id > $1 group by sku, location_id";
    for (const row of await ask<SumRow>(`select ${sums} from stock_movement ${where}`, [settled.movement]))
      levels.move(row);
    for (const row of await ask<LevelRow>("select sku, location_id, on_hand, reserved from stock_level"))
      levels.stand(row);
  });
  return levels.findings;
}

/** For how long is waited for a transaction to end, and how often is looked, in milliseconds. */
const patienceMs = 30_000;
const lookEveryMs = 50;

async function untilSettled(reader: Reader, { transaction }: Settled): Promise<void> {
  const sql = "select pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 as ended";
  const end = Date.now() + patienceMs;
  for (;;) {
    const [row] = await reader.moment((ask) => ask<{ ended: boolean }>(sql, [transaction]));
    if (row?.ended) return;
    if (Date.now() > end) throw reader.failure("a transaction that writes has been open since before the comparison");
    await pause(lookEveryMs);
  }
}

interface LevelRow {
  sku: string;
  location_id: string;
  on_hand: string;
  reserved: string;
}

class Levels {
  readonly #levels = new Map<string, Map<string, Level>>();

  move({ sku, location_id: locationId, on_hand: onHand, reserved, by_orders: byOrders }: SumRow): void {
    const level = this.#at(sku, locationId);
    level.movedOnHand += Number(onHand);
    level.movedReserved += Number(reserved);
    level.reservedByOrders += Number(byOrders);
  }

  stand({ sku, location_id: locationId, on_hand: onHand, reserved }: LevelRow): void {
    Object.assign(this.#at(sku, locationId), { onHand: Number(onHand), reserved: Number(reserved) });
  }

  #at(sku: string, locationId: string): Level {
    const places = this.#levels.get(sku) ?? new Map<string, Level>();
    this.#levels.set(sku, places);
    const level = places.get(locationId) ?? {
      onHand: 0,
      reserved: 0,
      movedOnHand: 0,
      movedReserved: 0,
      reservedByOrders: 0,
    };
    places.set(locationId, level);
    return level;
  }

  get findings(): Finding[] {
    const all = [...this.#levels].flatMap(([sku, places]) =>
      [...places].map(([locationId, level]) => ({ name: `${sku} at ${locationId}`, ...level })),
    );
    const unmoved = all.filter((row) => row.onHand !== row.movedOnHand || row.reserved !== row.movedReserved);
    const unowned = all.filter((row) => row.reserved !== row.reservedByOrders);
    return [
      {
        checked: `${all.length} stock levels equal the sum of their movements`,
        wrong: unmoved
          .slice(0, maxNamed)
          .map(
            (row) =>
              `${row.name} has ${row.onHand} on hand and ${row.reserved} reserved, its movements sum to ${row.movedOnHand} and ${row.movedReserved}`,
          ),
      },
      {
        checked: `${all.reduce((sum, { reserved }) => sum + reserved, 0)} reserved articles are those of open reservations`,
        wrong: unowned
          .slice(0, maxNamed)
          .map((row) => `${row.name} has ${row.reserved} reserved, open reservations have ${row.reservedByOrders}`),
      },
    ];
  }
}
