import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { StockLevelEntity } from "./stock.entity.ts";
import type { BackOrder, Level, WrittenMovement } from "./stock.ts";
import { readBackOrders, readClaims } from "./stock-queue-statements.ts";
import { type MovementRow, toMovement } from "./stock-rows.ts";
import { countLow, levelColumns, movementColumns } from "./stock-statements.ts";

/** Which levels. */
export interface LevelFilter {
  readonly sku?: string;
  readonly locationId?: string;
}

/** Which movements. */
export interface MovementFilter extends LevelFilter {
  readonly orderId?: string;
}

/** A part of a list, from the place after which it goes on. */
export interface StockPage<Place> {
  readonly limit: number;
  readonly after?: Place | undefined;
}

/** The place of a level among all. */
export type LevelPlace = readonly [sku: string, locationId: string];

/** More low levels than this are not counted. */
const lowLimit = 10_000;

/** Reads stock. Pages go on after the last row of the page before, so that inserts in between shift nothing. */
export class StockReader {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The levels of one SKU, by location. */
  levelsOf(sku: string): Promise<Level[]> {
    return this.#database.em().find(StockLevelEntity, { sku }, { orderBy: { locationId: "asc" } });
  }

  /** How many pieces orders wait for. */
  async waitingFor(sku: string): Promise<bigint> {
    const [row] = await this.#database.query<{ quantity: bigint }>(readClaims, [[sku]]);
    return row?.quantity ?? 0n;
  }

  /** Levels by SKU and location. */
  levels(filter: LevelFilter, page: StockPage<LevelPlace>): Promise<Level[]> {
    const { sql, values } = levelsQuery(filter, page);
    return this.#database.query<Level>(sql, values);
  }

  /** Movements by number, the newest first. */
  async movements(filter: MovementFilter, page: StockPage<bigint>): Promise<WrittenMovement[]> {
    const { sql, values } = movementsQuery(filter, page);
    return (await this.#database.query<MovementRow>(sql, values)).map(toMovement);
  }

  /** Who waits for an article, in turn. */
  async backOrders(sku: string, { limit, after = 0n }: StockPage<bigint>): Promise<BackOrder[]> {
    const rows = await this.#database.query<BackOrder>(readBackOrders, [sku, after, limit]);
    return rows.map((row) => ({ ...row, orderId: encodeId(row.orderId) }));
  }

  /** Levels of which no more than `threshold` is available; 10,000 when there are more. */
  async lowLevels(threshold: number): Promise<number> {
    const [row] = await this.#database.query<{ levels: bigint }>(countLow, [threshold, lowLimit]);
    return Number(row?.levels ?? 0n);
  }
}

/** A statement with its parameters. */
export interface Query {
  readonly sql: SqlText;
  readonly values: unknown[];
}

/** The statement of `StockReader.levels`. */
export function levelsQuery({ sku, locationId }: LevelFilter, page: StockPage<LevelPlace>): Query {
  const query = new Conditions("stock_levels");
  if (sku !== undefined) query.add("sku", "sku =", sku);
  if (locationId !== undefined) query.add("location", "location_id =", locationId);
  if (page.after && locationId !== undefined) query.add("after", "sku >", page.after[0]);
  else if (page.after) query.add("after", "(sku, location_id) >", ...page.after);
  // biome-ignore lint/plugin/sql: columns of a constant; conditions have parameters
  return query.build(`select ${levelColumns} from stock_level`, "order by sku, location_id", page.limit);
}

/** The statement of `StockReader.movements`. */
export function movementsQuery(filter: MovementFilter, page: StockPage<bigint>): Query {
  const query = new Conditions("stock_movements");
  if (filter.sku !== undefined) query.add("sku", "sku =", filter.sku);
  if (filter.locationId !== undefined) query.add("location", "location_id =", filter.locationId);
  if (filter.orderId !== undefined) query.add("order", "order_id =", decodeId(filter.orderId));
  if (page.after !== undefined) query.add("before", "movement_id <", page.after);
  // biome-ignore lint/plugin/sql: columns of a constant; conditions have parameters
  return query.build(`select ${movementColumns} from stock_movement`, "order by movement_id desc", page.limit);
}

/** Gathers conditions and names the statement after them, so that each combination is prepared once. */
class Conditions {
  #name: string;
  readonly #texts: string[] = [];
  readonly #values: unknown[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  add(name: string, text: string, ...values: unknown[]): void {
    this.#name += `_${name}`;
    const places = values.map((value) => `$${this.#values.push(value)}`);
    this.#texts.push(places.length === 1 ? `${text} ${places[0]}` : `${text} (${places.join(", ")})`);
  }

  build(select: string, order: string, limit: number): Query {
    const where = this.#texts.length === 0 ? "" : ` where ${this.#texts.join(" and ")}`;
    const values = [...this.#values, limit];
    return { sql: { name: this.#name, text: `${select}${where} ${order} limit $${values.length}` }, values };
  }
}
