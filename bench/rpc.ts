// Unary calls per second: our gRPC face against a gRPC server of connect-node and against bare grpc-js. The same message,
// the same work per call, one load generator; the rounds alternate, and the median counts.
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import type { Contender } from "./rpc/contenders.ts";
import type { Round, RoundResult } from "./rpc/load.ts";

const names: readonly Contender[] = ["ours", "connect-node", "grpc-js"];
const ROUNDS = 7;
const ROUND_MS = 2_000;
const WARM_UP_MS = 3_000;

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

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function row(name: string, results: readonly RoundResult[]): string {
  const perSecond = median(results.map((result) => result.perSecond)).toFixed(0);
  const p50 = median(results.map((result) => result.p50)).toFixed(2);
  const p99 = median(results.map((result) => result.p99)).toFixed(2);
  const failures = results.reduce((sum, result) => sum + result.failures, 0);
  const columns = [perSecond.padStart(9), p50.padStart(9), p99.padStart(9), String(failures).padStart(9)];
  return `${name.padEnd(14)}${columns.join("")}`;
}

async function measure(load: ChildProcess, ports: ReadonlyMap<Contender, number>) {
  const results = new Map(names.map((name) => [name, [] as RoundResult[]]));
  const round = async (name: Contender, milliseconds: number): Promise<RoundResult> => {
    load.send({ port: ports.get(name) ?? 0, milliseconds } satisfies Round);
    return answerOf<RoundResult>(load);
  };
  for (const name of names) await round(name, WARM_UP_MS);
  for (let index = 0; index < ROUNDS; index += 1) {
    for (const name of names) results.get(name)?.push(await round(name, ROUND_MS));
  }
  return results;
}

const children: ChildProcess[] = [];
try {
  const ports = new Map<Contender, number>();
  for (const name of names) {
    const child = start("server.ts", name);
    children.push(child);
    ports.set(name, (await answerOf<{ port: number }>(child)).port);
  }
  const load = start("load.ts");
  children.push(load);
  const results = await measure(load, ports);
  const rate = (name: Contender) => median((results.get(name) ?? []).map((result) => result.perSecond));
  console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
  console.log(`64 callers on 4 connections, median of ${ROUNDS} rounds of ${ROUND_MS / 1000} s\n`);
  console.log(`${"".padEnd(14)}  calls/s   p50 ms   p99 ms   failed`);
  for (const name of names) console.log(row(name, results.get(name) ?? []));
  console.log(`\nof grpc-js: ${(rate("ours") / rate("grpc-js")).toFixed(2)}`);
  console.log(`ratio: ${(rate("ours") / rate("connect-node")).toFixed(2)}`);
} finally {
  for (const child of children) child.disconnect();
}
