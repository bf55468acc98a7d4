import type { Allocation, AllocationStatus, Level, Part, Reservation } from "./stock.ts";

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
  /** The last amendment. */
  readonly a?: readonly [number: number, isOver: boolean, taken: readonly KeptPart[], given: readonly KeptPart[]];
  /** Missing. */
  readonly m?: readonly (readonly [sku: string, quantity: string])[];
}

type KeptPart = readonly [sku: string, location: string, quantity: string];

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

function keptReservation(reservation: Reservation): KeptReservation {
  const { orderId, allocations, expireTime, createTime, amendment, missing } = reservation;
  const { number = 0, isOver = true, taken = [], given = [] } = amendment ?? {};
  return {
    ...(missing && { m: missing.map(({ sku, quantity }) => [sku, String(quantity)] as const) }),
    ...(amendment && { a: [number, isOver, taken.map(keptPart), given.map(keptPart)] as const }),
    o: orderId,
    parts: allocations.map((part) => [part.sku, part.locationId, String(part.quantity), part.status]),
    e: expireTime?.getTime(),
    c: createTime.getTime(),
  };
}

function keptPart({ sku, locationId, quantity }: Part): KeptPart {
  return [sku, locationId, String(quantity)];
}

function toPart([sku, locationId, quantity]: KeptPart): Part {
  return { sku, locationId, quantity: BigInt(quantity) };
}

function keptLevel({ sku, locationId, onHand, reserved, updateTime }: Level): KeptLevel {
  return [sku, locationId, String(onHand), String(reserved), updateTime.getTime()];
}

function toReservation(kept: KeptReservation): Reservation {
  const [number = 0, isOver = true, taken = [], given = []] = kept.a ?? [];
  return {
    ...(kept.m && { missing: kept.m.map(([sku, quantity]) => ({ sku, quantity: BigInt(quantity) })) }),
    amendment: kept.a && { number, isOver, taken: taken.map(toPart), given: given.map(toPart) },
    orderId: kept.o,
    allocations: kept.parts.map(
      ([sku, locationId, quantity, status]): Allocation => ({ sku, locationId, quantity: BigInt(quantity), status }),
    ),
    expireTime: kept.e === undefined ? undefined : new Date(kept.e),
    createTime: new Date(kept.c),
    // Nobody asks an answer for it.
    fence: 0,
  };
}

function toLevel([sku, locationId, onHand, reserved, update]: KeptLevel): Level {
  return { sku, locationId, onHand: BigInt(onHand), reserved: BigInt(reserved), updateTime: new Date(update) };
}
