import { outOfStock, tooScattered, unknownSku } from "./errors.ts";
import { availableOf, type Level, type Line, sumLines } from "./stock.ts";

/** A line's part at one location. */
export interface Share {
  readonly sku: string;
  readonly locationId: string;
  readonly quantity: bigint;
}

/** How many pieces of a SKU are not to be had although they lie there. */
export type Claims = (sku: string) => bigint;

/** Up to so many locations every choice is looked at, 2^10 at most. Beyond, the choice is greedy. */
const exactUpTo = 10;

/**
 * An order is never promised from more locations: each becomes a parcel, and an order shows so many, see
 * `TransitionOrderRequest.shipments`.
 */
export const maxLocations = 100;

/** Nor in more parts. All that an order remembers of them, and an answer about many orders, has to fit in a message. */
export const maxParts = 200;

/** A line with what each location has of it: no more than is wanted. Locations are their places in a sorted list of names. */
interface Demand {
  readonly sku: string;
  readonly quantity: number;
  /** By location; what has nothing is not in it. */
  readonly available: ReadonlyMap<number, number>;
  /** The one with most first; of two with the same the first by name. */
  readonly locations: readonly number[];
}

/**
 * Chooses where an order's stock comes from: the fewest locations that cover it; among those the fewest parts, so that a
 * line is split only when no single one of them covers it; among those the first by name. The same input always gives the
 * same choice. What that costs is bounded by lines and levels: docs/decisions/0030-bounded-allocation.md.
 *
 * @param lines  one per SKU, see `sumLines`
 * @param levels those of these SKUs that are considered
 * @param claimed how much of a SKU orders wait for whose turn is before this one: it is not there for it, wherever it lies
 * @returns by SKU and location
 * @throws UNKNOWN_SKU, OUT_OF_STOCK, TOO_MANY_LOCATIONS
 */
export function allocate(lines: readonly Line[], levels: readonly Level[], claimed: Claims = () => 0n): Share[] {
  const bySku = Map.groupBy(levels, ({ sku }) => sku);
  requireStock(lines, bySku, claimed);
  const own = lines.flatMap(({ sku }) => (bySku.get(sku) ?? []).filter((level) => availableOf(level) > 0n));
  const names = [...new Set(own.map(({ locationId }) => locationId))].sort();
  const places = new Map(names.map((name, place) => [name, place]));
  const demands = lines.map((line) => demandOf(line, bySku.get(line.sku) ?? [], places));
  const chosen = names.length <= exactUpTo ? fewest(demands, names.length) : greedy(demands, names.length);
  const shares = demands.flatMap((demand) => sharesFrom(demand, chosen, names));
  const locations = new Set(shares.map(({ locationId }) => locationId)).size;
  if (locations > maxLocations || shares.length > maxParts) throw tooScattered(locations, shares.length);
  return shares;
}

/**
 * What of some lines is there: of each as much as is wanted, or as there is; those of which nothing is there are not in it.
 *
 * @param lines one per SKU
 * @throws UNKNOWN_SKU
 */
export function thereOf(lines: readonly Line[], levels: readonly Level[], claimed: Claims): Line[] {
  const bySku = Map.groupBy(levels, ({ sku }) => sku);
  requireKnown(lines, bySku);
  return lines.flatMap(({ sku, quantity }) => {
    const free = availableIn(bySku.get(sku) ?? []) - claimed(sku);
    if (free <= 0n) return [];
    const isEnough = free >= quantity;
    return [{ sku, quantity: isEnough ? quantity : free }];
  });
}

/**
 * The same choice as before, if it is still there; undefined when it is not.
 *
 * @param shares at most one of each level
 */
export function sameAgain(shares: readonly Share[], levels: readonly Level[], claimed: Claims): Share[] | undefined {
  const isThere = ({ sku, locationId, quantity }: Share) =>
    levels.some((level) => level.sku === sku && level.locationId === locationId && availableOf(level) >= quantity);
  const bySku = Map.groupBy(levels, ({ sku }) => sku);
  const isFree = ({ sku, quantity }: Line) => availableIn(bySku.get(sku) ?? []) - claimed(sku) >= quantity;
  return shares.every(isThere) && sumLines(shares).every(isFree) ? [...shares] : undefined;
}

function availableIn(levels: readonly Level[]): bigint {
  return levels.reduce((sum, level) => sum + availableOf(level), 0n);
}

/** What nobody has ever had is said first: an order that waits, or takes what is there, must not overlook it. */
function requireKnown(lines: readonly Line[], bySku: ReadonlyMap<string, readonly Level[]>): void {
  for (const { sku } of lines) if (!bySku.has(sku)) throw unknownSku(sku);
}

