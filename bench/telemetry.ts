// What it costs to see everything: orders per second and CPU per order with traces (to a real Jaeger), logs and scrapes
// on, sampled at 10 % and at 100 %, against everything off. Each measurement has a stack of its own that has just started
// and nothing beside it: how fast a stack is depends on how many orders it carries already. The sides take turns.
import { availableParallelism, cpus } from "node:os";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { components, freePorts, services } from "../deploy/dev/layout.ts";
import { Stack } from "../deploy/dev/stack.ts";
import { cpuSeconds } from "./cpu.ts";
import { caller, PACKING_MS, pause, prepare, Tally } from "./order-load.ts";

const CALLERS = 256;
const ROUNDS = 3;
/** Until the code that runs now and then is compiled as well as the one that always runs. */
const WARM_UP_MS = 20_000;
const MEASURE_MS = 16_000;
const FLUSH_TIMEOUT_MS = 15_000;
/** As deploy/observability/prometheus has it. */
const SCRAPE_EVERY_MS = 15_000;
/** A side that confirmed fewer in a round says nothing. */
const MIN_CONFIRMED = 50;

/** One of the three ways to run. */
interface Side {
  readonly name: string;
  /** The share of orders that is traced; undefined for no telemetry at all. */
  readonly ratio?: number;
}

const off: Side = { name: "off" };
const on: readonly Side[] = [
  { name: "10 %", ratio: 0.1 },
  { name: "100 %", ratio: 1 },
];

/** What a round of a side gave. */
interface Round {
  readonly perSecond: number;
  /** CPU microseconds per order, of our processes and PostgreSQL and Temporal. */
  readonly cpu: number;
  /** The same of Jaeger. */
  readonly collector: number;
  /** Spans that were made per order. */
  readonly spans: number;
}

/** A stack with its clients and customers. */
class Shop implements AsyncDisposable {
  readonly stack: Stack;
  readonly #clients = new Clients({ defaultTimeoutMs: 30_000, maxMessageBytes: 8 * 1024 * 1024 });
  #customers: string[] = [];

  private constructor(stack: Stack) {
    this.stack = stack;
  }

  static async open({ ratio }: Side): Promise<Shop> {
    const telemetry = { OTEL_TRACES_SAMPLER_ARG: String(ratio), LOG_FORMAT: "json" };
    const stack = await Stack.start({
      ports: await freePorts(),
      logLevel: ratio === undefined ? "error" : "info",
      observers: ratio === undefined ? [] : ["jaeger"],
      environment: {
        all: ratio === undefined ? { OTEL_TRACES_EXPORTER: "none" } : telemetry,
        shipping: { PACKING_MS: String(PACKING_MS) },
      },
    });
    const shop = new Shop(stack);
    shop.#customers = await prepare(stack, shop.#clients);
    return shop;
  }

