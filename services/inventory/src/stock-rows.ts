import type { IdempotencyRow } from "#platform/database/idempotency.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { Allocation, AllocationStatus, Level, Movement, Reservation } from "./stock.ts";
import type { ReservationChange, StockBook } from "./stock-book.ts";

/** A row of `stock_level`. */
export interface LevelRow {
  sku: string;
  location_id: string;
  on_hand: bigint;
  reserved: bigint;
  update_time: Date;
}

/** A row of `reservation`. */
export interface ReservationRow {
  order_id: string;
  expire_time: Date | null;
  create_time: Date;
}

/** A row of `allocation`. */
export interface AllocationRow {
  order_id: string;
  sku: string;
  location_id: string;
  quantity: bigint;
  status: AllocationStatus;
}

/** A key's row with the method it belongs to. */
export interface MethodRow extends IdempotencyRow {
  readonly method: string;
}

/** The level of a row. */
export function toLevel(row: LevelRow): Level {
  const { sku, location_id: locationId, on_hand: onHand, reserved, update_time: updateTime } = row;
  return { sku, locationId, onHand, reserved, updateTime };
}

/** The reservations of rows and their parts. */
export function toReservations(rows: readonly ReservationRow[], parts: readonly AllocationRow[]): Reservation[] {
  const byOrder = Map.groupBy(parts, (part) => part.order_id);
  return rows.map((row) => ({
    orderId: encodeId(row.order_id),
    allocations: (byOrder.get(row.order_id) ?? []).map(toAllocation),
    expireTime: row.expire_time ?? undefined,
    createTime: row.create_time,
  }));
}

function toAllocation({ sku, location_id: locationId, quantity, status }: AllocationRow): Allocation {
  return { sku, locationId, quantity, status };
}

/** Orders whose parts are at other places now: theirs are written anew. */
export function replacedOrders(book: StockBook): string[] {
  return book.reservations.filter(isReplaced).map(({ after }) => decodeId(after.orderId));
}

function isReplaced({ before, after }: ReservationChange): boolean {
  if (!before || before.allocations.length === 0) return false;
  if (before.allocations.length !== after.allocations.length) return true;
  return before.allocations.some((part, index) => {
    const now = after.allocations[index];
    return part.sku !== now?.sku || part.locationId !== now.locationId || part.quantity !== now.quantity;
  });
}

/** The parameters of `writeStock`. */
export function writeValues(book: StockBook, keys: readonly MethodRow[], now: Date): unknown[] {
  const ids = new Map<string, string>();
  const idOf = (orderId: string): string => {
    const known = ids.get(orderId) ?? decodeId(orderId);
    ids.set(orderId, known);
    return known;
  };
  const { levels, reservations, movements } = book;
  return [
    now,
    ...levelColumns(levels),
    ...reservationColumns(
      reservations.filter(({ before }) => !before),
      idOf,
    ),
    ...reservationColumns(
      reservations.filter(({ before }) => before),
      idOf,
    ),
    ...newAllocationColumns(reservations, idOf),
    ...changedAllocationColumns(reservations, idOf),
    ...movementColumns(movements, idOf),
    ...keyColumns(keys),
  ];
}

/** An array of what needs no quotes: ids and numbers. Without this, each element is searched for quotes. */
function plainArray(values: readonly (string | bigint | null)[]): string {
  return `{${values.map((value) => value ?? "null").join(",")}}`;
}

function levelColumns(changes: StockBook["levels"]): unknown[] {
  return [
    changes.map(({ after }) => after.sku),
    changes.map(({ after }) => after.locationId),
    plainArray(changes.map(({ before, after }) => after.onHand - (before?.onHand ?? 0n))),
    plainArray(changes.map(({ before, after }) => after.reserved - (before?.reserved ?? 0n))),
  ];
}

function reservationColumns(changes: readonly ReservationChange[], idOf: (orderId: string) => string): unknown[] {
  return [
    plainArray(changes.map(({ after }) => idOf(after.orderId))),
    plainArray(changes.map(({ after }) => after.expireTime?.toISOString() ?? null)),
  ];
}

function newAllocationColumns(changes: readonly ReservationChange[], idOf: (orderId: string) => string): unknown[] {
  const parts = changes
    .filter((change) => !change.before || change.before.allocations.length === 0 || isReplaced(change))
    .flatMap(({ after }) => after.allocations.map((part) => ({ ...part, id: idOf(after.orderId) })));
  return [
    plainArray(parts.map((part) => part.id)),
    parts.map((part) => part.sku),
    parts.map((part) => part.locationId),
    plainArray(parts.map((part) => part.quantity)),
    plainArray(parts.map((part) => part.status)),
  ];
}

function changedAllocationColumns(changes: readonly ReservationChange[], idOf: (orderId: string) => string): unknown[] {
  const parts = changes
    .filter((change) => change.before && !isReplaced(change))
    .flatMap(({ before, after }) =>
      after.allocations
        .filter((part, index) => part.status !== before?.allocations[index]?.status)
        .map((part) => ({ ...part, id: idOf(after.orderId) })),
    );
  return [
    plainArray(parts.map((part) => part.id)),
    parts.map((part) => part.sku),
    parts.map((part) => part.locationId),
    plainArray(parts.map((part) => part.status)),
  ];
}

function movementColumns(movements: readonly Movement[], idOf: (orderId: string) => string): unknown[] {
  return [
    movements.map((movement) => movement.sku),
    movements.map((movement) => movement.locationId),
    plainArray(movements.map((movement) => movement.kind)),
    plainArray(movements.map((movement) => movement.onHandDelta)),
    plainArray(movements.map((movement) => movement.reservedDelta)),
    plainArray(movements.map(({ orderId }) => (orderId === undefined ? null : idOf(orderId)))),
    movements.map((movement) => movement.reason ?? null),
  ];
}

function keyColumns(unsorted: readonly MethodRow[]): unknown[] {
  // Two processes with the same keys wait for each other: in one order, or they would deadlock.
  const keys = [...unsorted].sort((one, other) => (one.requestId < other.requestId ? -1 : 1));
  return [
    plainArray(keys.map((key) => key.method)),
    keys.map((key) => key.requestId),
    keys.map((key) => key.fingerprint),
    keys.map((key) => key.response),
  ];
}
