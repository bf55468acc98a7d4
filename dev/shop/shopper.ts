import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import type { Stack } from "../stack/stack.ts";

/** What one order is like. */
export interface Wish {
  readonly requestId: string;
  readonly cardToken: string;
  /** See docs/simulators.md; one that the simulators deliver when left out. */
  readonly postalCode?: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

/** Where everything goes. */
const shopperAddress = { recipient: "G. Hopper", lines: ["1 Compiler Road"], city: "Testing" };

/** What a caller may repeat: nobody answered, or the answer was "not now". */
const passing = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.ResourceExhausted, Code.Canceled];

/** Between two attempts: doubles up to the second, so that many callers do not trample somebody who comes back. Milliseconds. */
const pauses = { first: 200, longest: 3_000 };

/** Repeats a call while it fails for a passing reason. Safe, because every mutation has a request id. */
export async function insist<T>(call: () => Promise<T>, timeoutMs = 90_000): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (let pauseMs = pauses.first; ; pauseMs = Math.min(2 * pauseMs, pauses.longest)) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ConnectError) || !passing.includes(error.code) || performance.now() > end) throw error;
      await delay(pauseMs * (0.5 + Math.random()));
    }
  }
}

/** A caller of a stack as another team would write it: ordinary clients, and every call repeated until it is answered. */
export class Shopper implements Disposable {
  readonly #clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 4 * 1024 * 1024 });
  readonly orders: Client<typeof OrderService>;
  readonly #customers: Client<typeof CustomerService>;
  readonly #inventory: Client<typeof InventoryService>;

  constructor(stack: Stack) {
    this.orders = this.#clients.client(OrderService, stack.address("orders"));
    this.#customers = this.#clients.client(CustomerService, stack.address("orders"));
    this.#inventory = this.#clients.client(InventoryService, stack.address("inventory"));
  }

  /** Puts articles on a shelf. */
  async stock(sku: string, locationId: string, quantity: number): Promise<void> {
    const requestId = `stock:${sku}:${locationId}`;
    const delta = BigInt(quantity);
    await insist(() => this.#inventory.adjustStock({ requestId, sku, locationId, delta, reason: "delivery" }));
  }

  async customer(name: string): Promise<string> {
    const request = { requestId: name, givenName: "Grace", familyName: name, email: `${name}@example.com` };
    const { customer } = await insist(() => this.#customers.createCustomer(request));
    return customer?.customerId ?? "";
  }

  /** What places such an order. */
  request(customerId: string, { requestId, cardToken, lines, postalCode = "T1" }: Wish) {
    const unitPrice = { currency: "EUR", amount: 1_000n };
    return {
      requestId,
      customerId,
      cardToken,
      lines: lines.map((line) => ({ ...line, unitPrice })),
      shippingAddress: { ...shopperAddress, postalCode, country: "GB" },
    };
  }

  /** Places an order and returns its id; however often it has to be repeated, it is one order. */
  async place(customerId: string, wish: Wish): Promise<string> {
    const { order } = await insist(() => this.orders.createOrder(this.request(customerId, wish)));
    return order?.orderId ?? "";
  }

  /** The order as it stands. */
  async get(orderId: string): Promise<Order> {
    const { order } = await insist(() => this.orders.getOrder({ orderId }));
    if (!order) throw new Error(`no order ${orderId}`);
    return order;
  }

  /** Asks for a cancellation; an order that is too far on refuses it, which is an answer. */
  async cancel(orderId: string): Promise<void> {
    const request = { orderId, requestId: `cancel:${orderId}`, reason: "changed my mind" };
    await insist(() => this.orders.cancelOrder(request)).catch((error: unknown) => {
      if (!(error instanceof ConnectError) || error.code !== Code.FailedPrecondition) throw error;
    });
  }

  [Symbol.dispose](): void {
    this.#clients.close();
  }
}
