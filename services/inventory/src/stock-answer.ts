import type { Allocation, AllocationStatus, Level, Reservation } from "./stock.ts";

/**
 * How answers are kept for repetitions: JSON, short, because there is one for every command; amounts as text, times in
 * milliseconds. Only ever extended.
 */
interface KeptReservation {
  /** The order. */
  readonly o: string;
  readonly parts: readonly (readonly [sku: string, location: string, quantity: string, status: AllocationStatus])[];
  /** Expires. */
  readonly e?: number | undefined;
  /** Created. */
  readonly c: number;
}

type KeptLevel = readonly [sku: string, location: string, onHand: string, reserved: string, update: number];

/** The bytes that `idempotency_key` keeps. */
export function encodeAnswer(answer: Reservation | Level): Buffer {
  return Buffer.from(JSON.stringify("orderId" in answer ? keptReservation(answer) : keptLevel(answer)));
}

/** The reverse of `encodeAnswer`. */
export function decodeAnswer(bytes: Buffer): Reservation | Level {
  // biome-ignore lint/plugin/json: an answer that we wrote
  const kept = JSON.parse(bytes.toString()) as KeptReservation | KeptLevel;
  return "parts" in kept ? toReservation(kept) : toLevel(kept);
}

function keptReservation({ orderId, allocations, expireTime, createTime }: Reservation): KeptReservation {
  return {
    o: orderId,
    parts: allocations.map((part) => [part.sku, part.locationId, String(part.quantity), part.status]),
    e: expireTime?.getTime(),
    c: createTime.getTime(),
  };
}

function keptLevel({ sku, locationId, onHand, reserved, updateTime }: Level): KeptLevel {
  return [sku, locationId, String(onHand), String(reserved), updateTime.getTime()];
}

function toReservation(kept: KeptReservation): Reservation {
  return {
    orderId: kept.o,
    allocations: kept.parts.map(
      ([sku, locationId, quantity, status]): Allocation => ({ sku, locationId, quantity: BigInt(quantity), status }),
    ),
    expireTime: kept.e === undefined ? undefined : new Date(kept.e),
    createTime: new Date(kept.c),
  };
}

function toLevel([sku, locationId, onHand, reserved, update]: KeptLevel): Level {
  return { sku, locationId, onHand: BigInt(onHand), reserved: BigInt(reserved), updateTime: new Date(update) };
}
