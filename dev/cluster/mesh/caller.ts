import type { ChildProcess } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { serviceFacts } from "../../../services/services.ts";
import { ClusterError } from "../errors.ts";
import { type Answer, execute, type Kubectl } from "../kubectl.ts";
import { callerKey, namespace, releaseName } from "./release.ts";

/** How long kubectl may take to open a way into the cluster. */
const openDeadlineMs = 20_000;
/** How often a call is made whose way was lost: a way may lead to a pod that is just leaving. */
const callAttempts = 5;
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

/** How a connection is made, and with which certificate: flags of grpcurl. */
export type Proof = readonly string[];

/** A person with kubectl and grpcurl in front of the cluster. */
export class Caller {
  readonly #kubectl: Kubectl;
  readonly #grpcurl: string;
  readonly #proof: Proof;

  constructor(kubectl: Kubectl, grpcurl: string, proof: Proof = ["-plaintext"]) {
    this.#kubectl = kubectl;
    this.#grpcurl = grpcurl;
    this.#proof = proof;
  }

  /** The same person over other connections. */
  as(proof: Proof): Caller {
    return new Caller(this.#kubectl, this.#grpcurl, proof);
  }

  #way(service: string, port: number): Way {
    return new Way(this.#kubectl, this.#grpcurl, { service, port, proof: this.#proof });
  }

  /** Asks orders once for an order, and returns how grpcurl ended. */
  async knock(): Promise<Answer> {
    await using orders = this.#way("orders", serviceFacts.orders.grpc);
    // Awaited here, else the way would be closed before it is opened.
    return await orders.once("shop.orders.v1.OrderService/ListOrders", { pageSize: 1 }, ["-connect-timeout", "5"]);
  }

  /** Makes a call that is for the worker alone, and returns how grpcurl ended. */
  async knockInside(): Promise<Answer> {
    await using orders = this.#way("orders", serviceFacts.orders.grpc);
    return await orders.once("shop.orders.v1.OrderEpisodeService/ListParkedOrders", {}, ["-connect-timeout", "5"]);
  }

  /** Buys one piece with grpcurl, and asks until the order has come to its end. @param through the Service of orders */
  async placeOrder(deadlineSeconds: number, through = "orders"): Promise<EndedOrder> {
    await using orders = this.#way(through, serviceFacts.orders.grpc);
    await using inventory = this.#way("inventory", serviceFacts.inventory.grpc);
    const stock = { requestId: randomUUID(), sku: "espresso-cup", locationId: "berlin", delta: 1, reason: "a test" };
    await inventory.call("shop.inventory.v1.InventoryService/AdjustStock", stock);
    const { customer } = await orders.call<{ customer: { customerId: string } }>(
      "shop.orders.v1.CustomerService/CreateCustomer",
      { requestId: randomUUID(), givenName: "Ada", familyName: "Lovelace", email: `${randomUUID()}@example.com` },
    );
    const start = performance.now();
    const traceId = randomBytes(16).toString("hex");
    const { order } = await orders.call<OrderAnswer>(
      "shop.orders.v1.OrderService/CreateOrder",
      newOrder(customer.customerId),
      // Sampled, as the last two digits say.
      ["-H", `traceparent: 00-${traceId}-${randomBytes(8).toString("hex")}-01`],
    );
    const end = Date.now() + deadlineSeconds * 1_000;
    for (;;) {
      const now = await orders.call<OrderAnswer>("shop.orders.v1.OrderService/GetOrder", { orderId: order.orderId });
      const { orderId, status } = now.order;
      const seconds = (performance.now() - start) / 1_000;
      if (finalStatuses.includes(status)) return { orderId, status, seconds, traceId };
      if (Date.now() > end) throw new ClusterError(`the order is ${status} after ${deadlineSeconds} s`);
      await pause(300);
    }
  }
}

/** Where a way leads, and what is shown there. */
interface Target {
  readonly service: string;
  readonly port: number;
  readonly proof: Proof;
}

/** A way to one pod of a service, as `kubectl port-forward` opens it: it ends with the pod, and another is opened then. */
class Way implements AsyncDisposable {
  readonly #kubectl: Kubectl;
  readonly #grpcurl: string;
  readonly #target: Target;
  #open: { readonly child: ChildProcess; readonly port: number } | undefined;

  constructor(kubectl: Kubectl, grpcurl: string, target: Target) {
    this.#kubectl = kubectl;
    this.#grpcurl = grpcurl;
    this.#target = target;
  }

  /** Calls one method with grpcurl, by reflection. A repeated call has the same request id, so it is the same call. */
  async call<T>(method: string, request: object, flags: readonly string[] = []): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const { code, stdout, stderr } = await this.once(method, request, flags);
      if (code === 0) return JSON.parse(stdout) as T;
      const lost = /Failed to dial|Unavailable/.test(stderr);
      if (!lost || attempt === callAttempts) throw new ClusterError(`grpcurl ${method} failed: ${stderr.trim()}`);
      await this[Symbol.asyncDispose]();
      await pause(1_000);
    }
  }

  /** Calls one method with grpcurl, however it ends. */
  async once(method: string, request: object, flags: readonly string[]): Promise<Answer> {
    this.#open ??= await this.#begin();
    const { service, proof } = this.#target;
    // The way begins on this machine, and the certificate is for the service.
    const name = ["-authority", `${releaseName}-${service}`];
    const to = [`127.0.0.1:${this.#open.port}`, method];
    const key = ["-H", `authorization: Bearer ${callerKey}`];
    const args = [...flags, ...proof, ...key, ...name, "-max-time", "15", "-d", JSON.stringify(request), ...to];
    return execute({ command: this.#grpcurl, args, timeoutMs: 20_000 });
  }

  async #begin(): Promise<{ child: ChildProcess; port: number }> {
    const { service, port: remote } = this.#target;
    const child = this.#kubectl.start([
      "-n",
      namespace,
      "port-forward",
      `service/${releaseName}-${service}`,
      `:${remote}`,
    ]);
    // It complains about every connection that a pod takes along when it ends.
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2_000);
    });
    const port = await Promise.race([localPort(child), pause(openDeadlineMs, undefined, { ref: false })]);
    // It says a line for each connection, and stands still when nobody takes them.
    child.stdout?.resume();
    if (port !== undefined) return { child, port };
    child.kill();
    throw new ClusterError(
      `kubectl opened no way to ${service} within ${openDeadlineMs / 1_000} s; it said: ${said.trim() || "nothing"}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open?.child.kill();
    this.#open = undefined;
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
