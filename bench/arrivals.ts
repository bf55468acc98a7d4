// Orders that arrive by themselves: what they cost and how long they take, to confirmed and to delivered, at several rates;
// our way against batches of one order. Each measurement has a stack of its own.

import { availableParallelism, cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Arrivals, type ByProcess, callerDeadlineMs, quantile, Shop, shares, total } from "./open-load.ts";

const defaultRates = "5,20,50,100,200";
/** At this rate the two sides are compared; where batches of one cannot keep up, at the highest at which they can. */
const comparedRate = 50;
/** Packing takes 5 to 30 s, at random. */
const packing = { PACKING_MS: "5000", PACKING_SPREAD_MS: "25000" };
/** Nothing is packed while it is counted to confirmed. */
const noPacking = { PACKING_MS: String(6 * 3_600_000) };
/** Processes that have just started are slow: these orders are not counted. */
const warmUp = { rate: 20, seconds: 8 };
const restMs = 5_000;
/** How long after the last answer the orders may take to be delivered. */
const deliveryDeadlineMs = 150_000;
/** A side that confirms a smaller share in time does not carry the rate. */
const carriedShare = 0.97;

/** One of the two ways to run. */
interface Side {
  readonly name: string;
  readonly orders: Readonly<Record<string, string>>;
}

const ours: Side = { name: "batches of up to 64", orders: {} };
const single: Side = { name: "batches of one", orders: { ORDER_LIST_MAX: "1" } };

/** What is asked for on the command line. */
interface Options {
  readonly rates: readonly number[];
  readonly seconds: number;
}

/** One rate of one side. */
interface Measured {
  /** CPU milliseconds per confirmed order while nothing is packed, by process. */
  readonly toConfirmed: ByProcess;
  /** CPU milliseconds per delivered order, by process; undefined when not all were delivered in time. */
  readonly toDelivered: ByProcess | undefined;
  /** Whether it carries the rate. */
  readonly carried: boolean;
}

/** Counts to confirmed. */
async function measureConfirmed(side: Side, { rate, seconds }: { rate: number; seconds: number }): Promise<ByProcess> {
  await using shop = await Shop.open({ orders: side.orders, shipping: noPacking });
  await shop.arrive(warmUp);
  await pause(restMs);
  const [before, since] = [await shop.cpu(), await shop.now()];
  const arrivals = await shop.arrive({ rate, seconds });
  const cpu = shares(before, await shop.cpu(), arrivals.confirmed.length / 1_000);
  const { perWorkflow } = await shop.standing(since);
  console.log(`  to confirmed: ${summary(arrivals)}`);
  console.log(`    ${perWorkflow.toFixed(1)} orders per workflow; ${costs(cpu)}`);
  return cpu;
}

/** Counts to delivered, with everything else that goes on then. */
async function measureDelivered(
  side: Side,
  { rate, seconds }: { rate: number; seconds: number },
): Promise<Omit<Measured, "toConfirmed">> {
  await using shop = await Shop.open({ orders: side.orders, shipping: packing });
  const begin = await shop.now();
  await shop.arrive(warmUp);
  await shop.until(begin, ended, deliveryDeadlineMs);
  const idle = await shop.cpu();
  await pause(restMs);
  const [before, since] = [await shop.cpu(), await shop.now()];
  const atRest = total(shares(idle, before, restMs / 1_000));
  const arrivals = await shop.arrive({ rate, seconds });
  const start = performance.now();
  const inTime = await shop.until(since, ended, deliveryDeadlineMs);
  const { statuses, perWorkflow } = await shop.standing(since);
  const delivered = statuses.get("delivered") ?? 0;
  const cpu = shares(before, await shop.cpu(), delivered / 1_000);
  const tail = ((performance.now() - start) / 1_000).toFixed(0);
  const all = [...statuses].map(([status, count]) => `${count} ${status}`).join(", ");
  console.log(`  to delivered: ${summary(arrivals)}`);
  console.log(`    ${all}, ${tail} s after the last answer${inTime ? "" : ", which is too late"}`);
  console.log(
    `    ${perWorkflow.toFixed(1)} orders per last workflow; ${costs(cpu)}; at rest ${(atRest * 100).toFixed(0)} % of a core`,
  );
  const carried = inTime && arrivals.confirmed.length >= carriedShare * arrivals.arrived;
  return { toDelivered: inTime ? cpu : undefined, carried };
}

