import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  AdjustStockRequest,
  CommitReservationRequest,
  ConfirmReservationRequest,
  ReleaseReservationRequest,
  ReserveStockRequest,
} from "#gen/shop/inventory/v1/inventory_service_pb.js";
import {
  AllocationStatus,
  type Reservation as ReservationMessage,
  ReservationSchema,
  type StockLevel,
  StockLevelSchema,
  type StockMovement,
  StockMovementKind,
  StockMovementSchema,
} from "#gen/shop/inventory/v1/stock_pb.js";
import { fingerprint, type Keyed } from "#platform/database/idempotency.ts";
import type { Adjust, Commit, Confirm, Level, Release, Reservation, Reserve } from "./stock.ts";
import { availableOf, type MovementKind, type AllocationStatus as Status } from "./stock.ts";
import type { WrittenMovement } from "./stock-reader.ts";

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
};

/** The key of a mutation. */
export function toKey<Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc> & { requestId: string },
): Keyed {
  return { requestId: request.requestId, fingerprint: fingerprint(schema, request) };
}

/** @param defaultHoldMs for a request that does not say how long to hold */
export function toReserve({ orderId, lines, timeToLive }: ReserveStockRequest, defaultHoldMs: number): Reserve {
  return { kind: "reserve", orderId, lines, holdMs: timeToLive ? durationMs(timeToLive) : defaultHoldMs };
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

export function toAdjust({ sku, locationId, delta, reason }: AdjustStockRequest): Adjust {
  return { kind: "adjust", sku, locationId, delta, reason };
}

export function fromReservation({ orderId, allocations, expireTime, createTime }: Reservation): ReservationMessage {
  return create(ReservationSchema, {
    orderId,
    allocations: allocations.map((part) => ({ ...part, status: statuses[part.status] })),
    ...(expireTime && { expireTime: timestampFromDate(expireTime) }),
    createTime: timestampFromDate(createTime),
  });
}

export function fromLevel(level: Level): StockLevel {
  const { sku, locationId, onHand, reserved, updateTime } = level;
  const available = availableOf(level);
  return create(StockLevelSchema, {
    sku,
    locationId,
    onHand,
    reserved,
    available,
    updateTime: timestampFromDate(updateTime),
  });
}

export function fromMovement(movement: WrittenMovement): StockMovement {
  return create(StockMovementSchema, {
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
