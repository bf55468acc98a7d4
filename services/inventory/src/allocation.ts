import { outOfStock, tooScattered, unknownSku } from "./errors.ts";
import { availableOf, type Level, type Line } from "./stock.ts";

/** A line's part at one location. */
export interface Share {
  readonly sku: string;
  readonly locationId: string;
  readonly quantity: bigint;
}

/** Up to so many locations every choice is looked at, 2^10 at most. Beyond, the choice is greedy. */
const exactUpTo = 10;

/**
 * An order is never promised from more locations: each becomes a parcel, and an order shows so many, see
 * `TransitionOrderRequest.shipments`.
 */
export const maxLocations = 100;

/** Nor in more parts. All that an order remembers of them, and an answer about many orders, has to fit in a message. */
export const maxParts = 200;

/** What a location can give: SKU to quantity. */
type Shelf = ReadonlyMap<string, bigint>;

/**
 * Chooses where an order's stock comes from: the fewest locations that cover it; among those the fewest parts, so that a
 * line is split only when no single one of them covers it; among those the first by name. The same input always gives the
 * same choice.
 *
 * @param lines  one per SKU, see `sumLines`
 * @param levels every level of these SKUs
 * @returns by SKU and location
 * @throws UNKNOWN_SKU, OUT_OF_STOCK, TOO_MANY_LOCATIONS
 */
export function allocate(lines: readonly Line[], levels: readonly Level[]): Share[] {
  requireStock(lines, levels);
  const shelves = shelvesOf(lines, levels);
  const names = [...shelves.keys()].sort();
  const chosen = names.length <= exactUpTo ? fewest(lines, shelves, names) : greedy(lines, shelves, names);
  const shares = sharesFrom(lines, shelves, chosen);
  const locations = new Set(shares.map(({ locationId }) => locationId)).size;
  if (locations > maxLocations || shares.length > maxParts) throw tooScattered(locations, shares.length);
  return shares;
}

/**
 * The same choice as before, if it is still there; undefined when it is not.
 *
 * @param shares at most one of each level
 */
export function sameAgain(shares: readonly Share[], levels: readonly Level[]): Share[] | undefined {
  const isThere = ({ sku, locationId, quantity }: Share) =>
    levels.some((level) => level.sku === sku && level.locationId === locationId && availableOf(level) >= quantity);
  return shares.every(isThere) ? [...shares] : undefined;
}

function requireStock(lines: readonly Line[], levels: readonly Level[]): void {
  for (const line of lines) {
    const own = levels.filter((level) => level.sku === line.sku);
    if (own.length === 0) throw unknownSku(line.sku);
    const available = own.reduce((sum, level) => sum + availableOf(level), 0n);
    if (available < line.quantity) throw outOfStock(line, available);
  }
}

function shelvesOf(lines: readonly Line[], levels: readonly Level[]): Map<string, Map<string, bigint>> {
  const wanted = new Set(lines.map((line) => line.sku));
  const shelves = new Map<string, Map<string, bigint>>();
  for (const level of levels) {
    const available = availableOf(level);
    if (available <= 0n || !wanted.has(level.sku)) continue;
    const shelf = shelves.get(level.locationId) ?? new Map<string, bigint>();
    shelf.set(level.sku, available);
    shelves.set(level.locationId, shelf);
  }
  return shelves;
}

/** All choices of one location, then of two, and so on; the first size that covers the order decides. */
function fewest(lines: readonly Line[], shelves: ReadonlyMap<string, Shelf>, names: string[]): string[] {
  for (let size = 1; size <= names.length; size += 1) {
    let best: string[] | undefined;
    let bestParts = Number.POSITIVE_INFINITY;
    for (const choice of combinations(names, size)) {
      if (!covers(lines, shelves, choice)) continue;
      const parts = sharesFrom(lines, shelves, choice).length;
      if (parts < bestParts) {
        best = choice;
        bestParts = parts;
      }
      if (parts === lines.length) break;
    }
    if (best) return best;
  }
  return names;
}

function covers(lines: readonly Line[], shelves: ReadonlyMap<string, Shelf>, choice: readonly string[]): boolean {
  return lines.every(({ sku, quantity }) => {
    const available = choice.reduce((sum, name) => sum + (shelves.get(name)?.get(sku) ?? 0n), 0n);
    return available >= quantity;
  });
}

/** Always the location that covers the most of what is still open. */
function greedy(lines: readonly Line[], shelves: ReadonlyMap<string, Shelf>, names: string[]): string[] {
  const open = new Map(lines.map((line) => [line.sku, line.quantity]));
  const left = new Set(names);
  const chosen: string[] = [];
  while ([...open.values()].some((quantity) => quantity > 0n)) {
    let best = "";
    let bestCovered = 0n;
    for (const name of left) {
      let covered = 0n;
      for (const [sku, quantity] of open) covered += smaller(quantity, shelves.get(name)?.get(sku) ?? 0n);
      if (covered > bestCovered) {
        best = name;
        bestCovered = covered;
      }
    }
    left.delete(best);
    chosen.push(best);
    for (const [sku, quantity] of open) open.set(sku, quantity - smaller(quantity, shelves.get(best)?.get(sku) ?? 0n));
  }
  return chosen.sort();
}

/** A line comes whole from the first location that has all of it, else from those that have most of it. */
function sharesFrom(lines: readonly Line[], shelves: ReadonlyMap<string, Shelf>, names: readonly string[]): Share[] {
  return lines.flatMap(({ sku, quantity }) => {
    const stock = names.map((locationId) => ({ locationId, available: shelves.get(locationId)?.get(sku) ?? 0n }));
    const whole = stock.find(({ available }) => available >= quantity);
    if (whole) return [{ sku, locationId: whole.locationId, quantity }];
    let open = quantity;
    const shares: Share[] = [];
    for (const { locationId, available } of stock.sort((a, b) => (a.available > b.available ? -1 : 1))) {
      const part = smaller(open, available);
      if (part > 0n) shares.push({ sku, locationId, quantity: part });
      open -= part;
    }
    return shares.sort((a, b) => (a.locationId < b.locationId ? -1 : 1));
  });
}

function smaller(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

/** All choices of `size` names, in the order of the names. */
function* combinations(names: readonly string[], size: number, from = 0): Generator<string[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let index = from; index <= names.length - size; index += 1) {
    for (const rest of combinations(names, size - 1, index + 1)) yield [names[index] as string, ...rest];
  }
}
