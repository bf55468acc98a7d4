import { allocate, type Claims, maxLocations, maxParts } from "./allocation.ts";
import { ended, notConfirmed, outOfStock, partFixed, tooScattered, unknownSku } from "./errors.ts";
import {
  type Allocation,
  type Amendment,
  availableOf,
  byLevel,
  isOpen,
  isPromised,
  isSameLevel,
  type Level,
  type Line,
  type Part,
  type Reservation,
} from "./stock.ts";

/** What a reservation is to become. */
export interface AmendmentWish {
  /** All of it, one line for each SKU, see `sumLines`. */
  readonly wanted: readonly Line[];
  /** Locations where nothing is to be changed. */
  readonly fixed: ReadonlySet<string>;
  /** Those of the SKUs that are considered. */
  readonly levels: readonly Level[];
  /** What others wait for in turn: it is not to be had. */
  readonly claimed: Claims;
}

/**
 * What a reservation has to take and to give to become what is wanted. What it keeps stays where it is. What goes is taken from its
 * smallest parts, so that there are fewer parcels; what comes is, as far as they have it, at locations from which a parcel leaves
 * anyway. The same input always gives the same plan.
 *
 * A location from which a part has left, or where one was given back because its parcel could not leave, is done with: no second parcel
 * leaves from there.
 *
 * @throws RESERVATION_ENDED, NOT_CONFIRMED, PART_FIXED, UNKNOWN_SKU, OUT_OF_STOCK, TOO_MANY_LOCATIONS
 */
export function planAmendment(
  { orderId, allocations }: Reservation,
  { wanted, fixed, levels, claimed }: AmendmentWish,
): Pick<Amendment, "taken" | "given"> {
  if (allocations.some(({ status }) => status === "held" || status === "expired")) throw notConfirmed(orderId);
  if (!allocations.some(isPromised)) throw ended(orderId);
  const done = new Set([...fixed, ...allocations.filter((part) => !isOpen(part)).map(({ locationId }) => locationId)]);
  const movable = allocations.filter(({ locationId }) => !done.has(locationId));
  const changes = changesOf(orderId, { wanted, allocations, movable });
  const given = changes.flatMap(({ sku, more }) => (more < 0n ? giveFrom(movable, { sku, quantity: -more }) : []));
  const kept = movable.filter(
    (part) => !given.some((gone) => isSameLevel(gone, part) && gone.quantity === part.quantity),
  );
  const free = levels.filter(({ locationId }) => !done.has(locationId));
  const lines = changes.flatMap(({ sku, more }) => (more > 0n ? [{ sku, quantity: more }] : []));
  for (const line of lines) requireStock(line, { levels, free, claimed: claimed(line.sku) });
  const taken = take(lines, { kept, free });
  requireCompact([...allocations.filter(isPromised), ...taken]);
  return { taken, given };
}

/** How much more of each SKU is wanted of what can be changed; below zero: how much less. */
function changesOf(
  orderId: string,
  { wanted, allocations, movable }: { wanted: readonly Line[]; allocations: readonly Part[]; movable: readonly Part[] },
): { sku: string; more: bigint }[] {
  const skus = new Set([...wanted, ...allocations].map(({ sku }) => sku));
  return [...skus].sort().map((sku) => {
    const all = sumOf(allocations, sku);
    const want = sumOf(wanted, sku);
    if (want < all - sumOf(movable, sku)) throw partFixed(orderId, sku);
    return { sku, more: want - all };
  });
}

function sumOf(lines: readonly Line[], sku: string): bigint {
  return lines.reduce((sum, line) => (line.sku === sku ? sum + line.quantity : sum), 0n);
}

function giveFrom(movable: readonly Allocation[], { sku, quantity }: Line): Part[] {
  const own = movable.filter((part) => part.sku === sku);
  const smallest = own.toSorted((a, b) => Number(a.quantity - b.quantity) || -byLevel(a, b));
  return pick(smallest, quantity);
}

/** So many pieces from parts, the first ones first. */
function pick(parts: readonly Part[], quantity: bigint): Part[] {
  let open = quantity;
  return parts.flatMap(({ sku, locationId, quantity: has }) => {
    if (open <= 0n || has <= 0n) return [];
    const isLast = has >= open;
    const some = isLast ? open : has;
    open -= some;
    return [{ sku, locationId, quantity: some }];
  });
}

function requireStock(
  line: Line,
  { levels, free, claimed }: { levels: readonly Level[]; free: readonly Level[]; claimed: bigint },
): void {
  if (!levels.some(({ sku }) => sku === line.sku)) throw unknownSku(line.sku);
  const own = free.filter(({ sku }) => sku === line.sku);
  const available = own.reduce((sum, level) => sum + availableOf(level), -claimed);
  if (available < line.quantity) throw outOfStock(line, available > 0n ? available : 0n);
}

function take(lines: readonly Line[], { kept, free }: { kept: readonly Part[]; free: readonly Level[] }): Part[] {
  const places = new Set(kept.map(({ locationId }) => locationId));
  const near = free.filter(({ locationId }) => places.has(locationId));
  const isPart = (level: Part) => (kept.some((part) => isSameLevel(part, level)) ? 1 : 0);
  const taken = lines.flatMap(({ sku, quantity }) => {
    const has = near.flatMap((level) =>
      level.sku === sku ? [{ sku, locationId: level.locationId, quantity: availableOf(level) }] : [],
    );
    const best = (a: Part, b: Part) => isPart(b) - isPart(a) || Number(b.quantity - a.quantity) || byLevel(a, b);
    return pick(has.toSorted(best), quantity);
  });
  const rest = lines
    .map(({ sku, quantity }) => ({ sku, quantity: quantity - sumOf(taken, sku) }))
    .filter(({ quantity }) => quantity > 0n);
  if (rest.length === 0) return taken;
  return [
    ...taken,
    ...allocate(
      rest,
      free.filter(({ locationId }) => !places.has(locationId)),
    ),
  ];
}

/** An order is never promised from more places, see `allocate`. */
function requireCompact(parts: readonly Part[]): void {
  const locations = new Set(parts.map(({ locationId }) => locationId)).size;
  const levels = new Set(parts.map(({ sku, locationId }) => `${sku} ${locationId}`)).size;
  if (locations > maxLocations || levels > maxParts) throw tooScattered(locations, levels);
}
