/** What customers are told of, as it is stored. */
export const notificationKinds = [
  "order_confirmed",
  "order_delayed",
  "order_changed",
  "order_rejected",
  "order_cancelled",
  "parcel_shipped",
  "parcel_delivered",
  "parcel_lost",
  "payment_refunded",
  "return_received",
] as const;

export type NotificationKind = (typeof notificationKinds)[number];

/** Of these customers may say that they do not want to be told; of all others they are told in any case. */
export const mutableKinds: readonly NotificationKind[] = [
  "order_delayed",
  "parcel_shipped",
  "parcel_delivered",
  "return_received",
];

/** How customers are told. */
export const channels = ["mail"] as const;

export type Channel = (typeof channels)[number];

/** What an event says that is not to be had from the order later. Nothing of a person. */
export interface Facts {
  readonly currency?: string;
  /** Minor units, as text: JSON has no numbers so large. */
  readonly amount?: string;
  /** Upper snake case, as in the order's failure. */
  readonly reason?: string;
  /** Pieces that came back. */
  readonly pieces?: number;
  /** Of an order that changed: whether articles of it were not there. */
  readonly isCut?: boolean;
}

/** Something to be told, before it is written down. */
export interface Draft {
  readonly kind: NotificationKind;
  /** What of the order it is about: a shipment, a return, a location, the number of an amendment; empty for the order as a whole. A customer is told once of each. */
  readonly about: string;
  readonly facts: Facts;
}

export type NotificationStatus = "pending" | "sent" | "failed" | "skipped";

/** Something that a customer is told. Ids as text. */
export interface Notification extends Draft {
  readonly notificationId: string;
  readonly eventId: string;
  readonly channel: Channel;
  readonly orderId: string;
  readonly customerId: string;
  readonly status: NotificationStatus;
  /** Why it is not sent; see the contract. */
  readonly reason: string;
  readonly attempts: number;
  readonly nextTime: Date;
  readonly createTime: Date;
  /** Null while it is pending. */
  readonly endTime: Date | null;
}

/** How many events wait until it is decided who is told. */
export interface InboxBacklog {
  readonly open: number;
  /** Age of the oldest; 0 when there is none. */
  readonly ageSeconds: number;
}

/** How much is to be sent, and how much somebody has to look at. */
export interface OutboxBacklog {
  readonly pending: number;
  /** Age of the oldest that is pending; 0 when there is none. */
  readonly ageSeconds: number;
  readonly failed: number;
}

/** The languages that customers are told in. */
export const languages = ["en", "de"] as const;

export type Language = (typeof languages)[number];
