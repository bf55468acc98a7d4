import type { Address, TrackingEvent } from "../shipment/shipment.ts";

/** What a carrier is asked to take. */
export interface BookingOrder {
  /** Chosen by us and the same for every repetition: one key is one parcel, however often it is sent. */
  readonly key: string;
  readonly orderId: string;
  /** Where the parcel is collected. */
  readonly locationId: string;
  readonly address: Address;
  readonly parcel: ParcelFacts;
  /** What has not been booked by then is not booked any more. */
  readonly expireTime: Date;
}

/** What a carrier has to know of a parcel besides where it goes. */
export interface ParcelFacts {
  readonly weightGrams: number;
  /** Millimetres, the longest first. */
  readonly sizeMm: readonly [length: number, width: number, height: number];
  /** How it is to be sent, in words of the carrier's connector. */
  readonly serviceLevel: string;
  /** Undefined: the carrier's connector knows who sends from the location. */
  readonly sender: Address | undefined;
}

/** What a carrier has under a key. Definite: what is not known is thrown. */
export type BookingState =
  /** The carrier has no such parcel. */
  | { readonly kind: "unknown" }
  /** @property carrier which one it is, for people */
  | { readonly kind: "booked"; readonly trackingNumber: string; readonly carrier: string }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "cancelled" };

/** What a carrier says to turning a parcel back. Definite: what is not known is thrown. */
export type TurnBackAnswer =
  /** It brings the parcel back. */
  { readonly kind: "agreed" } | { readonly kind: "refused"; readonly code: string; readonly message: string };

/** From where to where something is sent back. */
export interface LabelOrder {
  /** Chosen by us and the same for every repetition: one key is one label. */
  readonly key: string;
  readonly orderId: string;
  /** Whose address the customer's parcel had: it is collected, or handed in, there. */
  readonly address: Address;
  /** The stock location that it goes to. */
  readonly locationId: string;
}

/** What a carrier has under the key of a label. Definite: what is not known is thrown. */
export type LabelState =
  /** The carrier never saw the key. */
  | { readonly kind: "unknown" }
  /** The number under which the parcel will travel, and where the customer gets what he prints: a URL, or whatever the carrier has. */
  | { readonly kind: "made"; readonly trackingNumber: string; readonly label: string }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

/** The carrier was heard, and has not decided, or cannot say: it is asked again. */
export class CarrierUndecidedError extends Error {
  override readonly name = "CarrierUndecidedError";
}

/**
 * Moves parcels. Every call is keyed and may be repeated. A call that throws, times out or is aborted is ambiguous: it
 * may or may not have had its effect, and only {@link Carrier.find} tells.
 */
export interface Carrier {
  /** Books a parcel; a key that is known answers with what it has, whatever else the order says. What comes too late is thrown. */
  book(order: BookingOrder, signal: AbortSignal): Promise<BookingState>;
  /** What the carrier has under a key. */
  find(key: string, signal: AbortSignal): Promise<BookingState>;
  /**
   * Calls a parcel off. Answers `booked` when the parcel has been collected already, which cannot be taken back, and `unknown` when there is none: that is
   * not remembered, so that what was sent before, and has not expired, may be booked yet.
   */
  cancel(key: string, signal: AbortSignal): Promise<BookingState>;
  /**
   * Everything that the carrier has to tell of a parcel's way, in any order, under the ids that its reports have; empty while
   * nothing has happened to it. Undefined when it has no such parcel: it never saw the key, called it off, or has forgotten it.
   */
  track(key: string, signal: AbortSignal): Promise<readonly TrackingEvent[] | undefined>;
  /**
   * Asks for a parcel that was booked under the key to be brought back. May be asked again until it answers, and answers the same then.
   * Absent: this carrier cannot.
   */
  turnBack?(key: string, signal: AbortSignal): Promise<TurnBackAnswer>;
  /** Makes a label with which a customer sends something back; a key that is known answers with what it has. Absent: this carrier cannot. */
  makeLabel?(order: LabelOrder, signal: AbortSignal): Promise<LabelState>;
  /** What the carrier has under the key of a label. Absent where `makeLabel` is. */
  findLabel?(key: string, signal: AbortSignal): Promise<LabelState>;
}
