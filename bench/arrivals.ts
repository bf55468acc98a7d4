// Orders that arrive by themselves: what they cost and how long they take, to confirmed and to delivered, at several rates;
// our way against batches of one order. Each measurement has a stack of its own.
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { TemporalKind } from "../dev/stack/layout.ts";
import {
  type Arrivals,
  type ByProcess,
  callerDeadlineMs,
  costs,
  endStatuses,
  quantile,
  Shop,
  shares,
  total,
  walCosts,
} from "./open-load.ts";
import { positive, positives, progress, sayMachine, some, temporalKind, temporalOption } from "./options.ts";

/** At this rate ours is compared, or else at the highest rate below; batches of one at the highest rate that they carry. */
const comparedRate = 50;
/** Packing takes 5 to 30 s, at random. */
const packing = { PACKING_MS: "5000", PACKING_SPREAD_MS: "25000" };
/** Nothing is packed while it is counted to confirmed. */
const noPacking = { PACKING_MS: String(6 * 3_600_000) };
/** Processes that have just started are slow: these orders are not counted. */
const warmUp = { rate: 20, seconds: 8 };
const restMs = 5_000;
/**
 * From the first arrival until as many orders are delivered as arrive: packing and the way take up to 32 s. What is measured
 * is the shop in full swing, not how it fills and empties.
 */
const leadMs = 45_000;
/** How long after the last answer the orders may take to be delivered. */
const deliveryDeadlineMs = 150_000;
/** A side that confirms a smaller share in time does not carry the rate. */
const carriedShare = 0.97;

/** What can be measured: to confirmed and to delivered our way, and to delivered with batches of one. */
const stages = ["confirmed", "delivered", "single"] as const;

/** Environment variables of the orders service for batches of one. */
const single = { ORDER_LIST_MAX: "1" };

/** What is asked for on the command line. */
interface Options {
  readonly rates: readonly number[];
  readonly singleRates: readonly number[];
  readonly seconds: number;
  readonly stages: readonly (typeof stages)[number][];
  readonly temporal: TemporalKind;
  readonly open: boolean;
}

/** One measurement. */
interface Load {
  readonly rate: number;
  readonly seconds: number;
  readonly temporal: TemporalKind;
  /** Whether nobody is asked who calls, and nobody's calls are counted. */
  readonly open: boolean;
  /** Environment variables of the orders service. */
  readonly orders: Readonly<Record<string, string>>;
}

/** Counts to confirmed. */
async function measureConfirmed({ rate, seconds, orders, ...how }: Load): Promise<void> {
  progress(`${rate} orders/s, to confirmed: starting a stack`);
  await using shop = await Shop.open({ environment: { orders, simulators: noPacking }, ...how });
  await shop.arrive(warmUp);
  await pause(restMs);
  const [before, wal, since] = [await shop.cpu(), await shop.wal(), await shop.now()];
  progress(`orders arrive for ${seconds} s`);
  const arrivals = await shop.arrive({ rate, seconds });
  const cpu = shares(before, await shop.cpu(), arrivals.confirmed.length / 1_000);
  const written = walCosts(wal, await shop.wal(), arrivals.confirmed.length);
  const { perWorkflow } = await shop.standing(since);
  console.log(`  to confirmed: ${summary(arrivals)}`);
  console.log(`    ${perWorkflow.toFixed(1)} orders per workflow; ${written}; ${costs(cpu)}`);
}

/**
 * Counts to delivered, with everything else that goes on then.
 *
 * @returns CPU milliseconds per delivered order, by process; undefined when the rate is not carried
 */
async function measureDelivered({ rate, seconds, orders, ...how }: Load): Promise<ByProcess | undefined> {
  progress(`${rate} orders/s, to delivered: starting a stack`);
  await using shop = await Shop.open({ environment: { orders, simulators: packing }, ...how });
  const begin = await shop.now();
  progress(`orders arrive for ${leadMs / 1_000} s and then, measured, for ${seconds} s`);
  const [arrivals, { cpu, written }] = await Promise.all([
    shop.arrive({ rate, seconds: leadMs / 1_000 + seconds }),
    pause(leadMs).then(() => inFullSwing(shop, seconds)),
  ]);
  console.log(`  to delivered: ${summary(arrivals)}`);
  if (arrivals.confirmed.length < carriedShare * arrivals.arrived) {
    console.log(`    fewer than ${carriedShare * 100} % in time: ${rate}/s is not carried`);
    if (orders === single) return undefined;
  }
  const start = performance.now();
  const inTime = await shop.until(begin, endStatuses, deliveryDeadlineMs);
  const { statuses, perWorkflow } = await shop.standing(begin);
  const tail = ((performance.now() - start) / 1_000).toFixed(0);
  const all = [...statuses].map(([status, count]) => `${count} ${status}`).join(", ");
  console.log(`    ${all}, ${tail} s after the last answer${inTime ? "" : ", which is too late"}`);
  console.log(`    ${perWorkflow.toFixed(1)} orders per last workflow; ${written}; ${costs(cpu)}`);
  return inTime ? cpu : undefined;
}

