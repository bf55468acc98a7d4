/** How much of one article there is at one location, in pieces. Always: 0 <= reserved <= onHand. */
export interface Level {
  readonly sku: string;
  readonly locationId: string;
  /** On the shelf. */
  readonly onHand: bigint;
  /** Of that, set aside for orders. */
  readonly reserved: bigint;
  readonly updateTime: Date;
}

/** What an order wants of one article. */
export interface Line {
  readonly sku: string;
  readonly quantity: bigint;
}

/** Where a part of a reservation may go next. Anything not listed does not happen. */
export const transitions = {
  held: ["confirmed", "released", "expired"],
  confirmed: ["committed", "released"],
  committed: [],
  released: [],
  expired: ["released"],
} as const satisfies Record<AllocationStatus, readonly AllocationStatus[]>;

/**
 * Where a part of a reservation stands. `expired` parts are replaced when the order's stock is taken again, unless they
 * were released since.
 */
export type AllocationStatus = "held" | "confirmed" | "committed" | "released" | "expired";

/** One article of a reservation at one location. */
export interface Allocation {
  readonly sku: string;
  readonly locationId: string;
  readonly quantity: bigint;
  readonly status: AllocationStatus;
}

/** What changes in a reservation while it is not decided whether it does; one that is over says so, and has nothing in it. */
export interface Amendment {
  /** Counts the amendments of the order, from 1. */
  readonly number: number;
  readonly isOver: boolean;
  /** Set aside besides, and in the allocations already. */
  readonly taken: readonly Part[];
  /** To be given back, and in the allocations still. */
  readonly given: readonly Part[];
}

/**
 * What is set aside for an order. Without allocations it waits for stock, or says that the order was released before it was
 * reserved.
 */
export interface Reservation {
  readonly orderId: string;
  /** By SKU and location. */
  readonly allocations: readonly Allocation[];
  /** When the parts that are held end by themselves; undefined when none is held. */
  readonly expireTime: Date | undefined;
  readonly createTime: Date;
  /** The last one; undefined when there never was one. */
  readonly amendment: Amendment | undefined;
  /** The highest fence of those who have asked about it; 0: none had one. */
  readonly fence: number;
  /** What it waits for, or has waited for; undefined when it never did, and once it was released while it waited. */
  readonly wait?: Wait | undefined;
  /** What it asked for and is never to get, one per SKU: that was not there when it was decided, once. Undefined: it gets all of it. */
  readonly missing?: readonly Line[] | undefined;
}

/** How an order waits for stock: as a whole, in turn. */
export interface Wait {
  /** One per SKU. */
  readonly lines: readonly Line[];
  /** How long the hold lasts once orders knows of it, in milliseconds. */
  readonly holdMs: number;
  /** Since when. */
  readonly since: Date;
  /** Its turn among all that wait; undefined until it is written down. Kept when it has to wait again. */
  readonly place: bigint | undefined;
  /** Whether its turn has come: it waits no more. */
  readonly served: boolean;
}

/** An order that waits for an article, as others see it. */
export interface BackOrder {
  readonly orderId: string;
  /** How many pieces of the article it wants. */
  readonly quantity: bigint;
  /** How many those want together whose turn is before its own. */
  readonly ahead: bigint;
  readonly since: Date;
  /** Its turn among all that wait. */
  readonly place: bigint;
}

/** Why a level changes. */
export const movementKinds = ["adjustment", "reservation", "commit", "release", "expiry", "return"] as const;

/** Why a level changed. */
export type MovementKind = (typeof movementKinds)[number];

/** One change of a level. All movements of a level sum to it. */
export interface Movement {
  readonly sku: string;
  readonly locationId: string;
  readonly kind: MovementKind;
  readonly onHandDelta: bigint;
  readonly reservedDelta: bigint;
  readonly orderId?: string | undefined;
  readonly reason?: string | undefined;
}

/** A movement as it was written. */
export interface WrittenMovement extends Movement {
  readonly movementId: bigint;
  readonly createTime: Date;
}

/** Something that the saga asks: the episode of the order in which it does; 0, or none: it was not said. */
interface OfEpisode {
  readonly fence?: number;
}

/** Sets aside all lines of an order, or none; or what of them is there. */
export interface Reserve extends OfEpisode {
  readonly kind: "reserve";
  readonly orderId: string;
  readonly lines: readonly Line[];
  /** How long the hold lasts, in milliseconds. */
  readonly holdMs: number;
  /** Whether the order waits in turn when there is too little; otherwise it is refused. */
  readonly waits?: boolean;
  /** Whether it gets what is there when there is too little, unless nothing is. */
  readonly partly?: boolean;
}

