import { Code } from "@connectrpc/connect";
import { type Order, PriceAdjustmentKind } from "#gen/shop/orders/v1/order_pb.js";
import { OrderReturnService } from "#gen/shop/orders/v1/order_return_service_pb.js";
import { OrderReviewService, type ReviewDecision } from "#gen/shop/orders/v1/order_review_service_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { Ordermesh } from "../../clients/typescript/src/ordermesh.ts";
import { refusalOf } from "../../clients/typescript/src/refusal.ts";
import type { Stack } from "../stack/stack.ts";
import { clientOptionsFor } from "./clients.ts";

/** What a price changes by, in minor units. */
export interface WishAdjustment {
  readonly kind: "SHIPPING" | "DISCOUNT" | "TAX";
  readonly amount: number;
  readonly included?: boolean;
}

/** One article of an order. */
export interface WishLine {
  readonly sku: string;
  readonly quantity: number;
  /** Minor units; 1,000 when left out. */
  readonly unitPrice?: number;
  readonly adjustments?: readonly WishAdjustment[];
}

/** What one order is like. */
export interface Wish {
  readonly requestId: string;
  readonly cardToken: string;
  /** See docs/simulators.md; one that the simulators deliver when left out. */
  readonly postalCode?: string;
  readonly lines: readonly WishLine[];
  /** EUR when left out. */
  readonly currency?: string;
  /** Of the order as a whole. */
  readonly adjustments?: readonly WishAdjustment[];
  /** Whether it waits when there is too little; otherwise it is refused, or gets what is there. */
  readonly waits?: boolean;
  /** Whether it gets what is there when there is too little; with `waits` the rest follows. */
  readonly inPart?: boolean;
}

/** Where everything goes. */
const shopperAddress = { recipient: "G. Hopper", lines: ["1 Compiler Road"], city: "Testing" };

/** Somebody is killed, frozen or cut off all the time: an attempt is short, and there are as many as it takes. Milliseconds. */
const attemptMs = 5_000;
const retry = {
  firstPauseMs: 200,
  longestPauseMs: 3_000,
  attempts: Number.POSITIVE_INFINITY,
  budget: Number.POSITIVE_INFINITY,
};

/** Minor units. */
const usualPrice = 1_000;

function policyOf({ waits, inPart }: Wish): ShortagePolicy {
  if (inPart) return waits ? ShortagePolicy.SHIP_AND_BACK_ORDER : ShortagePolicy.SHIP_AVAILABLE;
  return waits ? ShortagePolicy.BACK_ORDER : ShortagePolicy.UNSPECIFIED;
}

/** What a line costs, in minor units. */
export function costOf({ quantity, unitPrice = usualPrice, adjustments }: WishLine): number {
  return quantity * unitPrice + addedBy(adjustments);
}

function totalOf({ lines, adjustments }: Wish): number {
  return lines.reduce((sum, line) => sum + costOf(line), addedBy(adjustments));
}

function addedBy(adjustments: readonly WishAdjustment[] = []): number {
  return adjustments.reduce((sum, { amount, included }) => (included ? sum : sum + amount), 0);
}

/** A caller of a stack as another team would write it: with our client, and every call repeated until it is answered. */
export class Shopper implements Disposable {
  readonly #shop: Ordermesh;

  /** @param patienceMs how long a call is repeated while nobody answers, in milliseconds */
  constructor(stack: Stack, patienceMs = 90_000) {
    const timeout = { totalMs: patienceMs, attemptMs };
    this.#shop = new Ordermesh({ ...clientOptionsFor(stack), retry, timeouts: { read: timeout, change: timeout } });
  }

  get orders(): Ordermesh["orders"] {
    return this.#shop.orders;
  }

  /** Puts articles on a shelf. @param delivery names one of several of the same article at the same place */
  async stock(sku: string, locationId: string, quantity: number, delivery = ""): Promise<void> {
    const requestId = `stock:${sku}:${locationId}${delivery}`;
    const delta = BigInt(quantity);
    await this.#shop.inventory.adjustStock({ requestId, sku, locationId, delta, reason: "delivery" });
  }

  /** Whether anything of an article can be reserved that nobody waits for. */
  async has(sku: string): Promise<boolean> {
    return (await this.#shop.inventory.getStockLevel({ sku })).available > 0n;
  }

  async customer(name: string): Promise<string> {
    const request = { requestId: name, givenName: "Grace", familyName: name, email: `${name}@example.com` };
    const { customer } = await this.#shop.customers.createCustomer(request);
    return customer?.customerId ?? "";
  }

  /** What places such an order. */
  request(customerId: string, wish: Wish) {
    const { requestId, cardToken, lines, postalCode = "T1", currency = "EUR", adjustments = [] } = wish;
    const toMoney = (amount: number) => ({ currency, amount: BigInt(amount) });
    const toProto = ({ kind, amount, included = false }: WishAdjustment) => ({
      kind: PriceAdjustmentKind[kind],
      name: kind.toLowerCase(),
      amount: toMoney(amount),
      included,
    });
    return {
      requestId,
      customerId,
      cardToken,
      lines: lines.map(({ sku, quantity, unitPrice = usualPrice, adjustments: own = [] }) => ({
        sku,
        quantity,
        unitPrice: toMoney(unitPrice),
        adjustments: own.map(toProto),
      })),
      adjustments: adjustments.map(toProto),
      total: toMoney(totalOf(wish)),
      shortagePolicy: policyOf(wish),
      shippingAddress: { ...shopperAddress, postalCode, country: "GB" },
    };
  }

  /** Places an order and returns its id; however often it has to be repeated, it is one order. */
  async place(customerId: string, wish: Wish): Promise<string> {
    const { order } = await this.orders.createOrder(this.request(customerId, wish));
    return order?.orderId ?? "";
  }

  /** The order as it stands. */
  async get(orderId: string): Promise<Order> {
    const { order } = await this.orders.getOrder({ orderId });
    if (!order) throw new Error(`no order ${orderId}`);
    return order;
  }

  /** Asks for a cancellation; an order that is too far on refuses it, which is an answer. */
  async cancel(orderId: string): Promise<void> {
    const request = { orderId, requestId: `cancel:${orderId}`, reason: "changed my mind" };
    await this.orders.cancelOrder(request).catch((error: unknown) => {
      if (refusalOf(error).code !== Code.FailedPrecondition) throw error;
    });
  }

  /** Orders that wait for a person. */
  async underReview(signal: AbortSignal): Promise<string[]> {
    const { reviews } = await this.#reviews.listReviews({ pageSize: 200 }, { signal });
    return reviews.map(({ orderId }) => orderId);
  }

  /** Decides about one; false when there is nothing to decide any more: that is an answer. */
  async decideReview(orderId: string, decision: ReviewDecision): Promise<boolean> {
    const request = { requestId: `review:${orderId}`, orderId, decision, note: "by chance" };
    return this.#reviews.decideReview(request).then(
      () => true,
      (error: unknown) => {
        if (refusalOf(error).code !== Code.FailedPrecondition) throw error;
        return false;
      },
    );
  }

  /** What comes back. */
  get returns() {
    return this.#shop.client(OrderReturnService, "orders");
  }

  get #reviews() {
    return this.#shop.client(OrderReviewService, "orders");
  }

  [Symbol.dispose](): void {
    this.#shop.close();
  }
}
