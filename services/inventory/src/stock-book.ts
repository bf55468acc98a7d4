import { isOver } from "#platform/fence.ts";
import { allocate, maxParts, sameAgain, thereOf } from "./allocation.ts";
import { planAmendment } from "./amendment-plan.ts";
import {
  alreadyReserved,
  amendmentEnded,
  belowReserved,
  ended,
  episodeOver,
  holdExpired,
  InventoryError,
  isOutOfStock,
  notConfirmed,
  notFound,
  outOfStock,
  partNotFound,
  returnedTooMuch,
  tooScattered,
} from "./errors.ts";
import {
  type Adjust,
  type Allocation,
  type AllocationStatus,
  type Amend,
  byLevel,
  type Commit,
  type Confirm,
  type EndAmendment,
  type Expire,
  isAt,
  isExpired,
  isOpen,
  isPromised,
  isSameLevel,
  isWaiting,
  type Level,
  type Line,
  type Movement,
  type Part,
  type Release,
  type Reservation,
  type Reserve,
  type Restock,
  type Returned,
  type Serve,
  type StockCommand,
  sameLines,
  sumLines,
  transitions,
  type Wait,
} from "./stock.ts";
import { emptyQueue, type QueueState, StockQueue } from "./stock-queue.ts";

/**
 * How long stock stays set aside for an order that has waited for it while orders cannot be told, in milliseconds: 7 days. Were it as
 * short as a hold, an outage would cost everybody in the queue his turn.
 */
const untoldMs = 7 * 86_400_000;

/** What a level was and what it is now. */
export interface LevelChange {
  readonly before: Level | undefined;
  readonly after: Level;
}

/** What a reservation was and what it is now. */
export interface ReservationChange {
  readonly before: Reservation | undefined;
  readonly after: Reservation;
}

/** What a part that is set aside gives back or takes along when it moves. */
const effects = {
  confirmed: undefined,
  committed: { kind: "commit", onHand: -1n, reserved: -1n },
  released: { kind: "release", onHand: 0n, reserved: -1n },
  expired: { kind: "expiry", onHand: 0n, reserved: -1n },
  held: undefined,
} as const satisfies Record<AllocationStatus, { kind: Movement["kind"]; onHand: bigint; reserved: bigint } | undefined>;

/**
 * The levels and reservations that a batch of commands is about, while it is worked through. A command that is refused
 * changes nothing. What is to be written is in `movements`, `levels` and `reservations` afterwards.
 */
export class StockBook {
  readonly movements: Movement[] = [];
  /** What all of it is done at. */
  readonly now: Date;
  readonly #levels = new Map<string, Map<string, Level>>();
  readonly #reservations = new Map<string, Reservation>();
  readonly #queue: StockQueue;
  readonly #levelsBefore = new Map<string, { readonly level: Level | undefined; readonly key: [string, string] }>();
  readonly #reservationsBefore = new Map<string, Reservation | undefined>();
  /** What has come back of the orders that something comes back of, this batch's too. */
  readonly #returned: Returned[];

  /** @param now the database's time: decides what has expired and stamps what changes */
  constructor(
    state: {
      levels: readonly Level[];
      reservations: readonly Reservation[];
      queue?: QueueState;
      returned?: readonly Returned[];
    },
    now: Date,
  ) {
    this.#queue = new StockQueue(state.queue ?? emptyQueue);
    for (const level of state.levels) this.#setLevel(level);
    for (const reservation of state.reservations) this.#reservations.set(reservation.orderId, reservation);
    this.#returned = [...(state.returned ?? [])];
    this.now = now;
  }

