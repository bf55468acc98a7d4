// What is known of a parcel, or of a label with which a customer sends something back.

/** What a key names: a key of one kind says nothing of the other. */
export type ParcelKind = "parcel" | "label";

/**
 * Where it stands. `begun`: EasyPost has sold no label; `sent`: it was asked for one, and may have sold it; `void_sent`: it was asked to take the label back, and may
 * have heard it; `void_asked`: it has heard it, and its carrier decides later.
 */
export type ParcelState = "begun" | "sent" | "booked" | "void_sent" | "void_asked" | "cancelled" | "refused";

/** Names one. */
export interface ParcelName {
  readonly kind: ParcelKind;
  readonly key: string;
}

/** What is remembered of one. */
export interface Parcel extends ParcelName {
  readonly state: ParcelState;
  /** What EasyPost calls it; empty until it is known there. It has one at most, ever: of one shipment EasyPost sells one label. */
  readonly shipmentId: string;
  readonly trackingNumber: string;
  readonly carrier: string;
  /** Where the label is; empty of a parcel. */
  readonly label: string;
  /** Why it is refused. */
  readonly code: string;
  /** How often EasyPost was asked to take its label back. */
  readonly voids: number;
}

/** What is answered; of a label `booked` says that it is made. */
export type Outcome =
  | { readonly state: "booked"; readonly trackingNumber: string; readonly carrier: string; readonly label: string }
  | { readonly state: "refused"; readonly code: string }
  | { readonly state: "cancelled" | "unknown" | "undecided" };

/** What came of it in the end; undefined while something may come of it yet. */
export function outcomeOf({ state, trackingNumber, carrier, label, code }: Parcel): Outcome | undefined {
  switch (state) {
    case "booked":
      return { state, trackingNumber, carrier, label };
    case "refused":
      return { state, code };
    case "cancelled":
      return { state };
    default:
      return undefined;
  }
}
