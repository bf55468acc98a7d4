// What it costs to see everything: orders per second and CPU per order with traces (to a real Jaeger), logs and scrapes
// on, sampled at 10 % and at 100 %, against everything off. Each measurement has a stack of its own that has just started
// and nothing beside it: how fast a stack is depends on how many orders it carries already. The sides take turns, and every
// round is repeated in the opposite order, as a machine may become slower while it is measured.
import { availableParallelism, cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import type { Clients } from "#platform/grpc/clients.ts";
import { fired } from "#platform/wait.ts";
import { within } from "../dev/process/within.ts";
import { plainClients } from "../dev/shop/clients.ts";
import { freePorts } from "../dev/stack/free-ports.ts";
import { components } from "../dev/stack/layout.ts";
import { Stack } from "../dev/stack/stack.ts";
import { services } from "../services/services.ts";
import { cpuSeconds } from "./cpu.ts";
import { median } from "./median.ts";
import { type CallerOptions, caller, packingMs, prepare, Tally } from "./order-load.ts";

const callerCount = 256;
/** Of two rounds each, there and back. */
const turnCount = 3;
const warmUpMs = 20_000;
const measureMs = 30_000;
const flushTimeoutMs = 15_000;
/** As deploy/observability/prometheus has it. */
const scrapeEveryMs = 15_000;
/** A side that confirmed fewer in a round says nothing. */
const minConfirmed = 50;

const collector = "jaeger";

/** One of the three ways to run. */
interface Side {
  readonly name: string;
  /** The share of orders that is traced; undefined for no telemetry at all. */
  readonly ratio?: number;
}

const off: Side = { name: "off" };
const some: Side = { name: "10 %", ratio: 0.1 };
const all: Side = { name: "100 %", ratio: 1 };
/** Each of the others comes next to what it is compared with, before it in one round and after it in the other. */
const sides: readonly Side[] = [some, off, all];

/** What a round of a side gave. */
interface Round {
  readonly perSecond: number;
  /** CPU microseconds per order, of our processes and PostgreSQL and Temporal. */
  readonly cpu: number;
  /** The same of each of them. */
  readonly cpuOf: ReadonlyMap<string, number>;
  /** The same of Jaeger. */
  readonly collector: number;
  /** Spans that were made per order. */
  readonly spans: number;
}

/** A stack with its clients and customers. */
class Shop implements AsyncDisposable {
  readonly stack: Stack;
  readonly #clients: Clients;
  #customers: string[] = [];

  private constructor(stack: Stack) {
    this.stack = stack;
    this.#clients = plainClients(stack);
  }

  static async open({ ratio }: Side): Promise<Shop> {
    const telemetry = { OTEL_TRACES_SAMPLER_ARG: String(ratio), LOG_FORMAT: "json" };
    const stack = await Stack.start({
      ports: await freePorts(),
      logLevel: ratio === undefined ? "error" : "info",
      observers: ratio === undefined ? [] : [collector],
      environment: {
        all: ratio === undefined ? { OTEL_TRACES_EXPORTER: "none" } : telemetry,
        simulators: { PACKING_MS: String(packingMs) },
      },
    });
    const shop = new Shop(stack);
    shop.#customers = await prepare(stack, shop.#clients);
    return shop;
  }

  /** Loads it until the signal fires, and returns once every caller has its last answer. */
  async load({ tally, until }: CallerOptions): Promise<void> {
    const orders = this.#clients.client(OrderService, this.stack.address("orders"));
    const callers = Array.from({ length: callerCount }, (_, index) =>
      caller(orders, this.#customers[index % this.#customers.length] ?? "", { tally, until }),
    );
    await Promise.race([Promise.all(callers), fired(until).then(() => pause(10_000))]);
  }

  /** CPU seconds so far of each process, Jaeger among them. */
  async usage(): Promise<Map<string, number>> {
    const processes = [...components, collector] as const;
    const used = processes.map(async (name) => [name, await cpuSeconds(this.stack.pid(name))] as const);
    return new Map(await Promise.all(used));
  }

  /** How many spans all processes have made so far. */
  spansMade(): Promise<number> {
    return this.#sum(/^telemetry_span(?:s_total|_queue_size)\{[^}]*\} (\d+)$/gm);
  }

  /** How many spans wait to be sent. */
  waitingSpans(): Promise<number> {
    return this.#sum(/^telemetry_span_queue_size\{[^}]*\} (\d+)$/gm);
  }

  /** Reads the metrics of all processes, as Prometheus would. */
  scrape(): Promise<string[]> {
    return Promise.all(services.map(async (name) => (await fetch(`${this.stack.httpUrl(name)}/metrics`)).text()));
  }

  async #sum(pattern: RegExp): Promise<number> {
    const counts = (await this.scrape()).flatMap((text) => [...text.matchAll(pattern)]);
    return sum(counts.map(([, count]) => Number(count)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.close();
    await this.stack[Symbol.asyncDispose]();
  }
}

/** Reads the metrics again and again, until the signal fires. */
async function scrapeUntil(shop: Shop, until: AbortSignal): Promise<void> {
  while (!until.aborted) {
    await shop.scrape();
    await Promise.race([pause(scrapeEveryMs), fired(until)]);
  }
}

async function measure(side: Side): Promise<Round> {
  await using shop = await Shop.open(side);
  const stopped = new AbortController();
  const tally = new Tally();
  const load = shop.load({ tally, until: stopped.signal });
  const scrapes = side.ratio === undefined ? undefined : scrapeUntil(shop, stopped.signal);
  await pause(warmUpMs);
  const [spansBefore, ordersBefore] = [await shop.spansMade(), tally.all];
  const [before, start] = [await shop.usage(), performance.now()];
  tally.counting = true;
  await pause(measureMs);
  tally.counting = false;
  const [after, seconds] = [await shop.usage(), (performance.now() - start) / 1_000];
  const confirmed = tally.latencies.length;
  stopped.abort();
  await Promise.all([load, scrapes]);
  await flushed(shop);
  const spans = (await shop.spansMade()) - spansBefore;
  if (confirmed < minConfirmed)
    throw new Error(`only ${confirmed} orders were confirmed: the machine is too busy to compare`);
  const perOrder = (name: string): number => (((after.get(name) ?? 0) - (before.get(name) ?? 0)) * 1e6) / confirmed;
  const cpuOf = new Map(components.map((name) => [name, perOrder(name)]));
  const round = {
    perSecond: confirmed / seconds,
    cpu: sum([...cpuOf.values()]),
    cpuOf,
    collector: perOrder(collector),
    // Those of the orders after the measured time as well, and what ends by then of the orders before.
    spans: spans / (tally.all - ordersBefore),
  };
  const figures = `${round.perSecond.toFixed(0)} orders/s, ${(round.cpu / 1_000).toFixed(2)} ms CPU per order`;
  console.log(`  ${side.name.padEnd(5)} ${figures}, ${tally.others} orders not confirmed`);
  return round;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Of all rounds alike: what came first in one of two came last in the other. */
function geometricMean(values: readonly number[]): number {
  return Math.exp(sum(values.map(Math.log)) / values.length);
}

function print({ name }: Side, rounds: readonly Round[], off: readonly Round[]): number {
  const of = (key: Exclude<keyof Round, "cpuOf">, from = rounds) => median(from.map((round) => round[key]));
  const ratios = rounds.map((round, index) => round.perSecond / (off[index]?.perSecond ?? Number.NaN));
  const ratio = geometricMean(ratios);
  const more = median(rounds.map((round, index) => round.cpu - (off[index]?.cpu ?? Number.NaN)));
  const cells = [
    `${of("perSecond").toFixed(0)} orders/s`,
    `${ratio.toFixed(2)} of off (${ratios.map((of) => of.toFixed(2)).join(", ")})`,
    `${(of("cpu") / 1_000).toFixed(2)} ms CPU per order`,
    `${more.toFixed(0)} µs of it telemetry`,
    `${of("spans").toFixed(1)} spans per order`,
    `Jaeger ${of("collector").toFixed(0)} µs`,
  ];
  console.log(`${name.padEnd(5)} ${cells.join(", ")}`);
  const ofProcess = (process: string) => median(rounds.map(({ cpuOf }) => (cpuOf.get(process) ?? 0) / 1_000));
  console.log(`      ${components.map((process) => `${process} ${ofProcess(process).toFixed(2)}`).join(", ")} ms`);
  return ratio;
}

/** Waits until the last spans are sent, so that they are counted. */
async function flushed(shop: Shop): Promise<void> {
  await pause(500);
  await within(flushTimeoutMs, async () => (await shop.waitingSpans()) === 0, 500);
}

/** Measures the three sides in turns and prints them; the last line is the ratio of the 10 % case. */
export async function bench(): Promise<void> {
  console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
  console.log(
    `${callerCount} callers, ${2 * turnCount} rounds of ${measureMs / 1_000} s for each side, there and back\n`,
  );
  const results = new Map(sides.map((side) => [side, [] as Round[]]));
  for (let round = 0; round < 2 * turnCount; round += 1) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) results.get(side)?.push(await measure(side));
  }
  console.log("");
  const of = (side: Side) => results.get(side) ?? [];
  print(off, of(off), of(off));
  const ratio = print(some, of(some), of(off));
  print(all, of(all), of(off));
  console.log(`ratio: ${ratio.toFixed(2)}`);
}
