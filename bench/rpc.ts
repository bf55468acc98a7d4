// Unary calls per second: our gRPC face against a gRPC server of connect-node and against bare grpc-js. The same message,
// the same work per call, one load generator; the rounds alternate, and the median counts.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { freePorts } from "../dev/stack/free-ports.ts";
import { tool } from "../dev/tools/tool.ts";
import { median } from "./median.ts";
import type { Contender, Surroundings } from "./rpc/contenders.ts";
import type { Round, RoundResult } from "./rpc/load.ts";
import { makeTokens } from "./rpc/tokens.ts";

const names: readonly Contender[] = ["ours", "shared", "guarded", "unlimited", "connect-node", "grpc-js"];
const roundCount = 11;
const roundMs = 1_500;
const warmUpMs = 3_000;

/** The next message of a child; an error when it ends instead. */
function answerOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`a process of the benchmark ended with ${code}`));
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      resolve(message as T);
    });
  });
}

function start(file: string, ...args: string[]): ChildProcess {
  return fork(join(import.meta.dirname, "rpc", file), args);
}

/** One round of one contender. */
interface Measured extends RoundResult {
  /** CPU time of the server per call. */
  readonly cpuMicroseconds: number;
}

type Results = ReadonlyMap<Contender, Measured[]>;

function row(name: string, results: readonly Measured[]): string {
  const columns = [
    median(results.map((result) => result.perSecond)).toFixed(0),
    median(results.map((result) => result.cpuMicroseconds)).toFixed(0),
    median(results.map((result) => result.p50)).toFixed(2),
    median(results.map((result) => result.p99)).toFixed(2),
    String(results.reduce((sum, result) => sum + result.failures, 0)),
  ];
  return `${name.padEnd(14)}${columns.map((column) => column.padStart(9)).join("")}`;
}

const perSecond = (result: Measured) => result.perSecond;
/** How many calls go into a second of the server's CPU time. */
const perCpuSecond = (result: Measured) => 1 / result.cpuMicroseconds;

/** How many times as much one contender does as another; each round is compared with its neighbour in time. */
function ratio(results: Results, [one, other]: readonly [Contender, Contender], of = perSecond): string {
  const theirs = results.get(other) ?? [];
  const rounds = (results.get(one) ?? []).map((mine, index) => {
    const neighbour = theirs[index];
    return neighbour ? of(mine) / of(neighbour) : Number.NaN;
  });
  return median(rounds).toFixed(2);
}

/** A contender's process and its port. */
interface Server {
  readonly child: ChildProcess;
  readonly port: number;
  /** What its callers show. */
  readonly tokens: readonly string[] | undefined;
}

function cpuOf(child: ChildProcess): Promise<number> {
  child.send("cpu");
  return answerOf<number>(child);
}

async function round(load: ChildProcess, server: Server, milliseconds: number): Promise<Measured> {
  const { child, port, tokens } = server;
  const before = await cpuOf(child);
  load.send({ port, milliseconds, tokens } satisfies Round);
  const result = await answerOf<RoundResult>(load);
  if (result.failures > 0 || result.calls === 0) throw new Error(`${result.failures} calls failed`);
  return { ...result, cpuMicroseconds: ((await cpuOf(child)) - before) / result.calls };
}

async function measure(load: ChildProcess, servers: ReadonlyMap<Contender, Server>): Promise<Results> {
  const results = new Map<Contender, Measured[]>(names.map((name) => [name, []]));
  for (const server of servers.values()) await round(load, server, warmUpMs);
  for (let index = 0; index < roundCount; index += 1) {
    for (const [name, server] of servers) results.get(name)?.push(await round(load, server, roundMs));
  }
  return results;
}

/** Measures the servers and prints them; the last line is the ratio to connect-node. */
export async function bench(): Promise<void> {
  const children: ChildProcess[] = [];
  let store: ChildProcess | undefined;
  try {
    const [storePort = 0] = (await freePorts()).spare;
    const settings = ["--port", String(storePort), "--bind", "127.0.0.1", "--save", ""];
    store = spawn(await tool("redis-server"), settings, { stdio: "ignore" });
    const { key, tokens } = await makeTokens();
    const surroundings: Surroundings = { store: `redis://127.0.0.1:${storePort}`, key };
    const servers = new Map<Contender, Server>();
    for (const name of names) {
      const child = start("server.ts", name, JSON.stringify(surroundings));
      children.push(child);
      servers.set(name, {
        child,
        port: await answerOf<number>(child),
        tokens: name === "guarded" ? tokens : undefined,
      });
    }
    const load = start("load.ts");
    children.push(load);
    const results = await measure(load, servers);
    console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
    console.log(`64 callers on 4 connections, median of ${roundCount} rounds of ${roundMs / 1000} s\n`);
    console.log(`${"".padEnd(14)}  calls/s  µs CPU   p50 ms   p99 ms   failed`);
    for (const name of names) console.log(row(name, results.get(name) ?? []));
    console.log(`\nof the same without limits: ${ratio(results, ["ours", "unlimited"])}`);
    console.log(`with limits that replicas share: ${ratio(results, ["shared", "unlimited"])}`);
    console.log(`with a token, a rule and limits, of the same with none: ${ratio(results, ["guarded", "unlimited"])}`);
    console.log(`  by CPU time: ${ratio(results, ["guarded", "unlimited"], perCpuSecond)}`);
    console.log(`of grpc-js: ${ratio(results, ["ours", "grpc-js"])}`);
    console.log(`ratio: ${ratio(results, ["ours", "connect-node"])}`);
  } finally {
    for (const child of children) child.disconnect();
    store?.kill();
  }
}