  /** The levels that changed. */
  get levels(): LevelChange[] {
    return [...this.#levelsBefore.values()].map(({ level: before, key: [sku, locationId] }) => ({
      before,
      after: this.#level(sku, locationId),
    }));
  }

  /** The reservations that changed or are new. */
  get reservations(): ReservationChange[] {
    return [...this.#reservationsBefore].map(([orderId, before]) => ({ before, after: this.#existing(orderId) }));
  }

  /**
   * Does what a command says, unless a later episode of the order has asked for something.
   *
   * @returns the order's reservation after it
   * @throws InventoryError
   */
  apply(command: Exclude<StockCommand, Adjust>): Reservation {
    const fence = "fence" in command ? (command.fence ?? 0) : 0;
    const highest = this.#reservations.get(command.orderId)?.fence ?? 0;
    if (isOver({ fence }, highest)) throw episodeOver(command.orderId, { fence }, highest);
    const reservation = this.#do(command);
    return fence > reservation.fence ? this.#put({ ...reservation, fence }) : reservation;
  }

  #do(command: Exclude<StockCommand, Adjust>): Reservation {
    switch (command.kind) {
      case "reserve":
        return this.#reserve(command);
      case "serve":
        return this.#serve(command);
      case "confirm":
        return this.#confirm(command);
      case "commit":
        return this.#commit(command);
      case "release":
        return this.#release(command);
      case "amend":
        return this.#amend(command);
      case "end_amendment":
        return this.#endAmendment(command);
      case "expire":
        return this.#expire(command);
      case "restock":
        return this.#restock(command);
    }
  }

  /** Changes what is on the shelf and returns the level after it. @throws BELOW_RESERVED */
  adjust({ sku, locationId, delta, reason }: Adjust): Level {
    const { onHand, reserved } = this.#level(sku, locationId);
    if (onHand + delta < reserved) throw belowReserved({ sku, locationId, onHand, reserved }, delta);
    this.#move({ sku, locationId, kind: "adjustment", onHandDelta: delta, reservedDelta: 0n, reason });
    return this.#level(sku, locationId);
  }

  #reserve(command: Reserve): Reservation {
    const { orderId, lines, holdMs } = command;
    const existing = this.#reservations.get(orderId);
    if (isWaiting(existing)) return this.#stillWaits(existing, command);
    const expireTime = new Date(this.now.getTime() + holdMs);
    if (!existing || isExpired(existing)) return this.#takeOrWait(command, { existing, expireTime });
    if (!existing.allocations.some(isOpen)) throw ended(orderId);
    if (!sameLines(askedOf(existing, existing.allocations), lines)) throw alreadyReserved(orderId);
    const isOver = existing.expireTime !== undefined && existing.expireTime <= this.now;
    return isOver ? this.#put({ ...existing, expireTime }) : existing;
  }

  #takeOrWait(
    command: Reserve,
    { existing, expireTime }: { existing: Reservation | undefined; expireTime: Date },
  ): Reservation {
    const { orderId, waits = false, partly = false } = command;
    // What it is never to get was decided: it stays so, whatever has come since.
    const wanted = lessOf(sumLines(command.lines), existing?.missing ?? []);
    try {
      const shares = allocate(wanted, this.#levelsOf(wanted), this.#queue.ofAll);
      return this.#take(orderId, shares, { status: "held", expireTime });
    } catch (cause) {
      const there = partly && isOutOfStock(cause) && !existing?.missing ? this.#thereOf(wanted) : [];
      if (there.length > 0) return this.#takePart(orderId, { wanted, there, expireTime });
      if (!waits || !isOutOfStock(cause) || !this.#queue.takes(wanted)) throw cause;
      // Whose turn had come, and whose hold has ended before it was asked for, does not begin at the end again.
      const { since = this.now, place } = existing?.wait ?? {};
      const wait = { lines: wanted, holdMs: command.holdMs, since, place, served: false };
      const { createTime = this.now, amendment, fence = 0, missing } = existing ?? {};
      const kept = { createTime, amendment, fence, ...(missing && { missing }) };
      return this.#put({ orderId, allocations: [], expireTime: undefined, ...kept, wait });
    }
  }

  #thereOf(wanted: readonly Line[]): Line[] {
    return thereOf(wanted, this.#levelsOf(wanted), this.#queue.ofAll);
  }

  /** From here on it is decided what the order gets, and what it does not. */
  #takePart(
    orderId: string,
    { wanted, there, expireTime }: { wanted: readonly Line[]; there: readonly Line[]; expireTime: Date },
  ): Reservation {
    const shares = allocate(there, this.#levelsOf(there), this.#queue.ofAll);
    const missing = lessOf(wanted, there);
    // An answer about many orders has to fit in a message.
    if (shares.length + missing.length > maxParts) throw tooScattered(shares.length, shares.length + missing.length);
    return this.#put({ ...this.#take(orderId, shares, { status: "held", expireTime }), missing });
  }

  /** Whoever does not want to wait any longer is told that there is nothing, and is to be released. */
  #stillWaits(existing: Reservation & { wait: Wait }, { orderId, lines, waits }: Reserve): Reservation {
    if (!sameLines(askedOf(existing, existing.wait.lines), lines)) throw alreadyReserved(orderId);
    const [first] = existing.wait.lines;
    if (!waits && first) throw outOfStock(first, 0n);
    return existing;
  }

  #serve({ orderId }: Serve): Reservation {
    const existing = this.#existing(orderId);
    if (!isWaiting(existing)) return existing;
    const { lines } = existing.wait;
    const shares = allocate(lines, this.#levelsOf(lines), this.#queue.aheadOf(orderId, existing.wait));
    const expireTime = new Date(this.now.getTime() + untoldMs);
    return this.#take(orderId, shares, { status: "held", expireTime });
  }

  #confirm({ orderId }: Confirm): Reservation {
    const reservation = this.#existing(orderId);
    if (isExpired(reservation)) return this.#takeAgain(reservation);
    if (!reservation.allocations.some(isPromised)) throw ended(orderId);
    return this.#change(reservation, (part) => (part.status === "held" ? "confirmed" : undefined));
  }

  #commit({ orderId, locationId }: Commit): Reservation {
    const reservation = this.#existing(orderId);
    const parts = partsAt(reservation, locationId);
    if (parts.some(({ status }) => status === "held" || status === "expired")) throw notConfirmed(orderId);
    if (!parts.some(isOpen)) throw ended(orderId);
    return this.#change(reservation, (part) => (isOpen(part) && isAt(part, locationId) ? "committed" : undefined));
  }

  #release({ orderId, locationId }: Release): Reservation {
    const reservation = this.#reservations.get(orderId);
    if (!reservation) return this.#releaseUnknown(orderId, locationId);
    if (isWaiting(reservation) && locationId === undefined) return this.#put({ ...reservation, wait: undefined });
    const parts = partsAt(reservation, locationId);
    if (locationId !== undefined && parts.every(({ status }) => status === "committed")) throw ended(orderId);
    // What has expired is marked too: a late command must not take it again.
    const isLeft = (part: Allocation) => isOpen(part) || part.status === "expired";
    return this.#change(reservation, (part) => (isLeft(part) && isAt(part, locationId) ? "released" : undefined));
  }

  /** An undo may come before what it undoes, but nobody can have been told of a part that never was. */
  #releaseUnknown(orderId: string, locationId: string | undefined): Reservation {
    if (locationId !== undefined) throw notFound(orderId);
    return this.#put({
      orderId,
      allocations: [],
      expireTime: undefined,
      createTime: this.now,
      amendment: undefined,
      fence: 0,
    });
  }

  #expire({ orderId }: Expire): Reservation {
    const reservation = this.#existing(orderId);
    if (reservation.expireTime === undefined || reservation.expireTime > this.now) return reservation;
    return this.#change(reservation, (part) => (part.status === "held" ? "expired" : undefined));
  }

  /** A return comes back once, whoever says so again however much later; of what has left nothing comes back twice. */
  #restock({ orderId, returnId, parts }: Restock): Reservation {
    const reservation = this.#existing(orderId);
    const before = this.#returned.filter((each) => each.orderId === orderId);
    if (before.some((each) => each.returnId === returnId)) return reservation;
    const left = sumLines(reservation.allocations.filter(({ status }) => status === "committed"));
    for (const { sku, quantity } of sumLines([...before, ...parts])) {
      const of = left.find((line) => line.sku === sku)?.quantity ?? 0n;
      if (quantity > of) throw returnedTooMuch(orderId, { sku, left: of, returned: quantity });
    }
    for (const { sku, locationId, quantity } of parts) {
      const moved = { onHandDelta: quantity, reservedDelta: 0n, orderId, reason: returnId };
      this.#move({ sku, locationId, kind: "return", ...moved });
      this.#returned.push({ orderId, returnId, sku, quantity });
    }
    return reservation;
  }

  /** Takes what comes besides, so that it can be had; what goes is given back only when it is decided that it does. */
  #amend({ orderId, number, lines, fixed }: Amend): Reservation {
    const reservation = this.#existing(orderId);
    const { amendment } = reservation;
    if (amendment?.number === number && !amendment.isOver) return reservation;
    if (amendment && (amendment.number >= number || !amendment.isOver)) throw amendmentEnded({ orderId, number });
    const wanted = sumLines(lines);
    const levels = this.#levelsOf(wanted);
    const plan = planAmendment(reservation, { wanted, fixed, levels, claimed: this.#queue.ofAll });
    const allocations = plan.taken.reduce<readonly Allocation[]>((parts, part) => {
      const { sku, locationId, quantity } = part;
      this.#move({ sku, locationId, kind: "reservation", onHandDelta: 0n, reservedDelta: quantity, orderId });
      return withPart(parts, part);
    }, reservation.allocations);
    return this.#put({ ...reservation, allocations, amendment: { number, isOver: false, ...plan } });
  }

  /** An undo may come before what it undoes: it leaves a mark. Parts that are not set aside any more have gone another way. */
  #endAmendment({ orderId, number, accepted }: EndAmendment): Reservation {
    const reservation = this.#existing(orderId);
    const { amendment } = reservation;
    if (amendment && (amendment.number > number || (amendment.number === number && amendment.isOver)))
      return reservation;
    if (amendment && amendment.number < number && !amendment.isOver) throw amendmentEnded({ orderId, number });
    const over = { number, isOver: true, taken: [], given: [] };
    const goes = accepted ? amendment?.given : amendment?.taken;
    const begun = amendment?.number === number ? (goes ?? []) : [];
    const allocations = begun.reduce((parts, part) => this.#without(orderId, parts, part), reservation.allocations);
    return this.#put({ ...reservation, allocations, amendment: over });
  }

  #without(orderId: string, parts: readonly Allocation[], gone: Part): readonly Allocation[] {
    const own = parts.find((part) => isSameLevel(part, gone) && isOpen(part));
    if (!own) return parts;
    const { sku, locationId, quantity } = gone;
    this.#move({ sku, locationId, kind: "release", onHandDelta: 0n, reservedDelta: -quantity, orderId });
    const left = own.quantity - quantity;
    return parts.flatMap((part) => (part !== own ? [part] : left > 0n ? [{ ...part, quantity: left }] : []));
  }

  /** From where it was, so that what was planned still holds; only when that is gone, from elsewhere. */
  #takeAgain({ orderId, allocations }: Reservation): Reservation {
    const expired = allocations.filter(({ status }) => status === "expired");
    const lines = sumLines(expired);
    try {
      const levels = this.#levelsOf(lines);
      const claimed = this.#queue.ofAll;
      const shares = sameAgain(expired, levels, claimed) ?? allocate(lines, levels, claimed);
      return this.#take(orderId, shares, { status: "confirmed", expireTime: undefined });
    } catch (cause) {
      throw cause instanceof InventoryError ? holdExpired(orderId, cause) : cause;
    }
  }

  #take(
    orderId: string,
    shares: readonly Part[],
    as: Pick<Allocation, "status"> & Pick<Reservation, "expireTime">,
  ): Reservation {
    for (const { sku, locationId, quantity } of shares) {
      this.#move({ sku, locationId, kind: "reservation", onHandDelta: 0n, reservedDelta: quantity, orderId });
    }
    const known = this.#reservations.get(orderId);
    const { createTime = this.now, allocations: former = [], wait, amendment, fence = 0, missing } = known ?? {};
    const taken = shares.map((share) => ({ ...share, status: as.status }));
    const kept = former.filter((part) => part.status !== "expired" && !taken.some((share) => isSameLevel(share, part)));
    return this.#put({
      orderId,
      allocations: [...kept, ...taken].sort(byLevel),
      expireTime: as.expireTime,
      createTime,
      ...(wait && { wait: { ...wait, served: true } }),
      amendment,
      fence,
      ...(missing && { missing }),
    });
  }

  #levelsOf(lines: readonly Line[]): Level[] {
    return lines.flatMap(({ sku }) => [...(this.#levels.get(sku)?.values() ?? [])]);
  }

  /** Moves the parts for which `next` gives a status; returns the same reservation when there are none. */
  #change(reservation: Reservation, next: (part: Allocation) => AllocationStatus | undefined): Reservation {
    const allocations = reservation.allocations.map((part) => {
      const status = next(part);
      return status === undefined ? part : this.#step(reservation.orderId, part, status);
    });
    if (allocations.every((part, index) => part === reservation.allocations[index])) return reservation;
    const isHeld = allocations.some((part) => part.status === "held");
    return this.#put({ ...reservation, allocations, expireTime: isHeld ? reservation.expireTime : undefined });
  }

  #step(orderId: string, part: Allocation, status: AllocationStatus): Allocation {
    const allowed: readonly AllocationStatus[] = transitions[part.status];
    if (!allowed.includes(status)) throw new Error(`a part that is ${part.status} cannot become ${status}`);
    const effect = effects[status];
    if (effect && isOpen(part)) {
      const { sku, locationId, quantity } = part;
      this.#move({
        sku,
        locationId,
        kind: effect.kind,
        onHandDelta: effect.onHand * quantity,
        reservedDelta: effect.reserved * quantity,
        orderId,
      });
    }
    return { ...part, status };
  }

  #move(movement: Movement): void {
    const { sku, locationId } = movement;
    const key = `${sku}\n${locationId}`;
    const present = this.#levels.get(sku)?.get(locationId);
    if (!this.#levelsBefore.has(key)) this.#levelsBefore.set(key, { level: present, key: [sku, locationId] });
    const { onHand, reserved } = this.#level(sku, locationId);
    this.#setLevel({
      sku,
      locationId,
      onHand: onHand + movement.onHandDelta,
      reserved: reserved + movement.reservedDelta,
      updateTime: this.now,
    });
    this.movements.push(movement);
  }

  #put(reservation: Reservation): Reservation {
    const { orderId } = reservation;
    const former = this.#reservations.get(orderId);
    if (!this.#reservationsBefore.has(orderId)) this.#reservationsBefore.set(orderId, former);
    this.#reservations.set(orderId, reservation);
    if (isWaiting(former)) this.#queue.left(former.wait);
    if (isWaiting(reservation)) this.#queue.came(reservation.wait);
    return reservation;
  }

  #setLevel(level: Level): void {
    const own = this.#levels.get(level.sku);
    if (own) own.set(level.locationId, level);
    else this.#levels.set(level.sku, new Map([[level.locationId, level]]));
  }

  #level(sku: string, locationId: string): Level {
    const level = this.#levels.get(sku)?.get(locationId);
    return level ?? { sku, locationId, onHand: 0n, reserved: 0n, updateTime: this.now };
  }

  #existing(orderId: string): Reservation {
    const reservation = this.#reservations.get(orderId);
    if (!reservation) throw notFound(orderId);
    return reservation;
  }
}