function requireStock(lines: readonly Line[], bySku: ReadonlyMap<string, readonly Level[]>, claimed: Claims): void {
  requireKnown(lines, bySku);
  for (const line of lines) {
    const available = availableIn(bySku.get(line.sku) ?? []) - claimed(line.sku);
    if (available < line.quantity) throw outOfStock(line, available < 0n ? 0n : available);
  }
}

function demandOf(line: Line, levels: readonly Level[], places: ReadonlyMap<string, number>): Demand {
  const quantity = Number(line.quantity);
  const available = new Map<number, number>();
  for (const level of levels) {
    const has = availableOf(level);
    const place = places.get(level.locationId);
    if (has > 0n && place !== undefined) available.set(place, has < line.quantity ? Number(has) : quantity);
  }
  const most = (place: number) => available.get(place) ?? 0;
  const locations = [...available.keys()].sort((a, b) => most(b) - most(a) || a - b);
  return { sku: line.sku, quantity, available, locations };
}

/**
 * How many parts a line comes in from the locations of which `isChosen` says so: one when any of them has all of it, else from those
 * that have most of it. Infinity when they do not have it.
 */
function partsOf({ quantity, available, locations }: Demand, isChosen: (place: number) => boolean): number {
  let open = quantity;
  let parts = 0;
  for (const place of locations) {
    if (!isChosen(place)) continue;
    parts += 1;
    open -= available.get(place) ?? 0;
    if (open <= 0) return parts;
  }
  return Number.POSITIVE_INFINITY;
}

/** All choices of so many locations as any line needs, then of one more, and so on; the first size that covers the order decides. */
function fewest(demands: readonly Demand[], count: number): ReadonlySet<number> {
  const least = Math.max(...demands.map((demand) => partsOf(demand, () => true)));
  for (let size = least; size <= count; size += 1) {
    let best = 0;
    let bestParts = Number.POSITIVE_INFINITY;
    for (const choice of choices(count, size)) {
      const parts = partsFrom(demands, choice, bestParts);
      if (parts < bestParts) [best, bestParts] = [choice, parts];
      if (parts === demands.length) break;
    }
    if (best) return new Set(Array.from({ length: count }, (_, place) => place).filter((place) => best & (1 << place)));
  }
  throw new Error("what there is enough of covers no order");
}

/** The parts of all lines from a choice, or at least `limit` when they are no fewer. */
function partsFrom(demands: readonly Demand[], choice: number, limit: number): number {
  const isChosen = (place: number) => (choice & (1 << place)) !== 0;
  let parts = 0;
  for (const demand of demands) {
    parts += partsOf(demand, isChosen);
    if (parts >= limit) return parts;
  }
  return parts;
}

/** All choices of `size` out of `count` locations, one bit for each, in the order of the locations. */
function* choices(count: number, size: number, from = 0): Generator<number> {
  if (size === 0) {
    yield 0;
    return;
  }
  for (let place = from; place <= count - size; place += 1) {
    for (const rest of choices(count, size - 1, place + 1)) yield (1 << place) | rest;
  }
}

/**
 * Always the location that covers the most of what is still open.
 *
 * @throws TOO_MANY_LOCATIONS when twice as many as there may be do not cover the order
 */
function greedy(demands: readonly Demand[], count: number): ReadonlySet<number> {
  const open = demands.map(({ quantity }) => quantity);
  const covers = new Array<number>(count).fill(0);
  for (const { available } of demands) for (const [place, has] of available) covers[place] = (covers[place] ?? 0) + has;
  const chosen = new Set<number>();
  while (open.some((quantity) => quantity > 0)) {
    if (chosen.size >= 2 * maxLocations) throw tooScattered(chosen.size, chosen.size);
    const best = covers.reduce((place, has, other) => (has > (covers[place] ?? 0) ? other : place), 0);
    chosen.add(best);
    for (const [index, { available }] of demands.entries()) {
      const before = open[index] ?? 0;
      const after = before - Math.min(before, available.get(best) ?? 0);
      if (after === before) continue;
      open[index] = after;
      for (const [place, has] of available) {
        covers[place] = (covers[place] ?? 0) - Math.min(before, has) + Math.min(after, has);
      }
    }
    covers[best] = 0;
  }
  return chosen;
}

/** A line comes whole from the first location that has all of it, else from those that have most of it. */
function sharesFrom(demand: Demand, chosen: ReadonlySet<number>, names: readonly string[]): Share[] {
  let open = demand.quantity;
  const shares: Share[] = [];
  for (const place of demand.locations) {
    if (!chosen.has(place) || open <= 0) continue;
    const part = Math.min(open, demand.available.get(place) ?? 0);
    shares.push({ sku: demand.sku, locationId: names[place] ?? "", quantity: BigInt(part) });
    open -= part;
  }
  return shares.sort((a, b) => (a.locationId < b.locationId ? -1 : 1));
}