  /** Loads it until the signal fires, and returns once every caller has its last answer. */
  async load(tally: Tally, until: AbortSignal): Promise<void> {
    const orders = this.#clients.client(OrderService, this.stack.address("orders"));
    const callers = Array.from({ length: CALLERS }, (_, index) =>
      caller(orders, this.#customers[index % this.#customers.length] ?? "", { tally, until }),
    );
    await Promise.race([Promise.all(callers), aborted(until).then(() => pause(10_000))]);
  }

  /** CPU seconds so far: of all but Jaeger, and of Jaeger. */
  async usage(): Promise<{ own: number; collector: number }> {
    const own = await Promise.all(components.map((name) => cpuSeconds(this.stack.pid(name))));
    const collector = await cpuSeconds(this.stack.pid("jaeger"));
    return { own: own.reduce((sum, seconds) => sum + seconds, 0), collector };
  }

  /** How many spans all processes have made so far and rid themselves of. */
  spans(): Promise<number> {
    return this.#sum(/^telemetry_spans_total\{[^}]*\} (\d+)$/gm);
  }

  /** How many spans wait to be sent. */
  waitingSpans(): Promise<number> {
    return this.#sum(/^telemetry_span_queue_size\{[^}]*\} (\d+)$/gm);
  }

  /** Reads the metrics of all processes, as Prometheus would, and adds up what the pattern finds. */
  async #sum(pattern: RegExp): Promise<number> {
    const texts = await Promise.all(
      services.map(async (name) => (await fetch(`${this.stack.httpUrl(name)}/metrics`)).text()),
    );
    const counts = texts.flatMap((text) => [...text.matchAll(pattern)]);
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.close();
    await this.stack[Symbol.asyncDispose]();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Reads the metrics again and again, until the signal fires. */
async function scrapeUntil(shop: Shop, until: AbortSignal): Promise<void> {
  while (!until.aborted) {
    await shop.spans();
    await Promise.race([pause(SCRAPE_EVERY_MS), aborted(until)]);
  }
}

async function measure(side: Side): Promise<Round> {
  await using shop = await Shop.open(side);
  const stopped = new AbortController();
  const tally = new Tally();
  const load = shop.load(tally, stopped.signal);
  const scrapes = side.ratio === undefined ? undefined : scrapeUntil(shop, stopped.signal);
  await pause(WARM_UP_MS);
  const [before, start] = [await shop.usage(), performance.now()];
  tally.counting = true;
  await pause(MEASURE_MS);
  tally.counting = false;
  const [after, seconds] = [await shop.usage(), (performance.now() - start) / 1_000];
  const confirmed = tally.latencies.length;
  stopped.abort();
  await Promise.all([load, scrapes]);
  await flushed(shop);
  const spans = await shop.spans();
  if (confirmed < MIN_CONFIRMED)
    throw new Error(`only ${confirmed} orders were confirmed: the machine is too busy to compare`);
  const perOrder = (used: number): number => (used * 1e6) / confirmed;
  const round = {
    perSecond: confirmed / seconds,
    cpu: perOrder(after.own - before.own),
    collector: perOrder(after.collector - before.collector),
    // Those of the orders before and after the measured time as well.
    spans: spans / tally.all,
  };
  const figures = `${round.perSecond.toFixed(0)} orders/s, ${(round.cpu / 1_000).toFixed(2)} ms CPU per order`;
  console.log(`  ${side.name.padEnd(5)} ${figures}, ${tally.others} orders not confirmed`);
  return round;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

function print(name: string, rounds: readonly Round[], off: readonly Round[]): number {
  const of = (key: keyof Round, from = rounds) => median(from.map((round) => round[key]));
  const ratio = median(rounds.map((round, index) => round.perSecond / (off[index]?.perSecond ?? Number.NaN)));
  const more = median(rounds.map((round, index) => round.cpu - (off[index]?.cpu ?? Number.NaN)));
  const cells = [
    `${of("perSecond").toFixed(0)} orders/s`,
    `${ratio.toFixed(2)} of off`,
    `${(of("cpu") / 1_000).toFixed(2)} ms CPU per order`,
    `${more.toFixed(0)} µs of it telemetry`,
    `${of("spans").toFixed(1)} spans per order`,
    `Jaeger ${of("collector").toFixed(0)} µs`,
  ];
  console.log(`${name.padEnd(5)} ${cells.join(", ")}`);
  return ratio;
}

/** Waits until the spans of the round before are sent, so that no side pays for another. */
async function flushed(shop: Shop): Promise<void> {
  const end = Date.now() + FLUSH_TIMEOUT_MS;
  do await pause(500);
  while ((await shop.waitingSpans()) > 0 && Date.now() < end);
}

/** Measures the three sides in turns and prints them; the last line is the ratio of the 10 % case. */
export async function bench(): Promise<void> {
  console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
  console.log(`${CALLERS} callers, ${ROUNDS} rounds of ${MEASURE_MS / 1_000} s for each side, in turns\n`);
  const sides = [off, ...on];
  const results = new Map(sides.map((side) => [side, [] as Round[]]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) results.get(side)?.push(await measure(side));
  }
  console.log("");
  const without = results.get(off) ?? [];
  const [, ratio] = sides.map((side) => print(side.name, results.get(side) ?? [], without));
  console.log(`ratio: ${(ratio ?? Number.NaN).toFixed(2)}`);
}
