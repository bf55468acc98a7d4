// What orders cost that only wait: CPU and memory at rest with many orders being packed for hours, against the same number
// of orders that have been delivered; and CPU per order while others arrive.
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { TemporalKind } from "../dev/stack/layout.ts";
import { type ByProcess, Shop, shares, total } from "./open-load.ts";
import { positive, progress, sayMachine, some, temporalKind, temporalOption } from "./options.ts";

/** Packing takes hours, the way to the customer no time. */
const simulators = { PACKING_MS: String(6 * 3_600_000), CARRIER_TRANSIT_MS: "0" };
/** After the last order has come to rest. */
const settleMs = 15_000;
const restMs = 30_000;
/** How long all orders may take to come to rest. */
const deadlineMs = 20 * 60_000;

/** The two ways to run: where every order is before it is measured. */
const sides = ["none", "all"] as const;

type Side = (typeof sides)[number];

/** What is asked for on the command line. */
interface Options {
  readonly orders: number;
  readonly rate: number;
  readonly seconds: number;
  readonly wait: readonly Side[];
  readonly temporal: TemporalKind;
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

async function measure(side: Side, { orders, rate, seconds, temporal }: Options): Promise<Measured> {
  progress(`${side} of ${orders} orders wait: starting a stack`);
  await using shop = await Shop.open({ environment: { simulators }, temporal });
  await fill(shop, side, orders);
  await pause(settleMs);
  progress(`measuring ${restMs / 1_000} s at rest`);
  const before = await shop.cpu();
  await pause(restMs);
  const atRest = shares(before, await shop.cpu(), restMs / 1_000);
  const memory = await shop.memory();
  progress(`orders arrive for ${seconds} s`);
  const busy = await shop.cpu();
  const arrivals = await shop.arrive({ rate, seconds });
  const arriving = shares(busy, await shop.cpu(), arrivals.confirmed.length / 1_000);
  console.log(`${side} of ${orders} orders wait`);
  console.log(`  at rest ${list(atRest, (cores) => `${(cores * 100).toFixed(1)} %`)} of a core`);
  console.log(`  memory ${list(memory, (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`)}`);
  const confirmed = `${arrivals.confirmed.length} of ${arrivals.arrived} confirmed`;
  console.log(`  ${confirmed} at ${rate}/s, CPU per order ${list(arriving, (ms) => `${ms.toFixed(2)} ms`)}`);
  return { atRest, memory, arriving };
}

/** Returns when every order is where its side wants it. @throws Error that says how the orders stand after the deadline */
async function fill(shop: Shop, side: Side, orders: number): Promise<void> {
  const [begin, start] = [await shop.now(), performance.now()];
  progress(`placing ${orders} orders`);
  await shop.fill(orders);
  let there = await shop.until(begin, ["preparing"], deadlineMs);
  if (there && side === "none") there = await shop.deliverAll(begin, deadlineMs);
  if (!there) {
    const { statuses } = await shop.standing(begin);
    throw new Error(`orders did not come to rest: ${JSON.stringify(Object.fromEntries(statuses))}`);
  }
  progress(`all have come to rest after ${((performance.now() - start) / 1_000).toFixed(0)} s`);
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
      wait: { type: "string", default: sides.join(",") },
      ...temporalOption,
    },
  });
  return {
    orders: positive("orders", values.orders),
    rate: positive("rate", values.rate),
    seconds: positive("seconds", values.seconds),
    wait: some("wait", values.wait, sides),
    temporal: temporalKind(values.temporal),
  };
}

/**
 * Measures both sides and prints them; the last line is the ratio of CPU at rest, with orders that wait against none.
 *
 * @param args `--orders 10000`, `--rate 20` and `--seconds 25` of the orders that arrive at last, `--wait none,all` for one
 * side alone, `--temporal dev|postgres`
 */
export async function bench(args: readonly string[]): Promise<void> {
  const options = parse(args);
  sayMachine(options.temporal);
  console.log(`${options.orders} orders on each side, ${restMs / 1_000} s at rest, then ${options.rate} orders/s\n`);
  const results = new Map<Side, Measured>();
  for (const side of sides.filter((one) => options.wait.includes(one))) results.set(side, await measure(side, options));
  const [few, many] = [results.get("none"), results.get("all")];
  if (!few || !many) return;
  console.log(`\nall wait against none: memory ${ratios(many.memory, few.memory)}`);
  console.log(`CPU per order while others arrive ${(total(many.arriving) / total(few.arriving)).toFixed(2)}`);
  console.log(`ratio: ${(total(many.atRest) / total(few.atRest)).toFixed(2)}`);
}
