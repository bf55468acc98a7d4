import type { Allocation, AllocationStatus, Level, Reservation } from "./stock.ts";

/** How answers are kept for repetitions: JSON, amounts as text, times in milliseconds. Only ever extended. */
interface KeptReservation {
  readonly order: string;
  readonly parts: readonly (readonly [sku: string, location: string, quantity: string, status: AllocationStatus])[];
  readonly expire?: number | undefined;
  readonly create: number;
}

interface KeptLevel {
  readonly sku: string;
  readonly location: string;
  readonly onHand: string;
  readonly reserved: string;
  readonly update: number;
}

/** The bytes that `idempotency_key` keeps. */
export function encodeAnswer(answer: Reservation | Level): Buffer {
  return Buffer.from(JSON.stringify("orderId" in answer ? keptReservation(answer) : keptLevel(answer)));
}

/** The reverse of `encodeAnswer`. */
export function decodeAnswer(bytes: Buffer): Reservation | Level {
  const kept = JSON.parse(bytes.toString()) as KeptReservation | KeptLevel;
  return "order" in kept ? toReservation(kept) : toLevel(kept);
}

function keptReservation({ orderId, allocations, expireTime, createTime }: Reservation): KeptReservation {
  return {
    order: orderId,
    parts: allocations.map((part) => [part.sku, part.locationId, String(part.quantity), part.status]),
    expire: expireTime?.getTime(),
    create: createTime.getTime(),
  };
}

function keptLevel({ sku, locationId, onHand, reserved, updateTime }: Level): KeptLevel {
  return {
    sku,
    location: locationId,
    onHand: String(onHand),
    reserved: String(reserved),
    update: updateTime.getTime(),
  };
}

function toReservation(kept: KeptReservation): Reservation {
  return {
    orderId: kept.order,
    allocations: kept.parts.map(
      ([sku, locationId, quantity, status]): Allocation => ({ sku, locationId, quantity: BigInt(quantity), status }),
    ),
    expireTime: kept.expire === undefined ? undefined : new Date(kept.expire),
    createTime: new Date(kept.create),
  };
}

function toLevel(kept: KeptLevel): Level {
  return {
    sku: kept.sku,
    locationId: kept.location,
    onHand: BigInt(kept.onHand),
    reserved: BigInt(kept.reserved),
    updateTime: new Date(kept.update),
  };
}
