import { encodeId } from "#platform/id.ts";
import type { Allocation, AllocationStatus, Movement, MovementKind, Reservation, WrittenMovement } from "./stock.ts";
import type { LevelChange } from "./stock-book.ts";

/** A part of a reservation as its row has it. */
export interface AllocationJson {
  readonly sku: string;
  readonly location_id: string;
  readonly quantity: number;
  readonly status: AllocationStatus;
}

/** A row of `reservation` as it is read. */
export interface ReservationRow {
  readonly orderId: string;
  readonly allocations: readonly AllocationJson[];
  readonly expireTime: Date | null;
  readonly createTime: Date;
}

/** A row of `reservation` as it is written; all else in it is the time. */
export type ChangedReservation = Omit<ReservationRow, "createTime">;

/** A row of `stock_movement`. */
export interface MovementRow {
  readonly movementId: bigint;
  readonly sku: string;
  readonly locationId: string;
  readonly kind: MovementKind;
  readonly onHandDelta: bigint;
  readonly reservedDelta: bigint;
  readonly orderId: string | null;
  readonly reason: string | null;
  readonly createTime: Date;
}

/** A row of `stock_movement` as it is written; its number and its time are given to it. */
export type InsertedMovement = Omit<MovementRow, "movementId" | "createTime">;

/** What is added to a row of `stock_level`. */
export interface LevelDelta {
  readonly sku: string;
  readonly locationId: string;
  readonly onHandDelta: bigint;
  readonly reservedDelta: bigint;
}

/** The reservation of a row. */
export function toReservation({ orderId, allocations, expireTime, createTime }: ReservationRow): Reservation {
  return {
    orderId: encodeId(orderId),
    allocations: allocations.map(toAllocation),
    expireTime: expireTime ?? undefined,
    createTime,
  };
}

function toAllocation({ sku, location_id: locationId, quantity, status }: AllocationJson): Allocation {
  return { sku, locationId, quantity: BigInt(quantity), status };
}

/** The movement of a row. */
export function toMovement({ orderId, reason, ...movement }: MovementRow): WrittenMovement {
  return { ...movement, orderId: orderId === null ? undefined : encodeId(orderId), reason: reason ?? undefined };
}

/** Gives the stored form of an order's id. */
export type IdOf = (orderId: string) => string;

/** The row of a reservation. */
export function toChangedReservation(
  { orderId, allocations, expireTime }: Reservation,
  idOf: IdOf,
): ChangedReservation {
  return {
    orderId: idOf(orderId),
    allocations: allocations.map(toAllocationJson),
    expireTime: expireTime ?? null,
  };
}

/** Quantities are small: 100 lines of 10,000 at most. */
function toAllocationJson({ sku, locationId, quantity, status }: Allocation): AllocationJson {
  return { sku, location_id: locationId, quantity: Number(quantity), status };
}

/** The row of a movement. */
export function toInsertedMovement(movement: Movement, idOf: IdOf): InsertedMovement {
  const { sku, locationId, kind, onHandDelta, reservedDelta, orderId, reason } = movement;
  return {
    sku,
    locationId,
    kind,
    onHandDelta,
    reservedDelta,
    orderId: orderId === undefined ? null : idOf(orderId),
    reason: reason ?? null,
  };
}

/** What a change adds to the row of its level. */
export function toLevelDelta({ before, after }: LevelChange): LevelDelta {
  return {
    sku: after.sku,
    locationId: after.locationId,
    onHandDelta: after.onHand - (before?.onHand ?? 0n),
    reservedDelta: after.reserved - (before?.reserved ?? 0n),
  };
}
