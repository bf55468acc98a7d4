import { encodeId } from "#platform/id.ts";
import type {
  Allocation,
  AllocationStatus,
  Amendment,
  Line,
  Movement,
  MovementKind,
  Part,
  Reservation,
  Wait,
  WrittenMovement,
} from "./stock.ts";
import type { LevelChange } from "./stock-book.ts";

/** A part of a reservation as its row has it. */
export interface AllocationJson {
  readonly sku: string;
  readonly location_id: string;
  readonly quantity: number;
  readonly status: AllocationStatus;
}

type LineJson = readonly [sku: string, quantity: number];

/** How an order waits, as its row has it. */
export interface WaitJson {
  readonly lines: readonly LineJson[];
  readonly hold_ms: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly place: string;
  readonly served: boolean;
}

type PartJson = Omit<AllocationJson, "status">;

/** The last amendment of a reservation as its row has it. */
export interface AmendmentJson {
  readonly number: number;
  readonly is_over: boolean;
  readonly taken: readonly PartJson[];
  readonly given: readonly PartJson[];
}

/** A row of `reservation` as it is read. */
export interface ReservationRow {
  readonly orderId: string;
  readonly allocations: readonly AllocationJson[];
  /** Null: it never waited. */
  readonly wait: WaitJson | null;
  readonly expireTime: Date | null;
  readonly createTime: Date;
  readonly amendment: AmendmentJson | null;
  readonly fence: number;
  /** Null: it was not short of anything. */
  readonly missing: readonly LineJson[] | null;
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
export function toReservation({
  orderId,
  allocations,
  wait,
  amendment,
  fence,
  missing,
  ...times
}: ReservationRow): Reservation {
  return {
    orderId: encodeId(orderId),
    allocations: allocations.map(toAllocation),
    expireTime: times.expireTime ?? undefined,
    createTime: times.createTime,
    amendment: amendment ? toAmendment(amendment) : undefined,
    fence,
    ...(wait && { wait: toWait(wait) }),
    ...(missing && { missing: missing.map(toLine) }),
  };
}

function toLine([sku, quantity]: LineJson): Line {
  return { sku, quantity: BigInt(quantity) };
}

function toWait({ lines, hold_ms: holdMs, since, place, served }: WaitJson): Wait {
  return {
    lines: lines.map(toLine),
    holdMs,
    since: new Date(since),
    place: BigInt(place),
    served,
  };
}

function toAllocation({ status, ...part }: AllocationJson): Allocation {
  return { ...toPart(part), status };
}

function toPart({ sku, location_id: locationId, quantity }: PartJson): Part {
  return { sku, locationId, quantity: BigInt(quantity) };
}

function toAmendment({ number, is_over: isOver, taken, given }: AmendmentJson): Amendment {
  return { number, isOver, taken: taken.map(toPart), given: given.map(toPart) };
}

/** The movement of a row. */
export function toMovement({ orderId, reason, ...movement }: MovementRow): WrittenMovement {
  return { ...movement, orderId: orderId === null ? undefined : encodeId(orderId), reason: reason ?? undefined };
}

/** Gives the stored form of an order's id. */
export type IdOf = (orderId: string) => string;

/** The turns of orders that wait from now on. */
export type PlaceOf = (orderId: string) => bigint | undefined;

/** The row of a reservation. */
export function toChangedReservation(
  { orderId, allocations, wait, expireTime, amendment, fence, missing }: Reservation,
  idOf: IdOf,
  placeOf: PlaceOf,
): ChangedReservation {
  return {
    orderId: idOf(orderId),
    allocations: allocations.map(toAllocationJson),
    wait: wait ? toWaitJson(wait, wait.place ?? placeOf(orderId)) : null,
    expireTime: expireTime ?? null,
    amendment: amendment ? toAmendmentJson(amendment) : null,
    fence,
    missing: missing ? missing.map(toLineJson) : null,
  };
}

function toLineJson({ sku, quantity }: Line): LineJson {
  return [sku, Number(quantity)];
}

function toWaitJson({ lines, holdMs, since, served }: Wait, place = 0n): WaitJson {
  return {
    lines: lines.map(toLineJson),
    hold_ms: holdMs,
    since: since.getTime(),
    place: String(place),
    served,
  };
}

function toAmendmentJson({ number, isOver, taken, given }: Amendment): AmendmentJson {
  return { number, is_over: isOver, taken: taken.map(toPartJson), given: given.map(toPartJson) };
}

/** Quantities are small: 100 lines of 10,000 at most. */
function toPartJson({ sku, locationId, quantity }: Part): PartJson {
  return { sku, location_id: locationId, quantity: Number(quantity) };
}

function toAllocationJson({ status, ...part }: Allocation): AllocationJson {
  return { ...toPartJson(part), status };
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
