import type { NotificationKind } from "../notification/notification.ts";

/** What sentences are made of; texts are empty where there is nothing to say. */
export interface Told {
  readonly orderId: string;
  /** When it was ordered. */
  readonly day: string;
  /** What the order costs. */
  readonly total: string;
  /** What is, or was, paid back. */
  readonly amount: string;
  /** The carrier's number of the parcel. */
  readonly tracking: string;
  /** Whether the order is in one parcel. */
  readonly isOnlyParcel: boolean;
  /** Upper snake case. */
  readonly reason: string;
  /** Pieces that came back. */
  readonly pieces: number;
  /** Whether an order changed because articles of it were not there. */
  readonly isCut: boolean;
}

/** What one kind of notification says. */
export interface Said {
  readonly subject: string;
  /** Empty ones are left out. */
  readonly paragraphs: readonly string[];
  /** Which articles follow: those of the order, or of the parcel; none by default. */
  readonly lists?: "order" | "parcel";
}

/** All that is said in one language. */
export interface Words {
  /** @param name empty where nobody is to be named */
  readonly greeting: (name: string) => string;
  readonly closing: (shopName: string) => string;
  readonly letters: Readonly<Record<NotificationKind, (told: Told) => Said>>;
}
