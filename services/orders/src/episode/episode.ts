import type { ShortagePolicy } from "../order/back-order-state.ts";
import type { Money, OrderLine, ShippingAddress } from "../order/order.ts";
import type { CarriedEvent } from "./order-event.ts";

/** A workflow that carries orders to which something happened in the same moment. */
export interface Episode {
  readonly episodeId: string;
  /** In the order of their ids; the start is repeated with exactly this. */
  readonly orders: readonly EpisodeOrder[];
}

/** An order as an episode is started with it. */
export interface EpisodeOrder {
  readonly orderId: string;
  /** Which of its episodes this is, counted from 1. */
  readonly fence: number;
  readonly customerId: string;
  readonly total: Money;
  /** By the database's clock, as all times here. */
  readonly createTime: Date;
  /** From when the checkout's patience is counted: since it was created, or released after a review. */
  readonly checkoutTime: Date;
  /** How old its checkout was when this was read, by the database's clock: those of replicas may differ. Milliseconds. */
  readonly ageMs: number;
  /** W3C trace context of the call that created it; empty when it is not traced. */
  readonly traceparent: string;
  /** What its saga remembers; empty when it begins. */
  readonly saga: string;
  /** The oldest first. */
  readonly events: readonly CarriedEvent[];
  /** Whether it was confirmed when the episode began: a workflow may be lost after that, without having settled. */
  readonly confirmed: boolean;
  /** Whether its screening found something. */
  readonly found: boolean;
  readonly shortagePolicy: ShortagePolicy;
  /** For how long it has waited for stock, in milliseconds; undefined: it does not. */
  readonly stockWaitMs: number | undefined;
  /** Undefined once its shipments are created, unless it was amended: then some are created anew. */
  readonly checkout: EpisodeCheckout | undefined;
  /** What of it has come back, and of which stock and money are not back. */
  readonly returns: readonly EpisodeReturn[];
  /** The amendment with which its saga is not through. */
  readonly amendment: EpisodeAmendment | undefined;
  /** The locations of parcels that were not with the customer when it was cancelled after others had left; undefined: it was not. */
  readonly recalled: readonly string[] | undefined;
  /** The returns of it for which the carrier is to make labels, and where they go back to. */
  readonly labels: readonly { readonly returnId: string; readonly locationId: string }[];
  /** The credits that pay it, in minor units; none where it is sent in exchange for nothing. */
  readonly credits: readonly bigint[];
}

/** Articles that have come back. */
export interface EpisodeReturn {
  readonly returnId: string;
  /** What goes back on the shelf. */
  readonly parts: readonly ReturnedPart[];
  /** What is to be paid back, in minor units of the order's currency. */
  readonly amount: bigint;
  /** Who granted it; empty where it follows from what came. */
  readonly grantedBy: string;
  /** Where the parcel left from that came back as a whole; empty when it is articles that did. */
  readonly parcelLocationId: string;
  /** The order that is to be sent for it, and what of the amount pays that; undefined: it is paid back. */
  readonly exchange: { readonly orderId: string; readonly credit: bigint } | undefined;
}

/** An article that goes back on the shelf. */
export interface ReturnedPart {
  readonly sku: string;
  readonly locationId: string;
  readonly quantity: number;
}

/** How an order is to be amended. */
export interface EpisodeAmendment {
  readonly number: number;
  /** Whether it has happened. */
  readonly accepted: boolean;
  /** Undefined: as before. */
  readonly lines: readonly EpisodeLine[] | undefined;
  readonly total: Money;
  /** Undefined: as before. */
  readonly shippingAddress: ShippingAddress | undefined;
  /** Empty when nothing is to be paid. */
  readonly cardToken: string;
}

/** One article of an order. */
export interface EpisodeLine extends OrderLine {
  /** What all of it costs with its part of the adjustments; undefined: what its pieces cost. */
  readonly amount: bigint | undefined;
}

/** An article as it was asked for. */
export interface AskedArticle {
  readonly sku: string;
  readonly quantity: number;
}

/** What a checkout needs besides. */
export interface EpisodeCheckout {
  readonly lines: readonly EpisodeLine[];
  /** What was asked for, of an order without what was missing; undefined: its lines. */
  readonly asked: readonly AskedArticle[] | undefined;
  readonly shippingAddress: ShippingAddress;
  /** Empty once the payment is decided. */
  readonly cardToken: string;
}
