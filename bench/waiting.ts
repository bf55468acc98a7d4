// What orders cost that only wait: CPU and memory at rest with many orders being packed for hours, against the same number
// of orders that have been delivered; and CPU per order while others arrive.

import { availableParallelism, cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type ByProcess, Shop, shares, total } from "./open-load.ts";

/** Packing takes hours, the way to the customer no time. */
const shipping = { PACKING_MS: String(6 * 3_600_000), CARRIER_TRANSIT_MS: "0" };
/** How often the parcels that are there by then are packed, until all orders are delivered. */
const packEveryMs = 5_000;
/** After the last order has come to rest. */
const settleMs = 20_000;
const restMs = 30_000;
/** How long all orders may take to come to rest. */
const deadlineMs = 20 * 60_000;

/** One of the two ways to run. */
interface Side {
  readonly name: string;
  /** Where every order comes to rest before it is measured. */
  readonly status: string;
}

const none: Side = { name: "none waits", status: "delivered" };
const waiting: Side = { name: "all wait", status: "preparing" };

/** What is asked for on the command line. */
interface Options {
  readonly orders: number;
  readonly rate: number;
  readonly seconds: number;
}

/** What a side gave. */
interface Measured {
  /** Cores, by process. */
  readonly atRest: ByProcess;
  /** Bytes, by process. */
  readonly memory: ByProcess;
  /** CPU milliseconds per confirmed order, by process. */
  readonly arriving: ByProcess;
}

async function measure(side: Side, { orders, rate, seconds }: Options): Promise<Measured> {
  await using shop = await Shop.open({ shipping });
  const begin = await shop.now();
  const start = performance.now();
  await shop.fill(orders);
  if (!(await shop.until(begin, [waiting.status], deadlineMs))) await fail(shop, begin, waiting);
  if (side === none) await deliverAll(shop, begin);
  const filled = ((performance.now() - start) / 1_000).toFixed(0);
  await pause(settleMs);
  const before = await shop.cpu();
  await pause(restMs);
  const atRest = shares(before, await shop.cpu(), restMs / 1_000);
  const memory = await shop.memory();
  const busy = await shop.cpu();
  const arrivals = await shop.arrive({ rate, seconds });
  const arriving = shares(busy, await shop.cpu(), arrivals.confirmed.length / 1_000);
  console.log(`${side.name}: ${orders} orders ${side.status} after ${filled} s`);
  console.log(`  at rest ${list(atRest, (cores) => `${(cores * 100).toFixed(1)} %`)} of a core`);
  console.log(`  memory ${list(memory, (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`)}`);
  const confirmed = `${arrivals.confirmed.length} of ${arrivals.arrived} confirmed`;
  console.log(`  ${confirmed} at ${rate}/s, CPU per order ${list(arriving, (ms) => `${ms.toFixed(2)} ms`)}`);
  return { atRest, memory, arriving };
}

/** An order is being prepared some moments before its parcel is there to be packed. */
async function deliverAll(shop: Shop, begin: Date): Promise<void> {
  const end = performance.now() + deadlineMs;
  do {
    if (performance.now() > end) await fail(shop, begin, none);
    await shop.packAll();
  } while (!(await shop.until(begin, [none.status], packEveryMs)));
}

async function fail(shop: Shop, begin: Date, { status }: Side): Promise<never> {
  const { statuses } = await shop.standing(begin);
  throw new Error(`not every order came to ${status}: ${JSON.stringify(Object.fromEntries(statuses))}`);
}

function list(of: ByProcess, format: (value: number) => string): string {
  const parts = [...of].map(([process, value]) => `${process} ${format(value)}`);
  return `${format(total(of))} (${parts.join(", ")})`;
}

function ratios(many: ByProcess, few: ByProcess): string {
  return [...many].map(([name, value]) => `${name} ${(value / (few.get(name) ?? Number.NaN)).toFixed(2)}`).join(", ");
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      orders: { type: "string", default: "10000" },
      rate: { type: "string", default: "20" },
      seconds: { type: "string", default: "25" },
    },
  });
  const options = { orders: Number(values.orders), rate: Number(values.rate), seconds: Number(values.seconds) };
  for (const [name, value] of Object.entries(options)) {
    if (!(value > 0)) throw new Error(`--${name} wants a number`);
  }
  return options;
}

/**
 * Measures both sides and prints them; the last line is the ratio of CPU at rest, with orders that wait against none.
 *
 * @param args `--orders 10000`, `--rate 20` and `--seconds 25` of the orders that arrive at last
 */
export async function bench(args: readonly string[]): Promise<void> {
  const options = parse(args);
  console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
  console.log(`${options.orders} orders on each side, ${restMs / 1_000} s at rest, then ${options.rate} orders/s\n`);
  const few = await measure(none, options);
  const many = await measure(waiting, options);
  console.log(`\nall wait against none: memory ${ratios(many.memory, few.memory)}`);
  console.log(`CPU per order while others arrive ${(total(many.arriving) / total(few.arriving)).toFixed(2)}`);
  console.log(`ratio: ${(total(many.atRest) / total(few.atRest)).toFixed(2)}`);
}
