// What it costs to compare the books of few orders and of five times as many: time, CPU of the process, and memory.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { databaseVariable } from "../services/books/src/config.ts";
import { fillShelves, writeManyOrders } from "../services/books/test/many-orders.ts";
import { openWorld, type World } from "../services/books/test/world.ts";
import { accountedServices } from "../services/services.ts";
import { type ServedSimulators, serveSimulators } from "../services/simulators/test/served-simulators.ts";
import { cpuSeconds } from "./cpu.ts";

const main = fileURLToPath(import.meta.resolve("../services/books/src/main.ts"));
const lookEveryMs = 20;

interface Measured {
  readonly seconds: number;
  readonly cpu: number;
  /** The most memory that the process had, in MiB. */
  readonly mib: number;
  /** What the process wrote at last. */
  readonly last: Readonly<Record<string, unknown>>;
}

/** What the program asks. */
interface Measurable {
  readonly urls: World["urls"];
  readonly simulators: ServedSimulators;
}

/** Runs the program as the image does, and looks at it. */
async function measure({ urls, simulators }: Measurable): Promise<Measured> {
  const given = accountedServices.map((service) => [databaseVariable(service), urls[service]] as const);
  const addresses = { GATEWAY_CONNECTOR_ADDRESS: simulators.address, CARRIER_CONNECTOR_ADDRESS: simulators.address };
  const env = { ...Object.fromEntries(given), ...addresses, LOG_FORMAT: "json", BOOKS_DEADLINE_MS: "3600000" };
  const start = performance.now();
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  const output = text(child.stdout);
  let [cpu, mib] = [0, 0];
  while (child.exitCode === null) {
    cpu = Math.max(cpu, await cpuSeconds(child.pid));
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    mib = Math.max(mib, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024);
    await Promise.race([ended, pause(lookEveryMs)]);
  }
  await ended;
  const seconds = (performance.now() - start) / 1_000;
  const lines = (await output).split("\n").filter(Boolean);
  return { seconds, cpu, mib, last: JSON.parse(lines.at(-1) ?? "{}") };
}

async function compare(books: Measurable, orders: number): Promise<Measured> {
  const measured = await measure(books);
  const { seconds, cpu, mib, last } = measured;
  if (last["books.orders"] !== orders || last["books.findings"] !== 0) throw new Error(JSON.stringify(last));
  const each = `${((seconds * 1_000) / orders).toFixed(3)} ms each, ${((cpu * 1_000) / orders).toFixed(3)} ms of it CPU of its own`;
  const read = `at most ${last["books.most_rows"]} rows and ${last["books.longest_moment_ms"]} ms at a time`;
  console.log(`${orders} orders: ${seconds.toFixed(1)} s, ${each}; ${mib.toFixed(0)} MiB; ${read}`);
  return measured;
}

/** Prints both sides and how much more memory the larger one took. */
export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { orders: { type: "string", default: "20000" } } });
  const few = Number(values.orders);
  if (!Number.isInteger(few) || few < 1) throw new Error(`--orders is a whole number above 0, not "${values.orders}"`);
  const world = await openWorld();
  const simulators = await serveSimulators(world.databases.simulators.url);
  const books = { urls: world.urls, simulators };
  await fillShelves(world.change);
  await writeManyOrders(world.change, { from: 1, to: few });
  const first = await compare(books, few);
  await writeManyOrders(world.change, { from: few + 1, to: 5 * few });
  const second = await compare(books, 5 * few);
  await simulators[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
  console.log(`ratio: ${(second.mib / first.mib).toFixed(2)}`);
}
