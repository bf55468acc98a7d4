import { createServer } from "node:net";
import { run } from "../tools/run.ts";
import { StackError } from "./errors.ts";

/** The services that have a database, in the order in which they are shown. */
export const databaseServices = ["orders", "payments", "inventory", "shipping"] as const;
/** Every process of ours. */
export const services = [...databaseServices, "worker"] as const;
/** Everything that a stack consists of, in the order in which it starts. */
export const components = ["postgres", "temporal", ...services] as const;

export type DatabaseService = (typeof databaseServices)[number];
export type Service = (typeof services)[number];
export type Component = (typeof components)[number];

/** The ports of one stack. */
export interface Ports {
  readonly postgres: number;
  readonly temporal: number;
  readonly temporalUi: number;
  readonly grpc: Readonly<Record<Service, number>>;
  readonly http: Readonly<Record<Service, number>>;
}

/** The largest offset that keeps every port below 65536. */
export const maxPortOffset = 10_000;

/** The default ports, each moved by an offset. */
export function portsAt(offset: number): Ports {
  return {
    postgres: 55432 + offset,
    temporal: 7233 + offset,
    temporalUi: 8233 + offset,
    grpc: byService((index) => 50051 + index + offset),
    http: byService((index) => 8081 + index + offset),
  };
}

function byService(port: (index: number) => number): Record<Service, number> {
  const entries = services.map((service, index) => [service, port(index)] as const);
  return Object.fromEntries(entries) as Record<Service, number>;
}

/** The ports that a component listens on, each with what it is for. */
export function portsOf(component: Component, ports: Ports): { port: number; use: string }[] {
  if (component === "postgres") return [{ port: ports.postgres, use: "PostgreSQL" }];
  if (component === "temporal") {
    return [
      { port: ports.temporal, use: "Temporal" },
      { port: ports.temporalUi, use: "the Temporal UI" },
    ];
  }
  return [
    { port: ports.grpc[component], use: `${component}, gRPC` },
    { port: ports.http[component], use: `${component}, HTTP` },
  ];
}

/** @throws StackError that names every port in use and, where the system tells, who has it */
export async function requireFreePorts(wanted: readonly Component[], ports: Ports): Promise<void> {
  const taken: string[] = [];
  for (const { port, use } of wanted.flatMap((component) => portsOf(component, ports))) {
    if (!(await isFree(port))) taken.push(`${port} (${use})${await holderOf(port)}`);
  }
  if (taken.length === 0) return;
  const subject = taken.length === 1 ? `Port ${taken[0]} is in use` : `Ports ${taken.join(", ")} are in use`;
  throw new StackError(`${subject}: stop what uses them, or move every port with --port-offset 100.`);
}

/** An offset at which every port of a stack is free just now. For tests and benchmarks beside a running stack. */
export async function freePortOffset(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const offset = 100 + Math.floor(Math.random() * (maxPortOffset - 100));
    const wanted = components.flatMap((component) => portsOf(component, portsAt(offset)));
    const free = await Promise.all(wanted.map(({ port }) => isFree(port)));
    if (free.every(Boolean)) return offset;
  }
  throw new StackError("No port offset was free in a hundred attempts.");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** Who listens there, as far as `ss` or `lsof` is installed and tells. */
async function holderOf(port: number): Promise<string> {
  const options = { timeoutMs: 3000 };
  const ss = await run("ss", ["-Hltnp", `sport = :${port}`], options).catch(() => "");
  const [, name, pid] = /\(\("([^"]+)",pid=(\d+)/.exec(ss) ?? [];
  if (pid) return ` by ${name}, process ${pid}`;
  const lsof = await run("lsof", ["-ti", `tcp:${port}`, "-sTCP:LISTEN"], options).catch(() => "");
  return /^\d+/.test(lsof) ? ` by process ${lsof.split("\n")[0]}` : "";
}
