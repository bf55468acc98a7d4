import { type AuditEntry, auditEvents } from "#platform/audit/audit-entry.ts";
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

/** A part of a reservation as the row has it. */
export interface AllocationJson {
  sku: string;
  location_id: string;
  quantity: number;
  status: AllocationStatus;
}

/** A row of `reservation`. */
export interface ReservationRow {
  order_id: string;
  allocations: AllocationJson[];
  expire_time: Date | null;
  create_time: Date;
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

/** The reservation of a row. */
export function toReservation(row: ReservationRow): Reservation {
  return {
    orderId: encodeId(row.order_id),
    allocations: row.allocations.map(({ sku, location_id: locationId, quantity, status }) => {
      return { sku, locationId, quantity: BigInt(quantity), status };
    }),
    expireTime: row.expire_time ?? undefined,
    createTime: row.create_time,
  };
}

/** Quantities are small: 100 lines of 10,000 at most. */
function toAllocationJson({ sku, locationId, quantity, status }: Allocation): AllocationJson {
  return { sku, location_id: locationId, quantity: Number(quantity), status };
}

/** What `writeStock` writes besides what is in the book. */
export interface Written {
  readonly keys: readonly MethodRow[];
  readonly audit: readonly AuditEntry[];
  readonly now: Date;
}

/** The parameters of `writeStock`. */
export function writeValues(book: StockBook, { keys, audit, now }: Written): unknown[] {
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
    ...movementColumns(movements, idOf),
    ...keyColumns(keys),
    auditEvents(audit),
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
    changes.map(({ after }) => JSON.stringify(after.allocations.map(toAllocationJson))),
    plainArray(changes.map(({ after }) => after.expireTime?.toISOString() ?? null)),
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