const ended = ["delivered", "rejected", "cancelled", "failed"];

function summary({ arrived, confirmed, refused, others, seconds }: Arrivals): string {
  const [p50, p99] = [quantile(confirmed, 0.5), quantile(confirmed, 0.99)];
  const parts = [
    `${confirmed.length} of ${arrived} confirmed within ${callerDeadlineMs / 1_000} s`,
    `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
    `${refused.length} refused at once${refused.length > 0 ? ` (p99 ${quantile(refused, 0.99).toFixed(0)} ms)` : ""}`,
    `${others} others`,
    `goodput ${(confirmed.length / seconds).toFixed(1)}/s`,
  ];
  return parts.join(", ");
}

function costs(cpu: ByProcess): string {
  const parts = [...cpu].map(([process, ms]) => `${process} ${ms.toFixed(2)}`);
  return `CPU ${total(cpu).toFixed(2)} ms per order: ${parts.join(", ")}`;
}

/** All rates of a side, up to the first that it does not carry unless all are asked for. */
async function measure(side: Side, options: Options & { readonly beyond: boolean }): Promise<Map<number, Measured>> {
  const results = new Map<number, Measured>();
  for (const rate of options.rates) {
    console.log(`${side.name}, ${rate} orders/s`);
    const load = { rate, seconds: options.seconds };
    const toConfirmed = await measureConfirmed(side, load);
    const measured = { toConfirmed, ...(await measureDelivered(side, load)) };
    results.set(rate, measured);
    if (!measured.carried && !options.beyond) break;
  }
  return results;
}

/** The rate at which the sides are compared: one that both carry, or else the lowest at which both got through. */
function commonRate(results: ReadonlyMap<number, Measured>, others: ReadonlyMap<number, Measured>): number | undefined {
  const common = [...results.keys()].filter((rate) => results.get(rate)?.toDelivered && others.get(rate)?.toDelivered);
  const carried = common.filter((rate) => rate <= comparedRate && others.get(rate)?.carried);
  if (carried.length > 0) return Math.max(...carried);
  return common.length > 0 ? Math.min(...common) : undefined;
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rates: { type: "string", default: defaultRates },
      seconds: { type: "string", default: "25" },
      temporal: { type: "string", default: "dev" },
    },
  });
  const rates = values.rates.split(",").map(Number);
  const seconds = Number(values.seconds);
  if (rates.some((rate) => !(rate > 0))) throw new Error("--rates wants orders per second, with commas between");
  if (!(seconds > 0)) throw new Error("--seconds wants a number of seconds");
  if (values.temporal !== "dev") throw new Error("--temporal knows dev only");
  return { rates: rates.toSorted((a, b) => a - b), seconds };
}

/**
 * Measures both sides and prints them; the last line is the ratio of CPU per order to delivered, batches of one against ours.
 *
 * @param args `--rates 5,20,50,100,200`, `--seconds 25`
 */
export async function bench(args: readonly string[]): Promise<void> {
  const options = parse(args);
  console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
  console.log(`arrivals for ${options.seconds} s at each rate, packing 5 to 30 s, a stack of its own for each\n`);
  const batches = await measure(ours, { ...options, beyond: true });
  const rates = options.rates.filter((rate) => rate <= comparedRate);
  const singles = await measure(single, { ...options, rates: rates.length > 0 ? rates : options.rates, beyond: false });
  const rate = commonRate(batches, singles);
  if (rate === undefined) throw new Error("there is no rate at which both sides had every order delivered in time");
  const [our, one] = [batches.get(rate)?.toDelivered, singles.get(rate)?.toDelivered].map((cpu) =>
    total(cpu ?? new Map()),
  );
  console.log(`\nto delivered at ${rate} orders/s: ${our?.toFixed(2)} ms against ${one?.toFixed(2)} ms`);
  console.log(`ratio: ${((one ?? Number.NaN) / (our ?? Number.NaN)).toFixed(2)}`);
}
