/** What happens to an order, with what is to be known about it. It is written with what accepts it. */
export type OrderHappening =
  | { readonly kind: "placed"; readonly detail: Record<string, never> }
  | { readonly kind: "shipment"; readonly detail: ShipmentDetail }
  | { readonly kind: "cancellation"; readonly detail: { readonly reason: string } }
  | { readonly kind: "decision"; readonly detail: DecisionDetail }
  | { readonly kind: "retry"; readonly detail: Record<string, never> }
  | { readonly kind: "amendment"; readonly detail: { readonly number: number } };

/** What became of a shipment. */
export interface ShipmentDetail {
  readonly locationId: string;
  /** The name in ShipmentNews without its prefix. */
  readonly news: string;
  readonly trackingNumber: string;
  readonly reason: string;
  /** Which of the shipments from there it is; absent: the first. */
  readonly generation?: number;
}

/** What an operator decided about a parked step. */
export interface DecisionDetail {
  readonly step: string;
  readonly resolved: boolean;
  readonly requestId: string;
}

/** An event as an episode carries it, in the JSON of the order's row. */
export type CarriedEvent = OrderHappening & {
  readonly id: string;
  /** When it happened, as the database writes it. */
  readonly time: string;
};

/**
 * How soon an order is carried to which something happened: prompt when somebody waits for it, relaxed when nobody does,
 * or has waited already for longer than company takes to come.
 */
export const hastes = ["prompt", "relaxed"] as const;

export type Haste = (typeof hastes)[number];

/** The haste of each kind of event. The index `order_event_prompt_idx` names the prompt ones. */
export const hasteOf: Readonly<Record<OrderHappening["kind"], Haste>> = {
  placed: "prompt",
  cancellation: "prompt",
  decision: "prompt",
  shipment: "relaxed",
  retry: "relaxed",
  // Who waits for it waits for the warehouse as well; and the index of the prompt ones does not know it.
  amendment: "relaxed",
};

/** The most events of an order that one episode begins with: SagaService takes one more, which may come while it runs. */
export const maxEvents = 255;

/** Ids of events: what happens twice before an episode takes it is one event. */
export const eventIds = {
  cancellation: "cancellation",
  retry: "retry",
  /** There is stock for it: a kind of retry. */
  stock: "stock",
  shipment: ({ locationId, news, generation = 0 }: ShipmentDetail) =>
    `shipment:${locationId}${generation === 0 ? "" : `~${generation}`}:${news}`,
  decision: ({ step, requestId }: DecisionDetail) => `decision:${step}:${requestId}`,
} as const;
