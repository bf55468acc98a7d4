import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { ParcelFate } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import type { TrackingOutcome } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { FailureSchema } from "#gen/shop/type/v1/failure_pb.js";
import type { Allocation } from "../../src/workflows/order/order-types.ts";
import type { CameBack } from "../../src/workflows/order-state.ts";
import { type Behaviour, type Call, type Rule, wholeFailure } from "./rules.ts";

/** What the fake services know about one order. */
export interface OrderFacts {
  status: string;
  history: string[];
  /** What each parcel costs of an order that is confirmed, by location. */
  confirmedAs: Record<string, bigint>;
  failure: string;
  /** Stock by location: "held", "firm", "committed", "released". */
  stock: Map<string, string>;
  /** What is set aside where. */
  parts: Allocation[];
  released: boolean;
  authorized: bigint;
  captured: bigint;
  voided: bigint;
  refunded: bigint;
  paymentVoided: boolean;
  /** Shipments by location; one that came in the place of another one by location and generation: "BER~1". */
  shipments: Map<string, string>;
  calledOff: Set<string>;
  /** What amendments of the reservation take and give, by their numbers, until they are ended. */
  amendments: Map<number, { taken: Allocation[]; given: Allocation[]; isOver: boolean }>;
}

/** The money of one payment: an order that was amended may have several. */
export interface PaymentFacts {
  readonly orderId: string;
  authorized: bigint;
  captured: bigint;
  voided: bigint;
  refunded: bigint;
  /** What of the captured pays other orders. */
  credited: bigint;
  /** The payment that it is a credit of; empty: a card pays. */
  sourceId: string;
  /** What its authorization is answered with, also when that is repeated. */
  readonly shown: { status: PaymentStatus; holds: number; amount: { currency: string; amount: bigint } };
}

/** What an order is decided to become, or why not. */
export interface AmendmentDecision {
  readonly orderId: string;
  readonly number: number;
  /** Empty: it is accepted. */
  readonly refusal: string;
}

/** What becomes of an exchange. */
export interface ExchangeDecision {
  readonly orderId: string;
  readonly returnId: string;
  readonly credits: readonly bigint[];
  /** Empty: all of it is credited. */
  readonly failure: string;
}

/** What shipping tells of a parcel. */
export interface ToldNews {
  readonly news: string;
  readonly trackingNumber?: string;
  readonly generation?: number;
}

/** A page of parcels that the carrier was asked about. */
export interface TrackedParcels {
  readonly shipments: { readonly outcome: TrackingOutcome }[];
  readonly nextPageToken: string;
}

/** The outcome of an entry whose effect took place, or that was refused; a passing one is judged anew when it is repeated. */
export type Judged<R> = { response: R; passing?: true } | { refuse: string; metadata?: Record<string, string> };

/** What an entry of a batch call is, for {@link World.batch}. */
export interface EntryHandler<Q, R extends object> {
  step: string;
  of(request: Q): { orderId: string; locationId?: string };
  /** Identifies the effect; the same id has it once. */
  id(request: Q): string;
  /** A repetition has no id of its own there: it is judged by how the order stands by then. */
  byState?: boolean;
  apply(request: Q): Judged<R>;
  /** The answer while the outside world has not decided. */
  undecided?(request: Q): NoInfer<R>;
}

const next: Record<string, string[]> = {
  PENDING: ["CONFIRMED", "REJECTED", "CANCELLED"],
  CONFIRMED: ["PREPARING", "CANCELLED", "FAILED"],
  PREPARING: ["SHIPPED", "FAILED", "CANCELLED"],
  SHIPPED: ["DELIVERED", "CANCELLED", "FAILED"],
};

