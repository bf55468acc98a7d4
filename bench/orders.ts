// Orders per second from CreateOrder to CONFIRMED, on the real services with real PostgreSQL and a Temporal development
// server: sagas that carry lists of orders, against sagas that carry one order each. 256 callers in a closed loop.
import { availableParallelism, cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { freePorts } from "../dev/stack/free-ports.ts";
import { components } from "../dev/stack/layout.ts";
import { Stack } from "../dev/stack/stack.ts";
import { cpuSeconds } from "./cpu.ts";
import { caller, packingMs, prepare, Tally } from "./order-load.ts";

const callerCount = 256;
const warmUpMs = 8_000;
const measureMs = 25_000;
/** A side that confirmed fewer says nothing: it is measured on, for at most this many times as long. */
const minConfirmed = 200;
const maxRounds = 4;

interface Result {
  readonly confirmed: number;
  readonly others: number;
  readonly perSecond: number;
  /** Milliseconds of every confirmed order. */
  readonly latencies: number[];
  /** CPU milliseconds per confirmed order, by process. */
  readonly cpu: ReadonlyMap<string, number>;
}

async function usage(stack: Stack): Promise<Map<string, number>> {
  const entries = components.map(async (name) => [name, await cpuSeconds(stack.pid(name))] as const);
  return new Map([
    ...(await Promise.all(entries)),
    ["callers", process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6],
  ]);
}

async function measure(listMax: number): Promise<Result> {
  await using stack = await Stack.start({
    ports: await freePorts(),
    environment: { orders: { ORDER_LIST_MAX: String(listMax) }, shipping: { PACKING_MS: String(packingMs) } },
  });
  const clients = new Clients({ defaultTimeoutMs: 30_000, maxMessageBytes: 8 * 1024 * 1024 });
  const customerIds = await prepare(stack, clients);
  const orders = clients.client(OrderService, stack.address("orders"));
  const tally = new Tally();
  const stopped = new AbortController();
  const callers = Array.from({ length: callerCount }, (_, index) =>
    caller(orders, customerIds[index % customerIds.length] ?? "", { tally, until: stopped.signal }),
  );
  await pause(warmUpMs);
  const [before, start] = [await usage(stack), performance.now()];
  tally.counting = true;
  for (let round = 0; round < maxRounds && tally.latencies.length < minConfirmed; round += 1) await pause(measureMs);
  tally.counting = false;
  const [after, seconds] = [await usage(stack), (performance.now() - start) / 1000];
  stopped.abort();
  await Promise.race([Promise.all(callers), pause(5_000)]);
  clients.close();
  const confirmed = tally.latencies.length;
  if (confirmed < minConfirmed)
    throw new Error(`only ${confirmed} orders were confirmed: the machine is too busy to compare`);
  const cpu = new Map([...after].map(([name, used]) => [name, ((used - (before.get(name) ?? 0)) * 1000) / confirmed]));
  return { confirmed, others: tally.others, perSecond: confirmed / seconds, latencies: tally.latencies, cpu };
}

function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function print(name: string, { perSecond, latencies, others, cpu }: Result): void {
  const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
  console.log(
    `${name}: ${perSecond.toFixed(0)} orders/s, p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, ${others} not confirmed`,
  );
  const parts = [...cpu].map(([process, ms]) => `${process} ${ms.toFixed(2)}`);
  const server = [...cpu].filter(([process]) => process !== "callers").reduce((sum, [, ms]) => sum + ms, 0);
  console.log(`  CPU ms per order: ${parts.join(", ")}; all but the callers ${server.toFixed(2)}`);
}

/** Measures both sides and prints them; the last line is the ratio of the orders per second. */
export async function bench(): Promise<void> {
  console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
  console.log(`${callerCount} callers, ${measureMs / 1000} s each after ${warmUpMs / 1000} s of warming up\n`);
  const lists = await measure(64);
  print("lists of up to 64", lists);
  const single = await measure(1);
  print("lists of one", single);
  console.log(`ratio: ${(lists.perSecond / single.perSecond).toFixed(2)}`);
}
