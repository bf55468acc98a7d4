// Two ways to run the same stack, compared by CPU per order from its arrival to its delivery. Each measurement has a stack of its own; the
// sides take turns, and the second time in the opposite order, as a machine may become slower meanwhile.
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Component } from "../dev/stack/layout.ts";
import { median } from "./median.ts";
import { type ByProcess, costs, Shop, type ShopOptions, shares, total } from "./open-load.ts";
import { positive, progress, sayMachine, temporalKind, temporalOption } from "./options.ts";

/** Packing takes 1 to 5 s, at random, so that everything is over soon after the last arrival. */
const packing = { PACKING_MS: "1000", PACKING_SPREAD_MS: "4000" };
/** Processes that have just started are slow: these orders are not counted. */
const warmUp = { rate: 20, seconds: 10 };
const restMs = 8_000;
const deadlineMs = 60_000;

/** A way to run. */
export interface Side {
  readonly name: string;
  /** Environment variables, by process. */
  readonly environment: ShopOptions["environment"];
}

/** What is compared. */
export interface Comparison {
  readonly side: Side;
  /** What the side is measured against. */
  readonly against: Side;
  /** Where the difference is looked for. */
  readonly process: Component;
}

async function measure({ name, environment }: Side, options: ReturnType<typeof parse>): Promise<ByProcess> {
  const { rate, seconds, temporal } = options;
  progress(`${name}: starting a stack`);
  await using shop = await Shop.open({ environment: { ...environment, simulators: packing }, temporal });
  await shop.arrive(warmUp);
  await pause(restMs);
  const [before, since] = [await shop.cpu(), await shop.now()];
  progress(`orders arrive for ${seconds} s`);
  const { arrived } = await shop.arrive({ rate, seconds });
  if (!(await shop.until(since, ["delivered"], deadlineMs))) {
    const { statuses } = await shop.standing(since);
    throw new Error(`not all were delivered: ${JSON.stringify(Object.fromEntries(statuses))}`);
  }
  const cpu = shares(before, await shop.cpu(), arrived / 1_000);
  console.log(`  ${name.padEnd(10)} ${costs(cpu)}`);
  return cpu;
}

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rate: { type: "string", default: "50" },
      seconds: { type: "string", default: "25" },
      turns: { type: "string", default: "2" },
      ...temporalOption,
    },
  });
  return {
    rate: positive("rate", values.rate),
    seconds: positive("seconds", values.seconds),
    turns: positive("turns", values.turns),
    temporal: temporalKind(values.temporal),
  };
}

/**
 * Measures both and prints them; the last line is the ratio of CPU per order, the side against the other: medians of all turns.
 *
 * @param args `--rate 50`, `--seconds 25`, `--turns 2`, `--temporal dev|postgres`
 */
export async function takeTurns({ side, against, process }: Comparison, args: readonly string[]): Promise<void> {
  const options = parse(args);
  sayMachine(options.temporal);
  console.log(`${options.rate} orders/s for ${options.seconds} s, ${options.turns} turns\n`);
  const ours: ByProcess[] = [];
  const others: ByProcess[] = [];
  for (let turn = 0; turn < options.turns; turn++) {
    const turns = [
      async () => others.push(await measure(against, options)),
      async () => ours.push(await measure(side, options)),
    ];
    for (const take of turn % 2 === 0 ? turns : turns.toReversed()) await take();
  }
  const say = (what: string, of: (cpu: ByProcess) => number) => {
    const [mine, other] = [median(ours.map(of)), median(others.map(of))];
    console.log(`${what}: ${side.name} ${mine.toFixed(2)} ms, ${against.name} ${other.toFixed(2)} ms`);
    return mine / other;
  };
  say(`of ${process}`, (cpu) => cpu.get(process) ?? 0);
  console.log(`ratio: ${say("CPU per order", total).toFixed(3)}`);
}
