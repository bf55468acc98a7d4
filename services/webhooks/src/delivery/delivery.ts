/** What became of a delivery. */
export type DeliveryStatus = "pending" | "succeeded" | "failed";

/** A delivery as it is kept. */
export interface Delivery {
  readonly deliveryId: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly subject: string;
  readonly status: DeliveryStatus;
  readonly attempts: number;
  readonly outcome: string;
  readonly nextTime: Date;
  readonly eventTime: Date;
  readonly endTime: Date | null;
}

/** One that was taken, to be sent now. */
export interface Claimed {
  readonly deliveryId: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly subject: string;
  readonly place: bigint;
  /** How often it was taken, this time included: who settles it says that he took it last. */
  readonly attempts: number;
  /** How often since it was made, or replayed. */
  readonly tried: number;
  readonly beginTime: Date;
  readonly type: string;
  readonly data: string;
  readonly time: Date;
  readonly url: string;
  /** Sealed, with their keys. */
  readonly secrets: readonly string[];
}

/** What an attempt led to. */
export type Settled =
  | { readonly status: "succeeded" | "failed"; readonly outcome: string }
  | { readonly status: "pending"; readonly outcome: string; readonly pauseMs: number };

/** Which deliveries are made again. */
export interface Replay {
  readonly endpointId: string;
  readonly deliveryId: string | undefined;
  /** Of events that happened then or later. */
  readonly from: Date | undefined;
  readonly failedOnly: boolean;
}
