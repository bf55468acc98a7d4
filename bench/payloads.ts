// What it costs that Temporal keeps ciphertext: CPU per order from its arrival to its delivery, encrypted against plain. Each measurement
// has a stack of its own; the sides take turns, and the second time in the opposite order, as a machine may become slower meanwhile.
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type ByProcess, costs, endStatuses, Shop, shares, total } from "./open-load.ts";
import { positive, progress, sayMachine, temporalKind, temporalOption } from "./options.ts";

type Side = "encrypted" | "plain";

/** Packing takes 1 to 5 s, at random, so that everything is over soon after the last arrival. */
const packing = { PACKING_MS: "1000", PACKING_SPREAD_MS: "4000" };
/** Processes that have just started are slow: these orders are not counted. */
const warmUp = { rate: 20, seconds: 10 };
const restMs = 8_000;
const deadlineMs = 60_000;

async function measure(side: Side, options: ReturnType<typeof parse>): Promise<ByProcess> {
  const { rate, seconds, temporal } = options;
  progress(`${side}: starting a stack`);
  await using shop = await Shop.open({
    environment: { simulators: packing, worker: { TEMPORAL_PAYLOADS: side } },
    temporal,
  });
  await shop.arrive(warmUp);
  await pause(restMs);
  const [before, since] = [await shop.cpu(), await shop.now()];
  progress(`orders arrive for ${seconds} s`);
  const { arrived } = await shop.arrive({ rate, seconds });
  if (!(await shop.until(since, endStatuses, deadlineMs))) throw new Error(`${rate} orders/s are not carried`);
  const cpu = shares(before, await shop.cpu(), arrived / 1_000);
  console.log(`  ${side.padEnd(9)} ${costs(cpu)}`);
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

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return ((sorted[Math.floor((sorted.length - 1) / 2)] ?? 0) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? 0)) / 2;
}

/**
 * Measures both and prints them; the last line is the ratio of CPU per order, encrypted against plain: medians of all turns.
 *
 * @param args `--rate 50`, `--seconds 25`, `--turns 2`, `--temporal dev|postgres`
 */
export async function bench(args: readonly string[]): Promise<void> {
  const options = parse(args);
  sayMachine(options.temporal);
  const measured: Record<Side, ByProcess[]> = { encrypted: [], plain: [] };
  for (let turn = 0; turn < options.turns; turn++) {
    const sides: readonly Side[] = turn % 2 === 0 ? ["plain", "encrypted"] : ["encrypted", "plain"];
    for (const side of sides) measured[side].push(await measure(side, options));
  }
  const [encrypted, plain] = [middle(measured.encrypted.map(total)), middle(measured.plain.map(total))];
  const worker = (side: Side) => middle(measured[side].map((cpu) => cpu.get("worker") ?? 0)).toFixed(2);
  console.log(`CPU per order: encrypted ${encrypted.toFixed(2)} ms, plain ${plain.toFixed(2)} ms`);
  console.log(`of that in the worker: encrypted ${worker("encrypted")} ms, plain ${worker("plain")} ms`);
  console.log(`ratio: ${(encrypted / plain).toFixed(3)}`);
}
