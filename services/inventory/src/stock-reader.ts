import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { StockLevelEntity } from "./stock.entity.ts";
import type { Level, Movement, MovementKind } from "./stock.ts";
import { type LevelRow, toLevel } from "./stock-rows.ts";
import { countLow } from "./stock-statements.ts";

/** Which levels. */
export interface LevelFilter {
  readonly sku?: string;
  readonly locationId?: string;
}

/** Which movements. */
export interface MovementFilter extends LevelFilter {
  readonly orderId?: string;
}

/** A movement as it was written. */
export interface WrittenMovement extends Movement {
  readonly movementId: bigint;
  readonly createTime: Date;
}

interface MovementRow {
  movement_id: bigint;
  sku: string;
  location_id: string;
  kind: MovementKind;
  on_hand_delta: bigint;
  reserved_delta: bigint;
  order_id: string | null;
  reason: string | null;
  create_time: Date;
}

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

  /** Levels by SKU and location, after those of `after`. */
  async levels(filter: LevelFilter, page: { limit: number; after?: readonly [string, string] }): Promise<Level[]> {
    const { sql, values } = levelsQuery(filter, page);
    return (await this.#database.query<LevelRow>(sql, values)).map(toLevel);
  }

  /** Movements, the newest first, older than `before`. */
  async movements(filter: MovementFilter, page: { limit: number; before?: bigint }): Promise<WrittenMovement[]> {
    const { sql, values } = movementsQuery(filter, page);
    return (await this.#database.query<MovementRow>(sql, values)).map(toMovement);
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
export function levelsQuery(
  { sku, locationId }: LevelFilter,
  page: { limit: number; after?: readonly [string, string] },
): Query {
  const query = new Conditions("stock_levels");
  if (sku !== undefined) query.add("sku", "sku =", sku);
  if (locationId !== undefined) query.add("location", "location_id =", locationId);
  if (page.after && locationId !== undefined) query.add("after", "sku >", page.after[0]);
  else if (page.after) query.add("after", "(sku, location_id) >", ...page.after);
  const columns = "sku, location_id, on_hand, reserved, update_time";
  return query.build(`select ${columns} from stock_level`, "order by sku, location_id", page.limit);
}

/** The statement of `StockReader.movements`. */
export function movementsQuery(filter: MovementFilter, page: { limit: number; before?: bigint }): Query {
  const query = new Conditions("stock_movements");
  if (filter.sku !== undefined) query.add("sku", "sku =", filter.sku);
  if (filter.locationId !== undefined) query.add("location", "location_id =", filter.locationId);
  if (filter.orderId !== undefined) query.add("order", "order_id =", decodeId(filter.orderId));
  if (page.before !== undefined) query.add("before", "movement_id <", page.before);
  return query.build("select * from stock_movement", "order by movement_id desc", page.limit);
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

function toMovement(row: MovementRow): WrittenMovement {
  return {
    movementId: row.movement_id,
    sku: row.sku,
    locationId: row.location_id,
    kind: row.kind,
    onHandDelta: row.on_hand_delta,
    reservedDelta: row.reserved_delta,
    orderId: row.order_id === null ? undefined : encodeId(row.order_id),
    reason: row.reason ?? undefined,
    createTime: row.create_time,
  };
}