/** What the order has asked for, of which it has, or waits for, these lines. */
function askedOf({ missing = [] }: Reservation, lines: readonly Line[]): readonly Line[] {
  return [...lines, ...missing];
}

/** What is left of lines, one per SKU, without others. */
function lessOf(lines: readonly Line[], without: readonly Line[]): Line[] {
  const less = new Map(without.map(({ sku, quantity }) => [sku, quantity]));
  return lines.flatMap(({ sku, quantity }) => {
    const left = quantity - (less.get(sku) ?? 0n);
    return left > 0n ? [{ sku, quantity: left }] : [];
  });
}

/** The parts with some more pieces, which are set aside for good. */
function withPart(parts: readonly Allocation[], more: Part): Allocation[] {
  const own = parts.find((part) => isSameLevel(part, more));
  if (!own) return [...parts, { ...more, status: "confirmed" as const }].sort(byLevel);
  return parts.map((part) => (part === own ? { ...part, quantity: part.quantity + more.quantity } : part));
}

/** The parts at a location, or all. @throws RESERVATION_PART_NOT_FOUND when nothing ever was at that location */
function partsAt({ orderId, allocations }: Reservation, locationId: string | undefined): Allocation[] {
  const parts = allocations.filter((part) => isAt(part, locationId));
  if (locationId !== undefined && parts.length === 0) throw partNotFound(orderId, locationId);
  return parts;
}