/** Sets aside what an order has waited for, when its turn has come. */
export interface Serve {
  readonly kind: "serve";
  readonly orderId: string;
  /** What it waits for. */
  readonly skus: readonly string[];
}

/** Makes a hold firm. */
export interface Confirm extends OfEpisode {
  readonly kind: "confirm";
  readonly orderId: string;
}

/** Takes confirmed stock from the shelf, at one location or at all. */
export interface Commit extends OfEpisode {
  readonly kind: "commit";
  readonly orderId: string;
  readonly locationId?: string | undefined;
}

/** Gives back what has not left, at one location or at all. */
export interface Release extends OfEpisode {
  readonly kind: "release";
  readonly orderId: string;
  readonly locationId?: string | undefined;
}

/** Sets aside what an order will have besides, all or none. */
export interface Amend extends OfEpisode {
  readonly kind: "amend";
  readonly orderId: string;
  readonly number: number;
  /** All articles of the order from then on. */
  readonly lines: readonly Line[];
  /** Where nothing is to be changed. */
  readonly fixed: ReadonlySet<string>;
}

/** Ends an amendment: gives back what the order has no more, or what it got besides. */
export interface EndAmendment extends OfEpisode {
  readonly kind: "end_amendment";
  readonly orderId: string;
  readonly number: number;
  readonly accepted: boolean;
}

/** Gives back what is held beyond its time. */
export interface Expire {
  readonly kind: "expire";
  readonly orderId: string;
}

/** Changes what is on the shelf. */
export interface Adjust {
  readonly kind: "adjust";
  readonly sku: string;
  readonly locationId: string;
  readonly delta: bigint;
  readonly reason: string;
}

/** Some of an article, at a location. */
export interface Part extends Line {
  readonly locationId: string;
}

/** Puts on the shelf what of an order has come back. */
export interface Restock extends OfEpisode {
  readonly kind: "restock";
  readonly orderId: string;
  readonly returnId: string;
  readonly parts: readonly Part[];
}

/** What of an order has come back before. */
export interface Returned {
  readonly orderId: string;
  readonly returnId: string;
  readonly sku: string;
  readonly quantity: bigint;
}

/** What may be done to stock. */
export type StockCommand =
  | Reserve
  | Serve
  | Confirm
  | Commit
  | Release
  | Amend
  | EndAmendment
  | Expire
  | Restock
  | Adjust;

/** What can still be reserved at a level. */
export function availableOf(level: Level): bigint {
  return level.onHand - level.reserved;
}

/** Lines of the same SKU summed, by SKU. */
export function sumLines(lines: readonly Line[]): Line[] {
  const sums = new Map<string, bigint>();
  for (const { sku, quantity } of lines) sums.set(sku, (sums.get(sku) ?? 0n) + quantity);
  const summed = [...sums].map(([sku, quantity]) => ({ sku, quantity }));
  return summed.sort((one, other) => (one.sku < other.sku ? -1 : 1));
}

/** Whether two lists ask for the same, however it is written down. */
export function sameLines(one: readonly Line[], other: readonly Line[]): boolean {
  const left = sumLines(one);
  const right = sumLines(other);
  return (
    left.length === right.length &&
    left.every((line, index) => line.sku === right[index]?.sku && line.quantity === right[index]?.quantity)
  );
}

/** Whether a part is set aside at this moment. */
export function isOpen({ status }: Allocation): boolean {
  return status === "held" || status === "confirmed";
}

/** Whether a part is set aside, or was and has left. */
export function isPromised(part: Allocation): boolean {
  return isOpen(part) || part.status === "committed";
}

/** Whether a part is at a location; every part is, when none is given. */
export function isAt(part: Allocation, locationId: string | undefined): boolean {
  return locationId === undefined || part.locationId === locationId;
}

/** Whether a reservation's time ran out, and nothing of it is set aside any more. */
export function isExpired({ allocations }: Reservation): boolean {
  return allocations.some(({ status }) => status === "expired") && !allocations.some(isOpen);
}

/** Whether nothing was there of something, or too little, when it was decided what an order gets. */
export function isShort(reservation: Reservation): reservation is Reservation & { readonly missing: readonly Line[] } {
  return reservation.missing !== undefined;
}

/** Whether an order waits for stock. */
export function isWaiting(reservation: Reservation | undefined): reservation is Reservation & { readonly wait: Wait } {
  return reservation?.wait !== undefined && !reservation.wait.served;
}

/** Whether two parts are of the same level. */
export function isSameLevel(one: Part, other: Part): boolean {
  return one.sku === other.sku && one.locationId === other.locationId;
}

/** Sorts parts by SKU and location. */
export function byLevel(one: Part, other: Part): number {
  if (one.sku !== other.sku) return one.sku < other.sku ? -1 : 1;
  return one.locationId < other.locationId ? -1 : 1;
}