/** CPU milliseconds, by process, and WAL per order that is delivered in these seconds. */
async function inFullSwing(shop: Shop, seconds: number): Promise<{ cpu: ByProcess; written: string }> {
  const [before, wal, since] = [await shop.cpu(), await shop.wal(), await shop.now()];
  await pause(seconds * 1_000);
  const [after, walAfter] = [await shop.cpu(), await shop.wal()];
  const delivered = await shop.delivered(since);
  return { cpu: shares(before, after, delivered / 1_000), written: walCosts(wal, walAfter, delivered) };
}

function summary({ arrived, confirmed, refused, others, goodput }: Arrivals): string {
  const [p50, p99] = [quantile(confirmed, 0.5), quantile(confirmed, 0.99)];
  const parts = [
    `${confirmed.length} of ${arrived} confirmed within ${callerDeadlineMs / 1_000} s`,
    `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
    `${refused.length} refused at once${refused.length > 0 ? ` (p99 ${quantile(refused, 0.99).toFixed(0)} ms)` : ""}`,
    `${others} others`,
    `goodput ${goodput.toFixed(1)}/s`,
  ];
  return parts.join(", ");
}

/** All rates our way. Returns what was counted to delivered, by rate. */
async function measureOurs({ rates, stages: wanted, ...how }: Options): Promise<Map<number, ByProcess>> {
  const results = new Map<number, ByProcess>();
  for (const rate of rates) {
    console.log(`batches of up to 64, ${rate} orders/s`);
    const load = { ...how, rate, orders: {} };
    if (wanted.includes("confirmed")) await measureConfirmed(load);
    const cpu = wanted.includes("delivered") && (await measureDelivered(load));
    if (cpu) results.set(rate, cpu);
  }
  return results;
}

/** Batches of one, up to the first rate that they do not carry. */
async function measureSingles({ singleRates, ...how }: Options): Promise<Map<number, ByProcess>> {
  const results = new Map<number, ByProcess>();
  for (const rate of singleRates) {
    console.log(`batches of one, ${rate} orders/s`);
    const cpu = await measureDelivered({ ...how, rate, orders: single });
    if (!cpu) break;
    results.set(rate, cpu);
  }
  return results;
}

function compare(ours: ReadonlyMap<number, ByProcess>, singles: ReadonlyMap<number, ByProcess>): void {
  const rate = Math.max(...[...ours.keys()].filter((one) => one <= comparedRate));
  const singleRate = Math.max(...singles.keys());
  const [our, one] = [ours.get(rate), singles.get(singleRate)];
  if (!our || !one) throw new Error("there is no rate at which both sides had every order delivered in time");
  const sameRate = ours.get(singleRate);
  const same = sameRate ? `; ours at that rate ${total(sameRate).toFixed(2)} ms` : "";
  console.log(`\nto delivered: ours at ${rate}/s ${total(our).toFixed(2)} ms of CPU per order`);
  console.log(`batches of one at ${singleRate}/s, the most that they carry: ${total(one).toFixed(2)} ms${same}`);
  console.log(`ratio: ${(total(one) / total(our)).toFixed(2)}`);
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rates: { type: "string", default: "5,20,50,100,200" },
      "single-rates": { type: "string", default: "5,10,15,20,50" },
      seconds: { type: "string", default: "25" },
      stages: { type: "string", default: stages.join(",") },
      "without-credentials": { type: "boolean", default: false },
      ...temporalOption,
    },
  });
  return {
    rates: positives("rates", values.rates),
    singleRates: positives("single-rates", values["single-rates"]),
    seconds: positive("seconds", values.seconds),
    stages: some("stages", values.stages, stages),
    temporal: temporalKind(values.temporal),
    open: values["without-credentials"],
  };
}

/**
 * Measures what is asked for and prints it; the last line is the ratio of CPU per order to delivered, batches of one against
 * ours, when both were measured.
 *
 * @param args `--rates 5,20,50,100,200`, `--single-rates 5,10,15,20,50`, `--seconds 25`,
 * `--stages confirmed,delivered,single`, `--temporal dev|postgres`, `--without-credentials`: nobody is asked who calls, and no calls are counted
 */
export async function bench(args: readonly string[]): Promise<void> {
  const options = parse(args);
  sayMachine(options.temporal);
  const doors = options.open ? "nobody is asked who calls, and no calls are counted" : "callers are asked, and counted";
  console.log(
    `arrivals for ${options.seconds} s at each rate, packing 5 to 30 s, a stack of its own for each; ${doors}\n`,
  );
  const ours = await measureOurs(options);
  if (!options.stages.includes("single")) return;
  const singles = await measureSingles(options);
  if (ours.size > 0) compare(ours, singles);
}
