import type { ChildProcess } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { ClusterError } from "../errors.ts";
import { execute, type Kubectl } from "../kubectl.ts";
import { namespace, releaseName } from "./release.ts";

/** How long kubectl may take to open a way into the cluster. */
const openDeadlineMs = 20_000;
const finalStatuses = ["DELIVERED", "REJECTED", "CANCELLED", "FAILED"].map((name) => `ORDER_STATUS_${name}`);

interface OrderAnswer {
  readonly order: { readonly orderId: string; readonly status: string };
}

/** An order that came to its end. */
export interface EndedOrder {
  readonly orderId: string;
  readonly status: string;
  readonly seconds: number;
  readonly traceId: string;
}

/** A person with kubectl and grpcurl in front of the cluster. */
export class Caller {
  readonly #kubectl: Kubectl;
  readonly #grpcurl: string;

  constructor(kubectl: Kubectl, grpcurl: string) {
    this.#kubectl = kubectl;
    this.#grpcurl = grpcurl;
  }

  /** Buys one piece with grpcurl, and asks until the order has come to its end. */
  async placeOrder(deadlineSeconds: number): Promise<EndedOrder> {
    await using orders = await this.#open("orders", 50051);
    await using inventory = await this.#open("inventory", 50053);
    const stock = { requestId: randomUUID(), sku: "espresso-cup", locationId: "berlin", delta: 1, reason: "a test" };
    await this.#call({ port: inventory.port, method: "shop.inventory.v1.InventoryService/AdjustStock" }, stock);
    const { customer } = await this.#call<{ customer: { customerId: string } }>(
      { port: orders.port, method: "shop.orders.v1.CustomerService/CreateCustomer" },
      { requestId: randomUUID(), givenName: "Ada", familyName: "Lovelace", email: `${randomUUID()}@example.com` },
    );
    const start = performance.now();
    const traceId = randomBytes(16).toString("hex");
    const { order } = await this.#call<OrderAnswer>(
      { port: orders.port, method: "shop.orders.v1.OrderService/CreateOrder" },
      newOrder(customer.customerId),
      // Sampled, as the last two digits say.
      ["-H", `traceparent: 00-${traceId}-${randomBytes(8).toString("hex")}-01`],
    );
    const end = Date.now() + deadlineSeconds * 1_000;
    for (;;) {
      const get = { port: orders.port, method: "shop.orders.v1.OrderService/GetOrder" };
      const now = await this.#call<OrderAnswer>(get, { orderId: order.orderId });
      const { orderId, status } = now.order;
      const seconds = (performance.now() - start) / 1_000;
      if (finalStatuses.includes(status)) return { orderId, status, seconds, traceId };
      if (Date.now() > end) throw new ClusterError(`the order is ${status} after ${deadlineSeconds} s`);
      await pause(300);
    }
  }

  /** Calls one method with grpcurl, by reflection. */
  async #call<T>(to: { port: number; method: string }, request: object, flags: readonly string[] = []): Promise<T> {
    const { port, method } = to;
    const args = [
      ...flags,
      "-plaintext",
      "-max-time",
      "15",
      "-d",
      JSON.stringify(request),
      `127.0.0.1:${port}`,
      method,
    ];
    const { code, stdout, stderr } = await execute({ command: this.#grpcurl, args, timeoutMs: 20_000 });
    if (code !== 0) throw new ClusterError(`grpcurl ${method} failed: ${stderr.trim()}`);
    return JSON.parse(stdout) as T;
  }

  /** A way to one pod of a service. */
  async #open(service: string, port: number): Promise<{ port: number } & AsyncDisposable> {
    const target = [`service/${releaseName}-${service}`, `:${port}`];
    const child = this.#kubectl.start(["-n", namespace, "port-forward", ...target]);
    const local = await Promise.race([localPort(child), pause(openDeadlineMs, undefined, { ref: false })]);
    if (local === undefined) {
      child.kill();
      throw new ClusterError(`kubectl opened no way to ${service} within ${openDeadlineMs / 1_000} s`);
    }
    return { port: local, [Symbol.asyncDispose]: async () => void child.kill() };
  }
}

async function localPort(child: ChildProcess): Promise<number | undefined> {
  if (!child.stdout) return undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const [, port] = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line) ?? [];
    if (port) return Number(port);
  }
  return undefined;
}

function newOrder(customerId: string): object {
  return {
    requestId: randomUUID(),
    customerId,
    lines: [{ sku: "espresso-cup", quantity: 1, unitPrice: { currency: "EUR", amount: 950 } }],
    shippingAddress: {
      recipient: "Ada Lovelace",
      lines: ["1 Analytical Way"],
      city: "London",
      postalCode: "SW1Y 4JH",
      country: "GB",
    },
    cardToken: "tok_approve",
  };
}
