// `place-order --orders <host:port> --inventory <host:port>`: places one order and waits until it is delivered. Ends with 0
// then, with 1 and one sentence when it was refused, failed or is late, with 2 when it was called wrongly.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Client, ConnectError } from "@connectrpc/connect";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import { type Order, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";

/** An article and a place of its own, so that no real stock is sold. */
const shelf = { sku: "ordermesh-test-article", locationId: "ordermesh-test" };
const buyer = { givenName: "Mesh", familyName: "Test", email: "mesh-test@example.com", phone: "+442079460001" };
const ends: readonly OrderStatus[] = [
  OrderStatus.DELIVERED,
  OrderStatus.REJECTED,
  OrderStatus.CANCELLED,
  OrderStatus.FAILED,
];

/** Why there is no delivered order, in one sentence. */
class TestFailure extends Error {
  override readonly name = "TestFailure";
}

function options(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      orders: { type: "string" },
      inventory: { type: "string" },
      deadline: { type: "string", default: "120" },
    },
  });
  const { orders, inventory, deadline } = values;
  if (!orders || !inventory) throw new TypeError("--orders and --inventory say where the two services answer");
  if (!(Number(deadline) > 0)) throw new TypeError(`--deadline is a number of seconds, not "${deadline}"`);
  return { orders, inventory, deadlineMs: Number(deadline) * 1_000 };
}

async function findOrCreateBuyer(customers: Client<typeof CustomerService>, signal: AbortSignal): Promise<string> {
  const { customers: found } = await customers.listCustomers({ email: buyer.email }, { signal });
  if (found[0]) return found[0].customerId;
  const { customer } = await customers.createCustomer({ ...buyer, requestId: randomUUID() }, { signal });
  if (!customer) throw new TestFailure("a customer was created without an id");
  return customer.customerId;
}

async function buy(orders: Client<typeof OrderService>, customerId: string, signal: AbortSignal): Promise<Order> {
  const line = { sku: shelf.sku, quantity: 1, unitPrice: { currency: "EUR", amount: 100n } };
  const shippingAddress = {
    recipient: `${buyer.givenName} ${buyer.familyName}`,
    lines: ["1 Test Way"],
    city: "London",
    postalCode: "SW1Y 4JH",
    country: "GB",
  };
  const request = { requestId: randomUUID(), customerId, lines: [line], shippingAddress, cardToken: "tok_approve" };
  const { order } = await orders.createOrder(request, { signal });
  if (!order) throw new TestFailure("an order was accepted without an id");
  return order;
}

/** Follows the order until it ends or time is up; a broken stream is opened again. */
async function follow(orders: Client<typeof OrderService>, accepted: Order, signal: AbortSignal): Promise<Order> {
  let order = accepted;
  const begin = performance.now();
  let shown: OrderStatus | undefined;
  while (!ends.includes(order.status) && !signal.aborted) {
    try {
      for await (const answer of orders.watchOrder({ orderId: order.orderId }, { signal })) {
        order = answer.order ?? order;
        if (order.status !== shown) console.log(`${after(begin)} ${OrderStatus[order.status]}`);
        shown = order.status;
      }
    } catch (error) {
      if (signal.aborted) break;
      console.log(`${after(begin)} the stream broke: ${ConnectError.from(error).message}`);
      await pause(500);
    }
  }
  return order;
}

function after(begin: number): string {
  return `${((performance.now() - begin) / 1_000).toFixed(1).padStart(6)} s`;
}

async function main(): Promise<void> {
  const { orders: ordersAddress, inventory: inventoryAddress, deadlineMs } = options(process.argv.slice(2));
  const signal = AbortSignal.timeout(deadlineMs);
  const clients = new Clients({ defaultTimeoutMs: 10_000, maxMessageBytes: 1024 * 1024 });
  try {
    const orders = clients.client(OrderService, ordersAddress);
    const inventory = clients.client(InventoryService, inventoryAddress);
    const stocking = { ...shelf, requestId: randomUUID(), delta: 1n, reason: "one piece for a test order" };
    await inventory.adjustStock(stocking, { signal });
    const customerId = await findOrCreateBuyer(clients.client(CustomerService, ordersAddress), signal);
    const placed = await buy(orders, customerId, signal);
    console.log(`order ${placed.orderId}`);
    const { status, failure } = await follow(orders, placed, signal);
    if (status === OrderStatus.DELIVERED) return;
    const why = failure ? `: ${failure.reason}` : "";
    const late = ends.includes(status) ? "" : ` after ${deadlineMs / 1_000} s`;
    throw new TestFailure(`the order is ${OrderStatus[status]}${late}${why}`);
  } finally {
    clients.close();
  }
}

try {
  await main();
} catch (error) {
  const wrongCall = error instanceof TypeError;
  console.error(error instanceof ConnectError ? `a call failed: ${error.message}` : (error as Error).message);
  process.exitCode = wrongCall ? 2 : 1;
}
