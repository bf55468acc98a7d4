// Orders accepted per second, 1,000 in a call against one in a call, on the real orders service and PostgreSQL. Nobody carries the
// orders: what comes after the acceptance is the same on both sides.
import type { Client } from "@connectrpc/connect";
import { OrderService, WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import { plainClients } from "../dev/shop/clients.ts";
import { freePorts } from "../dev/stack/free-ports.ts";
import { Stack } from "../dev/stack/stack.ts";
import { cpuSeconds } from "./cpu.ts";
import { quantile } from "./open-load.ts";
import { progress, sayMachine } from "./options.ts";
import { orderRequest, prepare } from "./order-load.ts";

/** Orders of one call, and how many callers call so at the same time; and callers of single calls. */
const [perCall, bulkCallers, singleCallers] = [1_000, 2, 64];
const warmUpMs = 4_000;
const roundMs = 8_000;
/** The sides take turns, there and back. */
const turns = ["bulk", "single", "single", "bulk"] as const;

type Side = (typeof turns)[number];

/** What the turns of a side gave. */
class Tally {
  orders = 0;
  seconds = 0;
  /** Milliseconds of each call. */
  readonly latencies: number[] = [];
  /** CPU seconds, by process. */
  readonly cpu = { orders: 0, postgres: 0, caller: 0 };
}

type Orders = Client<typeof OrderService>;

/** Places orders until then and says how many; each call's time is noted. */
type Caller = (orders: Orders, customerId: string, until: number) => Promise<{ orders: number; latencies: number[] }>;

function newOrder(customerId: string, number: number) {
  return { ...orderRequest(customerId, number), waitFor: WaitFor.ACCEPTED };
}

function callerOf(call: (orders: Orders, customerId: string, number: number) => Promise<number>): Caller {
  return async (orders, customerId, until) => {
    const latencies: number[] = [];
    let placed = 0;
    for (let begin = performance.now(); begin < until; begin = performance.now()) {
      placed += await call(orders, customerId, placed);
      latencies.push(performance.now() - begin);
    }
    return { orders: placed, latencies };
  };
}

const sides: Readonly<Record<Side, { readonly callers: number; readonly call: Caller }>> = {
  bulk: {
    callers: bulkCallers,
    call: callerOf(async (orders, customerId, number) => {
      const requests = Array.from({ length: perCall }, (_, index) => newOrder(customerId, number + index));
      const { outcomes } = await orders.bulkCreateOrders({ requests });
      const failed = outcomes.find(({ outcome }) => outcome.case !== "response");
      if (failed) throw new Error(`an order was not accepted: ${JSON.stringify(failed)}`);
      return outcomes.length;
    }),
  },
  single: {
    callers: singleCallers,
    call: callerOf(async (orders, customerId, number) => {
      await orders.createOrder(newOrder(customerId, number));
      return 1;
    }),
  },
};

async function cpuOf(stack: Stack): Promise<Tally["cpu"]> {
  const { user, system } = process.cpuUsage();
  const [orders, postgres] = await Promise.all(
    (["orders", "postgres"] as const).map((name) => cpuSeconds(stack.pid(name))),
  );
  return { orders: orders ?? 0, postgres: postgres ?? 0, caller: (user + system) / 1e6 };
}

interface Subject {
  readonly stack: Stack;
  readonly orders: Orders;
  readonly customerIds: readonly string[];
}

async function turn(side: Side, { stack, orders, customerIds }: Subject, ms: number): Promise<Tally> {
  const tally = new Tally();
  const { callers, call } = sides[side];
  const [before, start] = [await cpuOf(stack), performance.now()];
  const until = start + ms;
  const results = await Promise.all(
    Array.from({ length: callers }, (_, index) => call(orders, customerIds[index % customerIds.length] ?? "", until)),
  );
  const after = await cpuOf(stack);
  for (const result of results) {
    tally.orders += result.orders;
    tally.latencies.push(...result.latencies);
  }
  tally.seconds = (performance.now() - start) / 1_000;
  for (const name of ["orders", "postgres", "caller"] as const) tally.cpu[name] = after[name] - before[name];
  return tally;
}

function add(sum: Tally, { orders, seconds, latencies, cpu }: Tally): void {
  sum.orders += orders;
  sum.seconds += seconds;
  sum.latencies.push(...latencies);
  for (const name of ["orders", "postgres", "caller"] as const) sum.cpu[name] += cpu[name];
}

function print(name: string, { orders, seconds, latencies, cpu }: Tally): void {
  const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)].map((ms) => ms.toFixed(0));
  const each = Object.entries(cpu).map(([process, used]) => `${process} ${((used * 1_000) / orders).toFixed(2)}`);
  console.log(`${name}: ${(orders / seconds).toFixed(0)} orders/s, a call p50 ${p50} ms, p99 ${p99} ms`);
  console.log(`  CPU ms per order: ${each.join(", ")}`);
}

/** Measures both sides in turn and prints them; the last line is the ratio of the orders per second. */
export async function bench(): Promise<void> {
  sayMachine("dev");
  progress("starting PostgreSQL, inventory and orders");
  // Nobody carries the orders, and nobody is refused for that.
  const environment = { orders: { ORDER_CONFIRM_WITHIN_MS: "3600000" } };
  const components = ["postgres", "inventory", "orders"] as const;
  await using stack = await Stack.start({ ports: await freePorts(), components, environment });
  const clients = plainClients(stack);
  try {
    const customerIds = await prepare(stack, clients);
    const subject = { stack, orders: clients.client(OrderService, stack.address("orders")), customerIds };
    const sums = { bulk: new Tally(), single: new Tally() };
    for (const side of ["bulk", "single"] as const) await turn(side, subject, warmUpMs);
    for (const side of turns) {
      const tally = await turn(side, subject, roundMs);
      print(side, tally);
      add(sums[side], tally);
    }
    print(`\nall turns, ${bulkCallers} callers with ${perCall} orders in a call`, sums.bulk);
    print(`all turns, ${singleCallers} callers with one`, sums.single);
    const perSecond = ({ orders, seconds }: Tally) => orders / seconds;
    console.log(`ratio: ${(perSecond(sums.bulk) / perSecond(sums.single)).toFixed(2)}`);
  } finally {
    clients.close();
  }
}
