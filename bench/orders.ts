// Orders per second from CreateOrder to CONFIRMED, on the real services with real PostgreSQL and Temporal, 256 callers in a
// closed loop: batches of orders against batches of one, or this commit against another one, in turn.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { plainClients } from "../dev/shop/clients.ts";
import { freePorts } from "../dev/stack/free-ports.ts";
import { components, type TemporalKind } from "../dev/stack/layout.ts";
import { Stack } from "../dev/stack/stack.ts";
import { checkoutOf } from "./checkout.ts";
import { cpuSeconds } from "./cpu.ts";
import { quantile } from "./open-load.ts";
import { progress, sayMachine, temporalKind, temporalOption } from "./options.ts";
import { type Addresses, caller, packingMs, prepare, Tally } from "./order-load.ts";
import type { OtherStack } from "./other-stack.ts";

const callerCount = 256;
const warmUpMs = 8_000;
const measureMs = 25_000;
/** A side that confirmed fewer says nothing: it is measured on, for at most this many times as long. */
const minConfirmed = 200;
const maxRounds = 4;
/** How long another checkout's stack may take to start. */
const startMs = 120_000;

/** A stack that can be measured. */
interface Subject extends Addresses, Pick<Stack, "headers">, AsyncDisposable {
  /** CPU seconds so far of each component. */
  cpu(): Promise<Map<string, number>>;
}

/** One of the two ways to run. */
interface Side {
  readonly name: string;
  start(): Promise<Subject>;
}

interface Result {
  readonly confirmed: number;
  readonly others: number;
  readonly seconds: number;
  /** Milliseconds of every confirmed order. */
  readonly latencies: readonly number[];
  /** CPU seconds, by process. */
  readonly cpu: ReadonlyMap<string, number>;
}

/** This commit, with batches of so many orders. */
function ours(name: string, listMax: number, temporal: TemporalKind): Side {
  const environment = {
    orders: { ORDER_LIST_MAX: String(listMax) },
    simulators: { PACKING_MS: String(packingMs) },
  };
  return {
    name,
    async start() {
      const stack = await Stack.start({ ports: await freePorts(), environment, temporal, say: progress });
      return {
        address: (service) => stack.address(service),
        headers: stack.headers,
        cpu: () => usage(new Map(components.map((component) => [component, stack.pids(component)]))),
        [Symbol.asyncDispose]: () => stack.stop(),
      };
    },
  };
}

/** Another commit, run by its own code. */
function other(commit: string): Side {
  return {
    name: commit,
    async start() {
      const script = join(import.meta.dirname, "other-stack.ts");
      const args = [script, await checkoutOf(commit)];
      const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      const timer = setTimeout(() => child.kill(), startMs);
      let line = "";
      for await (line of createInterface({ input: child.stdout })) break;
      clearTimeout(timer);
      if (line === "") throw new Error(`the stack of ${commit} did not start`);
      const { addresses, headers, pids } = JSON.parse(line) as OtherStack;
      return {
        address: (service) => addresses[service],
        headers,
        cpu: () => usage(new Map(Object.entries(pids).map(([component, pid]) => [component, [pid]]))),
        async [Symbol.asyncDispose]() {
          child.stdin.end();
          await ended;
        },
      };
    },
  };
}

