// Orders confirmed per second and their CPU while subscribers are told of every effect, against a broker that is away; and events told per second from
// the backlog that this leaves. On a whole stack with NATS, which also takes its share of the machine.

import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import pg from "pg";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { until } from "#testing/until.ts";
import { plainClients } from "../dev/shop/clients.ts";
import { freePorts } from "../dev/stack/free-ports.ts";
import { components } from "../dev/stack/layout.ts";
import { Stack } from "../dev/stack/stack.ts";
import { databaseServices } from "../services/services.ts";
import { cpuSeconds } from "./cpu.ts";
import { median } from "./median.ts";
import { progress, sayMachine } from "./options.ts";
import { caller, packingMs, prepare, Tally } from "./order-load.ts";

const callerCount = 128;
const warmUpMs = 10_000;
const settleMs = 1_000;
const roundMs = 12_000;
const rounds = 4;

interface Subject {
  readonly stack: Stack;
  readonly orders: Client<typeof OrderService>;
  readonly customerIds: readonly string[];
  readonly databases: readonly pg.Client[];
}

/** What a round gave: orders that were confirmed a second, and CPU milliseconds of each, of all but callers and broker. */
interface Round {
  readonly perSecond: number;
  readonly cpuMs: number;
}

async function used({ stack }: Subject): Promise<number> {
  const all = await Promise.all(components.flatMap((name) => stack.pids(name)).map((pid) => cpuSeconds(pid)));
  return all.reduce<number>((sum, seconds) => sum + seconds, 0);
}

/** Places orders for a while, each of whose callers waits until it is confirmed. */
async function place(subject: Subject, ms: number): Promise<Round> {
  const { orders, customerIds } = subject;
  const tally = new Tally();
  const over = new AbortController();
  const customerOf = (index: number) => customerIds[index % customerIds.length] ?? "";
  const until = over.signal;
  const load = Array.from({ length: callerCount }, (_, index) => caller(orders, customerOf(index), { tally, until }));
  await pause(settleMs);
  tally.counting = true;
  const [cpu, start] = [await used(subject), performance.now()];
  await pause(ms);
  tally.counting = false;
  const [seconds, confirmed] = [(performance.now() - start) / 1_000, tally.latencies.length];
  const cpuMs = (((await used(subject)) - cpu) * 1_000) / confirmed;
  over.abort();
  await Promise.all(load);
  return { perSecond: confirmed / seconds, cpuMs };
}

/** How many events wait, of all services. */
async function untold({ databases }: Subject): Promise<number> {
  const text = "select count(*)::int as waiting from audit_event e, event_cursor c where e.sequence > c.sequence";
  const counts = await Promise.all(databases.map((database) => database.query<{ waiting: number }>(text)));
  return counts.reduce((sum, { rows }) => sum + (rows[0]?.waiting ?? 0), 0);
}

/** Starts the broker; returns how many events were told a second until there were none. */
async function catchUp(subject: Subject): Promise<number> {
  const waiting = await untold(subject);
  await subject.stack.restart("nats");
  const left = () => untold(subject);
  // What the relay waits for before it looks again is not counted.
  await until(async () => (await left()) < waiting, "the relay tells", { deadlineMs: 30_000, everyMs: 20 });
  const [begin, first] = [performance.now(), await left()];
  await until(async () => (await left()) === 0, "all are told", { deadlineMs: 300_000, everyMs: 50 });
  return (first * 1_000) / (performance.now() - begin);
}

async function measure(subject: Subject): Promise<void> {
  const told: number[] = [];
  const shares: number[] = [];
  const costs: number[] = [];
  await place(subject, warmUpMs);
  for (let round = 0; round < rounds; round += 1) {
    await subject.stack.takeDown("nats");
    const away = await place(subject, roundMs);
    told.push(await catchUp(subject));
    const there = await place(subject, roundMs);
    shares.push(there.perSecond / away.perSecond);
    costs.push(there.cpuMs / away.cpuMs);
    const [one, other] = [away, there].map((each) => `${each.perSecond.toFixed(0)}/s at ${each.cpuMs.toFixed(2)} ms`);
    console.log(`orders ${one} while nobody is told, ${other} while subscribers are`);
    console.log(`  ${told.at(-1)?.toFixed(0)} events/s from the backlog`);
  }
  console.log(
    `\n${median(told).toFixed(0)} events told per second; CPU per order ${median(costs).toFixed(2)} of that without`,
  );
  console.log(`ratio: ${median(shares).toFixed(2)}`);
}

/** Measures in turn and prints; the last line is the ratio of orders per second with subscribers and without. */
export async function bench(): Promise<void> {
  sayMachine("dev");
  progress("starting a stack with NATS");
  const environment = { simulators: { PACKING_MS: String(packingMs) } };
  await using stack = await Stack.start({ ports: await freePorts(), environment, observers: ["nats"] });
  const clients = plainClients(stack);
  const databases = databaseServices.map(
    (name) => new pg.Client({ connectionString: stack.databaseUrl(name, "postgres") }),
  );
  try {
    for (const database of databases) await database.connect();
    const customerIds = await prepare(stack, clients);
    const orders = clients.client(OrderService, stack.address("orders"));
    await measure({ stack, orders, customerIds, databases });
  } finally {
    for (const database of databases) await database.end();
    clients.close();
  }
}
