import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  AdjustStockRequest,
  CommitReservationRequest,
  ConfirmReservationRequest,
  ReleaseReservationRequest,
  ReserveStockRequest,
  RestockRequest,
} from "#gen/shop/inventory/v1/inventory_service_pb.js";
import {
  type Allocation as AllocationMessage,
  AllocationSchema,
  AllocationStatus,
  type Reservation as ReservationMessage,
  ReservationSchema,
  type StockLevel,
  StockLevelSchema,
  type StockMovement,
  StockMovementKind,
  StockMovementSchema,
} from "#gen/shop/inventory/v1/stock_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { fingerprint, type Keyed } from "#platform/database/idempotency.ts";
import { whole } from "#platform/whole.ts";
import {
  type Adjust,
  type Allocation,
  availableOf,
  type Commit,
  type Confirm,
  isWaiting,
  type Level,
  type MovementKind,
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

/** The key of a mutation. */
export function toKey<Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc> & { requestId: string },
): Keyed {
  return { requestId: request.requestId, fingerprint: fingerprint(schema, request) };
}

/** @param defaultHoldMs for a request that does not say how long to hold */
export function toReserve(request: ReserveStockRequest, defaultHoldMs: number): Reserve {
  const { orderId, lines, timeToLive, shortagePolicy } = request;
  return {
    kind: "reserve",
    orderId,
    lines,
    holdMs: timeToLive ? durationMs(timeToLive) : defaultHoldMs,
    waits: shortagePolicy === ShortagePolicy.BACK_ORDER,
  };
}

export function toConfirm({ orderId }: ConfirmReservationRequest): Confirm {
  return { kind: "confirm", orderId };
}

export function toCommit({ orderId, locationId }: CommitReservationRequest): Commit {
  return { kind: "commit", orderId, locationId: locationId || undefined };
}

export function toRelease({ orderId, locationId }: ReleaseReservationRequest): Release {
  return { kind: "release", orderId, locationId: locationId || undefined };
}

export function toRestock({ orderId, returnId, parts }: RestockRequest): Restock {
  const moved = parts.map(({ sku, locationId, quantity }) => ({ sku, locationId, quantity }));
  return { kind: "restock", orderId, returnId, parts: moved };
}

export function toAdjust({ sku, locationId, delta, reason }: AdjustStockRequest): Adjust {
  return { kind: "adjust", sku, locationId, delta, reason };
}

export function fromReservation(reservation: Reservation): ReservationMessage {
  const { orderId, allocations, expireTime, createTime } = reservation;
  return whole(ReservationSchema, {
    orderId,
    allocations: allocations.map(fromAllocation),
    expireTime: expireTime && timestampFromDate(expireTime),
    createTime: timestampFromDate(createTime),
    waitTime: isWaiting(reservation) ? timestampFromDate(reservation.wait.since) : undefined,
  });
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
