import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  AdjustStockRequest,
  AmendReservationRequest,
  CommitReservationRequest,
  ConfirmReservationRequest,
  EndAmendmentRequest,
  ReleaseReservationRequest,
  ReserveStockRequest,
  RestockRequest,
} from "#gen/shop/inventory/v1/inventory_service_pb.js";
import {
  type Allocation as AllocationMessage,
  AllocationSchema,
  AllocationStatus,
  type BackOrder as BackOrderMessage,
  BackOrderSchema,
  MissingStockSchema,
  ReservationAmendmentSchema,
  type Reservation as ReservationMessage,
  ReservationSchema,
  type StockLevel,
  StockLevelSchema,
  type StockMovement,
  StockMovementKind,
  StockMovementSchema,
  StockPartSchema,
} from "#gen/shop/inventory/v1/stock_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { fingerprint, type Keyed } from "#platform/database/idempotency.ts";
import { fenceOf } from "#platform/fence.ts";
import { whole } from "#platform/whole.ts";
import {
  type Adjust,
  type Allocation,
  type Amend,
  type Amendment,
  availableOf,
  type BackOrder,
  type Commit,
  type Confirm,
  type EndAmendment,
  isWaiting,
  type Level,
  type MovementKind,
  type Part,
  type Release,
  type Reservation,
  type Reserve,
  type Restock,
  type AllocationStatus as Status,
  type WrittenMovement,
} from "./stock.ts";

const statuses: Readonly<Record<Status, AllocationStatus>> = {
  held: AllocationStatus.HELD,
  confirmed: AllocationStatus.CONFIRMED,
  committed: AllocationStatus.COMMITTED,
  released: AllocationStatus.RELEASED,
  expired: AllocationStatus.EXPIRED,
};

const kinds: Readonly<Record<MovementKind, StockMovementKind>> = {
  adjustment: StockMovementKind.ADJUSTMENT,
  reservation: StockMovementKind.RESERVATION,
  commit: StockMovementKind.COMMIT,
  release: StockMovementKind.RELEASE,
  expiry: StockMovementKind.EXPIRY,
  return: StockMovementKind.RETURN,
};

/** The key of a mutation: the same whichever episode asks, and as it was before there were fences. */
export function toKey<Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc> & { requestId: string; fence?: number },
): Keyed {
  const { requestId, fence = 0 } = request;
  return { requestId, fingerprint: fingerprint(schema, fence > 0 ? { ...request, fence: 0 } : request) };
}

const waiting: ReadonlySet<ShortagePolicy> = new Set([ShortagePolicy.BACK_ORDER, ShortagePolicy.SHIP_AND_BACK_ORDER]);
const partial: ReadonlySet<ShortagePolicy> = new Set([
  ShortagePolicy.SHIP_AVAILABLE,
  ShortagePolicy.SHIP_AND_BACK_ORDER,
]);

/** @param defaultHoldMs for a request that does not say how long to hold */
export function toReserve(request: ReserveStockRequest, defaultHoldMs: number): Reserve {
  const { orderId, lines, timeToLive, shortagePolicy } = request;
  return {
    kind: "reserve",
    fence: fenceOf(request),
    orderId,
    lines,
    holdMs: timeToLive ? durationMs(timeToLive) : defaultHoldMs,
    waits: waiting.has(shortagePolicy),
    partly: partial.has(shortagePolicy),
  };
}

export function toConfirm(request: ConfirmReservationRequest): Confirm {
  const { orderId } = request;
  return { kind: "confirm", orderId, fence: fenceOf(request) };
}

export function toCommit(request: CommitReservationRequest): Commit {
  const { orderId, locationId } = request;
  return { kind: "commit", orderId, locationId: locationId || undefined, fence: fenceOf(request) };
}

export function toRelease(request: ReleaseReservationRequest): Release {
  const { orderId, locationId } = request;
  return { kind: "release", orderId, locationId: locationId || undefined, fence: fenceOf(request) };
}

export function toRestock(request: RestockRequest): Restock {
  const { orderId, returnId, parts } = request;
  const moved = parts.map(({ sku, locationId, quantity }) => ({ sku, locationId, quantity }));
  return { kind: "restock", orderId, returnId, parts: moved, fence: fenceOf(request) };
}

export function toAmend(request: AmendReservationRequest): Amend {
  const { orderId, number, lines, fixedLocationIds } = request;
  return { kind: "amend", orderId, number, lines, fixed: new Set(fixedLocationIds), fence: fenceOf(request) };
}

export function toEndAmendment(request: EndAmendmentRequest): EndAmendment {
  const { orderId, number, accepted } = request;
  return { kind: "end_amendment", orderId, number, accepted, fence: fenceOf(request) };
}

export function toAdjust({ sku, locationId, delta, reason }: AdjustStockRequest): Adjust {
  return { kind: "adjust", sku, locationId, delta, reason };
}

export function fromReservation(reservation: Reservation): ReservationMessage {
  const { orderId, allocations, expireTime, createTime, amendment, missing = [] } = reservation;
  return whole(ReservationSchema, {
    amendment: amendment && !amendment.isOver ? fromAmendment(amendment) : undefined,
    orderId,
    allocations: allocations.map(fromAllocation),
    expireTime: expireTime && timestampFromDate(expireTime),
    createTime: timestampFromDate(createTime),
    missing: missing.map(({ sku, quantity }) => whole(MissingStockSchema, { sku, quantity })),
    waitTime: isWaiting(reservation) ? timestampFromDate(reservation.wait.since) : undefined,
  });
}

function fromAmendment({ number, taken, given }: Amendment) {
  return whole(ReservationAmendmentSchema, { number, taken: taken.map(fromPart), given: given.map(fromPart) });
}

function fromPart({ sku, locationId, quantity }: Part) {
  return whole(StockPartSchema, { sku, locationId, quantity });
}

function fromAllocation({ sku, locationId, quantity, status }: Allocation): AllocationMessage {
  return whole(AllocationSchema, { sku, locationId, quantity, status: statuses[status] });
}

export function fromLevel(level: Level): StockLevel {
  const { sku, locationId, onHand, reserved, updateTime } = level;
  return whole(StockLevelSchema, {
    sku,
    locationId,
    onHand,
    reserved,
    available: availableOf(level),
    updateTime: timestampFromDate(updateTime),
  });
}

export function fromBackOrder({ orderId, quantity, ahead, since }: BackOrder): BackOrderMessage {
  return whole(BackOrderSchema, { orderId, quantity, ahead, waitTime: timestampFromDate(since) });
}

export function fromMovement(movement: WrittenMovement): StockMovement {
  return whole(StockMovementSchema, {
    movementId: movement.movementId,
    sku: movement.sku,
    locationId: movement.locationId,
    kind: kinds[movement.kind],
    onHandDelta: movement.onHandDelta,
    reservedDelta: movement.reservedDelta,
    orderId: movement.orderId ?? "",
    reason: movement.reason ?? "",
    createTime: timestampFromDate(movement.createTime),
  });
}