async function usage(pids: ReadonlyMap<string, readonly number[]>): Promise<Map<string, number>> {
  const entries = [...pids].map(async ([name, each]) => [name, sum(await Promise.all(each.map(cpuSeconds)))] as const);
  const { user, system } = process.cpuUsage();
  return new Map([...(await Promise.all(entries)), ["callers", (user + system) / 1e6]]);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function measure(side: Side): Promise<Result> {
  progress(`${side.name}: starting a stack`);
  await using subject = await side.start();
  const clients = plainClients(subject);
  const customerIds = await prepare(subject, clients);
  const orders = clients.client(OrderService, subject.address("orders"));
  const tally = new Tally();
  const stopped = new AbortController();
  const callers = Array.from({ length: callerCount }, (_, index) =>
    caller(orders, customerIds[index % customerIds.length] ?? "", { tally, until: stopped.signal }),
  );
  await pause(warmUpMs);
  const [before, start] = [await subject.cpu(), performance.now()];
  tally.counting = true;
  for (let round = 0; round < maxRounds && tally.latencies.length < minConfirmed; round += 1) await pause(measureMs);
  tally.counting = false;
  const [after, seconds] = [await subject.cpu(), (performance.now() - start) / 1000];
  stopped.abort();
  await Promise.race([Promise.all(callers), pause(5_000)]);
  clients.close();
  const confirmed = tally.latencies.length;
  if (confirmed < minConfirmed)
    throw new Error(`only ${confirmed} orders were confirmed: the machine is too busy to compare`);
  const cpu = new Map([...after].map(([name, used]) => [name, used - (before.get(name) ?? 0)]));
  return { confirmed, others: tally.others, seconds, latencies: tally.latencies, cpu };
}

/** What all turns of a side gave together. */
function together(results: readonly Result[]): Result {
  const names = [...(results[0]?.cpu.keys() ?? [])];
  return {
    confirmed: sum(results.map(({ confirmed }) => confirmed)),
    others: sum(results.map(({ others }) => others)),
    seconds: sum(results.map(({ seconds }) => seconds)),
    latencies: results.flatMap(({ latencies }) => latencies),
    cpu: new Map(names.map((name) => [name, sum(results.map(({ cpu }) => cpu.get(name) ?? 0))])),
  };
}

function perSecond({ confirmed, seconds }: Result): number {
  return confirmed / seconds;
}

/** CPU milliseconds per order, of all processes but the callers. */
function cpuPerOrder({ cpu, confirmed }: Result): number {
  return (sum([...cpu].map(([process, seconds]) => (process === "callers" ? 0 : seconds))) * 1_000) / confirmed;
}

function print(name: string, result: Result): void {
  const { latencies, others, cpu, confirmed } = result;
  const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
  console.log(
    `${name}: ${perSecond(result).toFixed(0)} orders/s, p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, ${others} not confirmed`,
  );
  const parts = [...cpu].map(([process, seconds]) => `${process} ${((seconds * 1_000) / confirmed).toFixed(2)}`);
  console.log(`  CPU ms per order: ${parts.join(", ")}; all but the callers ${cpuPerOrder(result).toFixed(2)}`);
}

/** Measures both sides so many turns each, there and back: a machine that becomes slower is nobody's advantage. */
async function measureInTurn(first: Side, second: Side, turns: readonly Side[]): Promise<[Result, Result]> {
  const results = new Map<Side, Result[]>([
    [first, []],
    [second, []],
  ]);
  for (const side of turns) {
    const result = await measure(side);
    print(side.name, result);
    results.get(side)?.push(result);
  }
  return [together(results.get(first) ?? []), together(results.get(second) ?? [])];
}

/** Prints, as the last line, how many times our CPU per order the other commit takes. */
async function against(commit: string): Promise<void> {
  const [here, there] = [ours("this commit", 64, "dev"), other(commit)];
  const [our, their] = await measureInTurn(here, there, [here, there, there, here]);
  print("\nboth turns, this commit", our);
  print(`both turns, ${commit}`, their);
  const less = 1 - cpuPerOrder(our) / cpuPerOrder(their);
  console.log(`CPU per order is ${(less * 100).toFixed(0)} % below ${commit}`);
  console.log(`ratio: ${(cpuPerOrder(their) / cpuPerOrder(our)).toFixed(2)}`);
}

/**
 * Measures both sides and prints them; the last line is the ratio of the orders per second, or, against another commit, of
 * the CPU per order.
 *
 * @param args `--against <commit>`, `--temporal dev|postgres`
 */
export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { against: { type: "string" }, ...temporalOption } });
  const temporal = temporalKind(values.temporal);
  if (values.against !== undefined && temporal !== "dev")
    throw new Error("--against goes with --temporal dev: the other commit may know no other");
  sayMachine(temporal);
  console.log(`${callerCount} callers, ${measureMs / 1000} s each after ${warmUpMs / 1000} s of warming up\n`);
  if (values.against !== undefined) return against(values.against);
  const [batches, single] = [ours("batches of up to 64", 64, temporal), ours("batches of one", 1, temporal)];
  const [many, one] = await measureInTurn(batches, single, [batches, single]);
  console.log(`ratio: ${(perSecond(many) / perSecond(one)).toFixed(2)}`);
}
