import { setTimeout as delay } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { type Order, OrderAmendmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { refusalOf } from "../../clients/typescript/src/refusal.ts";
import type { Shopper } from "../shop/shopper.ts";
import type { Afterthought } from "./afterthought.ts";
import type { Wanted } from "./wanted.ts";

/** What came of it: what was wanted, and whether it happened. */
export type Afterwards = `${Afterthought["kind"]}: ${"done" | "refused"}`;

/** Between two looks at an order that is waited for, in milliseconds. */
const lookEveryMs = 500;
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
    if (afterthought.kind !== "back") await delay(afterthought.afterMs);
    try {
      const happened = await this.#do(orderId, wanted, afterthought);
      return `${afterthought.kind}: ${happened ? "done" : "refused"}`;
    } catch (error) {
      if (refusalOf(error).code === Code.FailedPrecondition) return `${afterthought.kind}: refused`;
      throw error;
    }
  }

  async #do(orderId: string, { wish }: Wanted, afterthought: Afterthought): Promise<boolean> {
    const { orders } = this.#shopper;
    const requestId = `${afterthought.kind}:${orderId}`;
    switch (afterthought.kind) {
      case "more": {
        const [first, ...others] = wish.lines;
        if (!first) return false;
        const more = { ...first, quantity: first.quantity + afterthought.pieces };
        const { lines, adjustments, total } = this.#shopper.request("", { ...wish, lines: [more, ...others] });
        const { cardToken } = afterthought;
        await orders.amendOrder({ requestId, orderId, lines, adjustments, total, cardToken });
        return await this.#isAmended(orderId);
      }
      case "fewer":
        await orders.cancelOrderLines({
          requestId,
          orderId,
          lines: [{ lineNumber: 1, quantity: 1 }],
          reason: "too many",
        });
        return await this.#isAmended(orderId);
      case "elsewhere": {
        const { shippingAddress } = this.#shopper.request("", wish);
        await orders.amendOrder({ requestId, orderId, shippingAddress: { ...shippingAddress, city: "Moved" } });
        return await this.#isAmended(orderId);
      }
      default:
        return await this.#sendBack(orderId, afterthought.restocked);
    }
  }

  async #isAmended(orderId: string): Promise<boolean> {
    const pending = ({ amendment }: Order) => amendment?.status === OrderAmendmentStatus.PENDING;
    const order = await this.#once(orderId, (now) => !pending(now));
    return order.amendment?.status === OrderAmendmentStatus.ACCEPTED;
  }

  async #sendBack(orderId: string, restocked: boolean): Promise<boolean> {
    const order = await this.#once(orderId, ({ status }) => status > OrderStatus.SHIPPED);
    if (order.status !== OrderStatus.DELIVERED) return false;
    const { returns } = this.#shopper;
    const lines = [{ lineNumber: 1, quantity: 1 }];
    const key = (what: string) => `${what}:${orderId}`;
    const requested = await returns.requestReturn({ requestId: key("return"), orderId, lines, reason: 1 });
    const { returnId = "", status } = requested.orderReturn ?? {};
    if (status === ReturnStatus.REQUESTED)
      await returns.approveReturn({ requestId: key("approve"), orderId, returnId });
    const came = lines.map((line) => ({ ...line, ...(restocked && { restocked: 1, locationId: "north" }) }));
    await returns.receiveReturn({ requestId: key("receive"), orderId, returnId, lines: came });
    return true;
  }

  async #once(orderId: string, isSo: (order: Order) => boolean): Promise<Order> {
    for (;;) {
      const order = await this.#shopper.get(orderId);
      if (isSo(order)) return order;
      await delay(lookEveryMs);
    }
  }
}
