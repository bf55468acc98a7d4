import { setTimeout as delay } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { type Order, OrderAmendmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { ReturnExchangeStatus, ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { followOrder } from "../../clients/typescript/src/follow-order.ts";
import { refusalOf } from "../../clients/typescript/src/refusal.ts";
import type { Shopper } from "../shop/shopper.ts";
import type { Afterthought } from "./afterthought.ts";
import type { Wanted } from "./wanted.ts";

/** What came of it: what was wanted, and whether it happened. */
export type Afterwards = `${Afterthought["kind"]}: ${Outcome}`;

/** Between two looks at an order that is waited for, in milliseconds. */
const lookEveryMs = 500;
/** For longer nobody waits for an order: it may wait for stock itself. What never ends is found in the end. Milliseconds. */
const waitMs = 60_000;

type Outcome = "done" | "refused" | "open";

/** Customers who change their minds: each call is repeated until it is answered, and what is refused is an answer. */
export class Afterthoughts {
  readonly #shopper: Shopper;

  constructor(shopper: Shopper) {
    this.#shopper = shopper;
  }

  /** Does what is wanted later of an order that was placed. @throws what no outage explains */
  async act(orderId: string, wanted: Wanted): Promise<Afterwards | undefined> {
    const { afterthought } = wanted;
    if (!afterthought) return undefined;
    if ("afterMs" in afterthought) await delay(afterthought.afterMs);
    try {
      return `${afterthought.kind}: ${await this.#do(orderId, wanted, afterthought)}`;
    } catch (error) {
      if (refusalOf(error).code === Code.FailedPrecondition) return `${afterthought.kind}: refused`;
      throw error;
    }
  }

  async #do(orderId: string, { wish }: Wanted, afterthought: Afterthought): Promise<Outcome> {
    const { orders } = this.#shopper;
    const requestId = `${afterthought.kind}:${orderId}`;
    switch (afterthought.kind) {
      case "more": {
        const { pieces, cardToken, returned } = afterthought;
        const more = wish.lines.map((line, index) =>
          index === 0 ? { ...line, quantity: line.quantity + pieces } : line,
        );
        const { lines, adjustments, total } = this.#shopper.request("", { ...wish, lines: more });
        await orders.amendOrder({ requestId, orderId, lines, adjustments, total, cardToken });
        const outcome = await this.#amended(orderId);
        return outcome === "done" && returned ? await this.#sendBack(orderId, true) : outcome;
      }
      case "fewer":
        await orders.cancelOrderLines({
          requestId,
          orderId,
          lines: [{ lineNumber: 1, quantity: 1 }],
          reason: "too many",
        });
        return await this.#amended(orderId);
      case "elsewhere": {
        const { shippingAddress } = this.#shopper.request("", wish);
        await orders.amendOrder({ requestId, orderId, shippingAddress: { ...shippingAddress, city: "Moved" } });
        return await this.#amended(orderId);
      }
      case "exchange":
        return await this.#exchange(orderId, afterthought);
      default:
        return await this.#sendBack(orderId, afterthought.restocked);
    }
  }

  /** Sends one piece back and wants others for it; who cancels them does that as soon as they are ordered. */
  async #exchange(orderId: string, wish: Extract<Afterthought, { kind: "exchange" }>): Promise<Outcome> {
    const outcome = await this.#sendBack(orderId, wish.restocked, wish);
    if (outcome !== "done" || !wish.cancelled) return outcome;
    const { returns, orders } = this.#shopper;
    const { orderReturns } = await returns.listReturns({ orderId });
    const [returnId = ""] = orderReturns.map((each) => each.returnId);
    const decided = await this.#until(async () => {
      const { orderReturn } = await returns.getReturn({ orderId, returnId });
      return orderReturn?.exchange?.status === ReturnExchangeStatus.WANTED ? undefined : orderReturn?.exchange;
    });
    if (!decided?.orderId) return decided ? "refused" : "open";
    await orders.cancelOrder({
      requestId: `cancel:${decided.orderId}`,
      orderId: decided.orderId,
      reason: "not that one",
    });
    return "done";
  }

  async #amended(orderId: string): Promise<Outcome> {
    const order = await this.#once(orderId, ({ amendment }) => amendment?.status !== OrderAmendmentStatus.PENDING);
    if (!order) return "open";
    return order.amendment?.status === OrderAmendmentStatus.ACCEPTED ? "done" : "refused";
  }

  async #sendBack(
    orderId: string,
    restocked: boolean,
    wanted?: Extract<Afterthought, { kind: "exchange" }>,
  ): Promise<Outcome> {
    const order = await this.#once(orderId, ({ status }) => status > OrderStatus.SHIPPED);
    if (!order) return "open";
    if (order.status !== OrderStatus.DELIVERED) return "refused";
    const { returns } = this.#shopper;
    const lines = [{ lineNumber: 1, quantity: 1 }];
    const key = (what: string) => `${what}:${orderId}`;
    const reason = ReturnReason.UNWANTED;
    const [first] = order.lines;
    const exchange = wanted &&
      first && {
        lines: [{ sku: first.sku, quantity: wanted.pieces, ...(first.unitPrice && { unitPrice: first.unitPrice }) }],
        cardToken: wanted.cardToken,
      };
    const requested = await returns.requestReturn({
      requestId: key("return"),
      orderId,
      lines,
      reason,
      ...(exchange && { exchange }),
    });
    const { returnId = "", status } = requested.orderReturn ?? {};
    if (status === ReturnStatus.REQUESTED)
      await returns.approveReturn({ requestId: key("approve"), orderId, returnId });
    const came = lines.map((line) => ({ ...line, ...(restocked && { restocked: 1, locationId: "north" }) }));
    await returns.receiveReturn({ requestId: key("receive"), orderId, returnId, lines: came });
    return "done";
  }

  /** The order, once it is so; undefined when that takes too long, or never comes. */
  async #once(orderId: string, isSo: (order: Order) => boolean): Promise<Order | undefined> {
    const signal = AbortSignal.timeout(waitMs);
    try {
      for await (const order of followOrder(this.#shopper.orders, orderId, signal)) if (isSo(order)) return order;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return undefined;
  }

  /** What is looked for, once it is there; undefined when that takes too long. */
  async #until<T>(look: () => Promise<T | undefined>): Promise<T | undefined> {
    const end = performance.now() + waitMs;
    for (;;) {
      const found = await look();
      if (found !== undefined || performance.now() > end) return found;
      await delay(lookEveryMs);
    }
  }
}