/** The other services, in memory: they keep the contract's promises, and misbehave as the rules say. */
export class World {
  readonly rules: Rule[] = [];
  /** Every effect in order, for example "reserve", "ship:BER", "CONFIRMED". */
  readonly effects: { orderId: string; effect: string; id: string }[] = [];
  /** Sizes of the batches that came, by step. */
  readonly batches: { step: string; size: number }[] = [];
  /** The trace contexts that came with the batch calls. */
  readonly traceparents: { method: string; traceparents: string[] }[] = [];
  /** Told before and after every batch call took effect. */
  onCall: (step: string, when: "before" | "after") => Promise<void> | void = () => {};
  /** Where the stock of an order lies; everything in BER unless said otherwise. */
  allocate: (orderId: string, lines: { sku: string; quantity: number }[]) => Allocation[] = (_, lines) =>
    lines.map((line) => ({ ...line, locationId: "BER" }));
  /** Orders that are screened, and what is found about them. */
  readonly screens = new Map<string, "pass" | "review" | "refuse">();
  /** Orders that wait in turn when there is too little. */
  readonly backOrders = new Set<string>();
  /** Orders for which there is too little. */
  readonly short = new Set<string>();
  /** Orders that get what is there, and what of them is not. */
  readonly missing = new Map<string, { sku: string; quantity: number }[]>();
  /** Orders of which what is missing follows in an order of its own, and how often that was made. */
  readonly rests = new Map<string, number>();
  /** Orders for which stock was asked for by other words under the same request id. */
  readonly reworded: string[] = [];
  /** Takes out of an order what is missing of it. */
  cut: (orderId: string, missing: readonly { sku: string; quantity: number }[]) => Judged<object> = () => ({
    refuse: "SHORTAGE_DECIDED",
  });
  /** What confirming an order makes firm, when it is something else than was reserved. */
  readonly confirms = new Map<string, Allocation[]>();
  /** Whether the carrier loses a parcel. */
  loses: (orderId: string, locationId: string) => boolean = () => false;
  /** What shipping tells of a parcel that is packed as soon as there is a shipment; undefined: nothing yet. */
  packs: (orderId: string, locationId: string) => string | undefined = () => "PACKED";
  /** What the carrier says to turning a parcel back, when it is asked. */
  turnsBack: (orderId: string, locationId: string) => "ASKED" | "AGREED" | "REFUSED" = () => "ASKED";
  /** Decides what follows from a parcel that does not simply arrive. */
  resolve: (parcel: { orderId: string; locationId: string; fate: ParcelFate }) => Judged<object> = () => ({
    refuse: "ORDER_NOT_FOUND",
  });
  /** What shipping tells of a parcel once the carrier has it; undefined: nothing yet. */
  arrives: (orderId: string, locationId: string) => string | undefined = () => "DELIVERED";
  /** What comes of asking the carrier about a page of silent parcels; there are none. */
  track: (pageToken: string) => TrackedParcels | Promise<TrackedParcels> = () => ({ shipments: [], nextPageToken: "" });
  /** What comes of giving back what is held beyond its time; nothing is. */
  expire: () => { orders: number; more: boolean } | Promise<{ orders: number; more: boolean }> = () => ({
    orders: 0,
    more: false,
  });
  /** What comes of counting orders; nothing has happened to any. */
  counts: () => { events: bigint; more: boolean } = () => ({ events: 0n, more: false });
  /** What came back of orders and orders does not know to be back. */
  readonly cameBack = new Map<string, Map<string, CameBack>>();
  /** Orders whose refunds need a second person, and what that says. */
  readonly approvals = new Map<string, "waiting" | "approved">();
  /** Who granted refunds, as payments was told. */
  readonly grantedBy = new Map<string, string>();
  /** Where the pieces come from that an order gets besides. */
  amends: (orderId: string, line: { sku: string; quantity: number }) => Allocation[] = (_, line) => [
    { ...line, locationId: "BER" },
  ];
  /** Decides what becomes of an amendment. */
  decide: (decision: AmendmentDecision) => Judged<object> = () => ({ refuse: "AMENDMENT_DECIDED" });
  /** Decides what becomes of an exchange. */
  exchange: (decision: ExchangeDecision) => Judged<object> = () => ({ refuse: "RETURN_NOT_FOUND" });
  /** Whether the gateway captures an authorization once. */
  capturesOnce = false;
  /** The payments that were asked for. */
  readonly payments = new Map<string, PaymentFacts>();
  /** Takes what shipping tells. */
  tell: (orderId: string, locationId: string, news: ToldNews) => void = () => {};
  /** Whose shipments there are, by their ids: whoever asks. */
  readonly byShipment = new Map<string, { orderId: string; locationId: string }>();
  /** The steps that were refused because a later episode has asked since. */
  readonly refusedAsOver: string[] = [];
  /** The highest fence that each service has seen of each order. */
  readonly fences = new Map<string, number>();
  readonly #orders = new Map<string, OrderFacts>();
  readonly #answers = new Map<string, unknown>();
  readonly #asked = new Map<string, number>();

  order(orderId: string): OrderFacts {
    const known = this.#orders.get(orderId);
    if (known) return known;
    const fresh: OrderFacts = {
      status: "PENDING",
      history: [],
      confirmedAs: {},
      failure: "",
      stock: new Map(),
      parts: [],
      released: false,
      authorized: 0n,
      captured: 0n,
      voided: 0n,
      refunded: 0n,
      paymentVoided: false,
      shipments: new Map(),
      calledOff: new Set(),
      amendments: new Map(),
    };
    this.#orders.set(orderId, fresh);
    return fresh;
  }

