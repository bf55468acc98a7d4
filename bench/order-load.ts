// The load of the benches that place orders: callers who each wait until their order is confirmed.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { type OrderService, WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import type { Clients } from "#platform/grpc/clients.ts";

const customerCount = 64;
/** Parcels are not packed while it is measured: what comes after the confirmation is the same on all sides. */
export const packingMs = 3_600_000;
const skus = ["espresso-beans-1kg", "espresso-cup", "milk-pitcher"];

/** Where services answer: `host:port` for gRPC. */
export interface Addresses {
  address(service: "orders" | "inventory"): string;
}

/** Counts what the callers see while it is measured. */
export class Tally {
  readonly latencies: number[] = [];
  others = 0;
  /** Orders that got an answer, counted or not. */
  all = 0;
  counting = false;

  note(status: OrderStatus | undefined, ms: number): void {
    this.all += 1;
    if (!this.counting) return;
    if (status === OrderStatus.PENDING || status === undefined || status === OrderStatus.REJECTED) this.others += 1;
    else this.latencies.push(ms);
  }
}

/** Stock for everybody, and customers; returns their ids. */
export async function prepare(stack: Addresses, clients: Clients): Promise<string[]> {
  const inventory = clients.client(InventoryService, stack.address("inventory"));
  for (const sku of skus) {
    await inventory.adjustStock({
      requestId: randomUUID(),
      sku,
      locationId: "berlin",
      delta: 900_000_000n,
      reason: "bench",
    });
  }
  const customers = clients.client(CustomerService, stack.address("orders"));
  const ids: string[] = [];
  // One by one: a bench may let only a few calls work at the same time.
  for (let index = 0; index < customerCount; index += 1) {
    const { customer } = await customers.createCustomer({
      requestId: randomUUID(),
      givenName: "Bench",
      familyName: String(index),
      email: `bench${index}@example.com`,
      phone: "+4930123456",
    });
    ids.push(customer?.customerId ?? "");
  }
  return ids;
}

/** An order of two articles, whose caller waits until it is confirmed; the so-and-so-many-th customer has a card and an address of their own. */
export function orderRequest(customerId: string, number: number, cardToken = `tok_card_${number % customerCount}`) {
  const unitPrice = { currency: "EUR", amount: 990n };
  return {
    requestId: randomUUID(),
    customerId,
    lines: [0, 1].map((line) => ({ sku: skus[(number + line) % skus.length] ?? "", quantity: 1, unitPrice })),
    cardToken,
    waitFor: WaitFor.CONFIRMED,
    shippingAddress: {
      recipient: "Bench",
      lines: [`Street ${1 + (number % customerCount)}`],
      city: "Berlin",
      postalCode: "10115",
      country: "DE",
    },
  };
}

/** How a caller calls. */
export interface CallerOptions {
  readonly tally: Tally;
  readonly until: AbortSignal;
}

/** A caller whom nobody told when to come back, in milliseconds. */
const defaultRetryMs = 100;

/** After how many milliseconds a caller that was refused is to come back. */
export function retryDelayMs(refusal: ConnectError): number {
  const delay = refusal.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay ? Number(delay.seconds) * 1_000 + delay.nanos / 1e6 : defaultRetryMs;
}

/** Places one order after the other and waits for each. */
export async function caller(
  orders: Client<typeof OrderService>,
  customerId: string,
  { tally, until }: CallerOptions,
): Promise<void> {
  for (let number = 0; !until.aborted; number += 1) {
    const start = performance.now();
    try {
      const { order } = await orders.createOrder(orderRequest(customerId, number));
      tally.note(order?.status, performance.now() - start);
    } catch (error) {
      tally.note(undefined, 0);
      if (tally.others === 1) console.log(`  first failure: ${(error as Error).message}`);
      await pause(retryDelayMs(ConnectError.from(error)));
    }
  }
}
