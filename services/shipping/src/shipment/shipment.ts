/**
 * Where a shipment may go next. The ways between `delivered`, `lost` and `returned` are open only until somebody is told, see
 * `applyEvents`: reports of the carrier come in any order, and a later one corrects an earlier one.
 */
export const transitions = {
  preparing: ["ready", "failed", "cancelled"],
  ready: ["booking", "cancelled"],
  booking: ["shipped", "failed", "cancelled"],
  shipped: ["delivered", "lost", "returned"],
  delivered: ["lost", "returned"],
  failed: [],
  lost: ["delivered", "returned"],
  returned: ["delivered", "lost"],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;

/** Where a shipment stands. */
export type ShipmentStatus = keyof typeof transitions;

/** Every status. */
export const shipmentStatuses: readonly ShipmentStatus[] = Object.keys(transitions) as ShipmentStatus[];

/** The statuses from which a shipment may go to `to`. */
export function sourcesOf(to: ShipmentStatus): ShipmentStatus[] {
  return shipmentStatuses.filter((from) => nextOf(from).includes(to));
}

function nextOf(status: ShipmentStatus): readonly ShipmentStatus[] {
  return transitions[status];
}

/** One article of a shipment; quantity 1 to 1,000,000. */
export interface ShipmentLine {
  readonly sku: string;
  readonly quantity: number;
}

/** Where a shipment goes. Personal data: never logged. */
export interface Address {
  readonly recipient: string;
  readonly lines: readonly string[];
  readonly city: string;
  readonly postalCode: string;
  readonly country: string;
}

/** An address as it lies: plain, or sealed, with its key behind it. Opened by `addressOf` where somebody has to know it. */
export type StoredAddress = Address | string;

/** Everything that a carrier reports. */
export const trackingKinds = ["picked_up", "in_transit", "out_for_delivery", "delivered", "lost", "returned"] as const;

/** What a carrier reports. */
export type TrackingKind = (typeof trackingKinds)[number];

/** One report of the carrier. */
export interface TrackingEvent {
  /** The carrier's; the same for a report that comes again. */
  readonly eventId: string;
  readonly kind: TrackingKind;
  readonly eventTime: Date;
  readonly place: string;
}

/** Everything that orders is told of a shipment. */
export const newsKinds = [
  "packed",
  "packing_failed",
  "booked",
  "booking_refused",
  "delivered",
  "lost",
  "returned",
  "cancelled",
  "turning_back",
  "turn_back_refused",
] as const;

/** What orders is told of a shipment. */
export type News = (typeof newsKinds)[number];

/** Why a shipment failed. */
export interface ShipmentFailure {
  readonly by: "warehouse" | "carrier";
  /** Theirs, for programs. */
  readonly code: string;
  /** For people. */
  readonly reason: string;
}

/** What of an order leaves from one location. */
export interface Shipment {
  readonly shipmentId: string;
  readonly orderId: string;
  readonly locationId: string;
  /** Which of the shipments that were made for the order at that location one after the other; 0: the first. */
  readonly generation: number;
  readonly status: ShipmentStatus;
  readonly lines: readonly ShipmentLine[];
  /** Undefined for the mark that a cancellation leaves when it comes before the shipment. */
  readonly address: StoredAddress | undefined;
  /** Which workflow of the kind before episodes to tell how it ended; empty: none. */
  readonly sagaId: string;
  readonly carrier: string;
  readonly trackingNumber: string;
  readonly failure: ShipmentFailure | undefined;
  /** Somebody wants it called off, but whether the carrier has it is not known yet. */
  readonly cancelRequested: boolean;
  /** The highest fence of those who have asked about it; 0: none had one. */
  readonly fence: number;
  /** Orders is told what becomes of it. */
  readonly reported: boolean;
  /** Whoever had it booked or called off was answered before the carrier had decided, and waits for news. */
  readonly awaited: boolean;
  /** How often the carrier has been asked about it. */
  readonly attempts: number;
  /** Whether the telling how it ended has begun: what was told is not changed any more. */
  readonly told: boolean;
  /** By the time they happened. */
  readonly events: readonly TrackingEvent[];
  /** The trace of the last request about it: what is done for it later goes on there. */
  readonly trace: { readonly traceparent: string; readonly time: Date };
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Whether it is only the mark of a cancellation that came before the shipment. */
export function isTombstone(shipment: Shipment): boolean {
  return shipment.address === undefined;
}

/** The shipment in another status. @throws Error when the table has no such way, which is a fault of the program */
export function moveTo(shipment: Shipment, status: ShipmentStatus, facts: Partial<Shipment> = {}): Shipment {
  if (!nextOf(shipment.status).includes(status)) {
    throw new Error(`shipment ${shipment.shipmentId} cannot go from ${shipment.status} to ${status}`);
  }
  return { ...shipment, ...facts, status };
}

/** What names a shipment for its order. */
export type ShipmentName = Pick<Shipment, "orderId" | "locationId" | "generation">;

/**
 * The same for the same shipment, also for one that has no id yet: an order has one for each location, and after that has been called off,
 * it may have another one.
 */
export function shipmentKey({ orderId, locationId, generation }: ShipmentName): string {
  return generation === 0 ? `${orderId}/${locationId}` : `${orderId}/${locationId}~${generation}`;
}

/** The events by the time they happened; at the same instant, by id. */
export function inOrder(events: readonly TrackingEvent[]): TrackingEvent[] {
  return events.toSorted((a, b) => a.eventTime.getTime() - b.eventTime.getTime() || (a.eventId < b.eventId ? -1 : 1));
}
