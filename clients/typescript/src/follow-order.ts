import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code } from "@connectrpc/connect";
import { type Order, OrderStatus } from "./gen/shop/orders/v1/order_pb.js";
import type { OrderService } from "./gen/shop/orders/v1/order_service_pb.js";
import { refusalOf } from "./refusal.ts";
import { isBroken } from "./retry.ts";

/** Between a stream that broke and the next, in milliseconds: half of it by chance. */
const pauseMs = 1_000;

/** From these nothing leads on. */
const ends: readonly OrderStatus[] = [
  OrderStatus.DELIVERED,
  OrderStatus.REJECTED,
  OrderStatus.CANCELLED,
  OrderStatus.FAILED,
];
/** A service that is refused for these says so for good. */
const passing: readonly Code[] = [
  Code.Unavailable,
  Code.ResourceExhausted,
  Code.Aborted,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unknown,
];

/**
 * An order as it stands, then after each change, until it has ended. A stream that breaks is opened again: the order goes on
 * without us.
 *
 * @param signal ends the following with its reason
 */
export async function* followOrder(
  orders: Client<typeof OrderService>,
  orderId: string,
  signal?: AbortSignal,
): AsyncGenerator<Order, void, undefined> {
  let seen = 0;
  for (;;) {
    try {
      for await (const { order } of orders.watchOrder({ orderId }, signal && { signal })) {
        if (!order || order.revision <= seen) continue;
        seen = order.revision;
        yield order;
        if (ends.includes(order.status)) return;
      }
    } catch (error) {
      signal?.throwIfAborted();
      const { code, retryDelayMs = 0 } = refusalOf(error);
      if (!passing.includes(code) && !isBroken(error)) throw error;
      // biome-ignore lint/plugin/random: spreads pauses, and hides nothing
      await pause(retryDelayMs + pauseMs * (0.5 + Math.random() / 2), undefined, signal && { signal });
    }
  }
}