  /** A payment; one that nobody asked for belongs to nobody. */
  payment(paymentId: string, orderId = paymentId): PaymentFacts {
    const known = this.payments.get(paymentId);
    if (known) return known;
    const fresh = {
      orderId,
      authorized: 0n,
      captured: 0n,
      voided: 0n,
      refunded: 0n,
      credited: 0n,
      sourceId: "",
      shown: { status: PaymentStatus.PENDING, holds: 0, amount: { currency: "EUR", amount: 0n } },
    };
    this.payments.set(paymentId, fresh);
    return fresh;
  }

  /** The effects of one order, in the order in which they took place. */
  trace(orderId: string): string[] {
    return this.effects.filter((entry) => entry.orderId === orderId).map(({ effect }) => effect);
  }

  /** Notes that an effect took place. */
  took(orderId: string, effect: string, id: string): void {
    this.effects.push({ orderId, effect, id });
  }

  /** Moves an order, as the table of the orders service allows. */
  move(orderId: string, status: string, failure: string): Judged<object> {
    const order = this.order(orderId);
    if (order.status === status) return { response: {} };
    if (!next[order.status]?.includes(status)) {
      return { refuse: "ILLEGAL_TRANSITION", metadata: { order_id: orderId, from: order.status, to: status } };
    }
    order.status = status;
    order.failure = failure;
    order.history.push(status);
    this.took(orderId, status, `${orderId}:${status}`);
    return { response: {} };
  }

  /** Answers a batch call: all entries or, when the call fails as a whole, none. */
  async batch<Q, R extends object>(
    requests: Q[],
    handler: EntryHandler<NoInfer<Q>, R>,
  ): Promise<{ outcomes: ReturnType<typeof answer<NoInfer<R>> | typeof refusal>[] }> {
    const calls = requests.map((request) => this.#callOf(request, handler));
    const behaviours = calls.map((call) => this.#behaviourOf(call));
    this.batches.push({ step: handler.step, size: requests.length });
    await this.onCall(handler.step, "before");
    const failure = wholeFailure(behaviours);
    if (failure && !behaviours.some(({ kind }) => kind === "lost")) throw failure;
    const outcomes = requests.map((request, index) => this.#judge(request, handler, behaviours[index]));
    await this.onCall(handler.step, "after");
    if (failure) throw failure;
    return { outcomes };
  }

  #callOf<Q, R extends object>(request: Q, { step, of, id }: EntryHandler<Q, R>): Call {
    const { orderId, locationId = "" } = of(request);
    const key = `${step}:${orderId}:${locationId}`;
    const repetition = this.#asked.get(key) ?? 0;
    this.#asked.set(key, repetition + 1);
    return { step, orderId, locationId, id: id(request), repetition };
  }

  #behaviourOf(call: Call): Behaviour {
    for (const rule of this.rules) {
      const behaviour = rule(call);
      if (behaviour) return behaviour;
    }
    return { kind: "answer" };
  }

  /** Whether a later episode has asked the same service about the order; remembers this one. */
  #isOver(request: unknown, orderId: string): boolean {
    const { $typeName = "", fence = 0 } = request as Said;
    const key = `${$typeName.split(".")[1]}/${orderId}`;
    const highest = this.fences.get(key) ?? 0;
    if (fence > highest) this.fences.set(key, fence);
    return fence > 0 && fence < highest;
  }

  #judge<Q, R extends object>(request: Q, handler: EntryHandler<Q, R>, behaviour: Behaviour | undefined) {
    if (behaviour?.kind === "refuse") return refusal(behaviour.reason, behaviour.metadata);
    if (behaviour?.kind === "pending") return answer(handler.undecided?.(request) ?? ({} as R));
    if (this.#isOver(request, handler.of(request).orderId)) {
      this.refusedAsOver.push(handler.step);
      return refusal("EPISODE_OVER");
    }
    const id = `${handler.step}:${handler.id(request)}`;
    const known = this.#answers.get(id);
    if (known !== undefined && !handler.byState) return answer(known as R);
    const judged = handler.apply(request);
    if ("refuse" in judged) return refusal(judged.refuse, judged.metadata);
    if (!judged.passing) this.#answers.set(id, judged.response);
    return answer(judged.response);
  }
}

/** What a request says of itself: its message's name, and the fence, if it has one. */
interface Said {
  readonly $typeName?: string;
  readonly fence?: number;
}

function answer<R>(value: R) {
  return { outcome: { case: "response" as const, value } };
}

function refusal(reason: string, metadata: Record<string, string> = {}) {
  const value = create(FailureSchema, {
    code: Code.FailedPrecondition,
    domain: "test.shop",
    reason,
    metadata,
    message: `refused with ${reason}`,
  });
  return { outcome: { case: "failure" as const, value } };
}
