import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import { type Order, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { ServiceTokens } from "#platform/authorization/service-tokens.ts";
import { Clients } from "#platform/grpc/clients.ts";
import type { TlsFiles } from "#platform/tls/tls-files.ts";

/** An article and a place of its own, so that no real stock is sold. */
const shelf = { sku: "ordermesh-test-article", locationId: "ordermesh-test" };
const buyer = { givenName: "Mesh", familyName: "Test", email: "mesh-test@example.com", phone: "+442079460001" };
const ends: readonly OrderStatus[] = [
  OrderStatus.DELIVERED,
  OrderStatus.REJECTED,
  OrderStatus.CANCELLED,
  OrderStatus.FAILED,
];

/** What was to happen did not; the message is one sentence. */
export class ShopError extends Error {
  override readonly name = "ShopError";
}

/** Whether an order has come to its end. */
export function isOver({ status }: Pick<Order, "status">): boolean {
  return ends.includes(status);
}

/** Where the two services answer that a buyer needs. */
export interface ShopAddresses {
  readonly orders: string;
  readonly inventory: string;
}

/** What the buyer shows: a certificate, and tokens of its own. */
export interface ShopProofs {
  readonly tls?: TlsFiles | undefined;
  readonly tokens?: ServiceTokens | undefined;
}

/** The name under which `SERVICE_KEYS` knows the buyer. */
const buyerName = "test";

/** The buyer's tokens; none when `SERVICE_KEY`, its key, is not set. */
export async function buyerTokens(env: NodeJS.ProcessEnv = process.env): Promise<ServiceTokens | undefined> {
  if (!env.SERVICE_KEY) return undefined;
  const logger = { error: (message: string) => console.error(message) };
  return ServiceTokens.open(buyerName, { text: env.SERVICE_KEY }, logger);
}

/** Buys the test article, through the same client-side balancing that the services use among themselves. */
export class Shop implements Disposable {
  readonly orders: Client<typeof OrderService>;
  readonly #clients: Clients;
  readonly #customers: Client<typeof CustomerService>;
  readonly #inventory: Client<typeof InventoryService>;

  constructor({ orders, inventory }: ShopAddresses, { tls, tokens }: ShopProofs = {}) {
    this.#clients = new Clients({
      defaultTimeoutMs: 30_000,
      maxMessageBytes: 1024 * 1024,
      tls,
      ...(tokens && { authorization: () => tokens.authorization }),
    });
    this.orders = this.#clients.client(OrderService, orders);
    this.#customers = this.#clients.client(CustomerService, orders);
    this.#inventory = this.#clients.client(InventoryService, inventory);
  }

  /** Puts pieces on the shelf. */
  async stock(pieces: number, signal: AbortSignal): Promise<void> {
    const reason = "pieces for test orders";
    await this.#inventory.adjustStock({ ...shelf, requestId: randomUUID(), delta: BigInt(pieces), reason }, { signal });
  }

  /** The id of the customer who buys for tests. */
  async buyer(signal: AbortSignal): Promise<string> {
    const { customers: found } = await this.#customers.listCustomers({ email: buyer.email }, { signal });
    if (found[0]) return found[0].customerId;
    const { customer } = await this.#customers.createCustomer({ ...buyer, requestId: randomUUID() }, { signal });
    if (!customer) throw new ShopError("a customer was created without an id");
    return customer.customerId;
  }

  /** Buys one piece. The same request id twice is the same order. */
  async buy(customerId: string, requestId: string, signal: AbortSignal): Promise<Order> {
    const line = { sku: shelf.sku, quantity: 1, unitPrice: { currency: "EUR", amount: 100n } };
    const shippingAddress = {
      recipient: `${buyer.givenName} ${buyer.familyName}`,
      lines: ["1 Test Way"],
      city: "London",
      postalCode: "SW1Y 4JH",
      country: "GB",
    };
    const request = { requestId, customerId, lines: [line], shippingAddress, cardToken: "tok_approve" };
    const { order } = await this.orders.createOrder(request, { signal });
    if (!order) throw new ShopError("an order was accepted without an id");
    return order;
  }

  [Symbol.dispose](): void {
    this.#clients.close();
  }
}
