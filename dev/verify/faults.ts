import { hasDatabase, isService, type Service, serviceFacts, services } from "../../services/services.ts";
import { StackError } from "../errors.ts";
import {
  type ConnectorReplica,
  connectorsFor,
  type Gateway,
  isConnector,
  type Member,
  type Replica,
  replicasOf,
} from "../stack/layout.ts";
import { linkTo } from "../stack/links.ts";
import type { Chance } from "./chance.ts";

/** What is done to a stack. */
export const faultKinds = {
  kill: "a process dies at once, and is started again soon",
  leave: "one replica of a service is asked to end, and is away for some seconds while the others serve",
  freeze: "a process stands still for 1 to 60 s, and then goes on as if nothing had happened",
  outage: "all replicas of a service, PostgreSQL or Temporal are asked to end, and are away for some seconds",
  crash: "PostgreSQL is stopped at once, and recovers when it is started",
  terminate: "workflows are terminated in the middle",
  delete: "workflows are deleted in the middle",
  clock: "the clock of a process is minutes or hours ahead or behind for some seconds",
  slow: "what passes a connection takes up to 3 s longer, each way",
  cut: "connections are reset, and refused for some seconds",
  silence: "connections stay open, and nothing passes them",
  deaf: "requests arrive, and their answers are lost",
} as const;

export type FaultKind = keyof typeof faultKinds;

/** Those that need proxies between the processes. */
const networkKinds: readonly FaultKind[] = ["slow", "cut", "silence", "deaf"];

/** What a stack has to be started with so that faults of these kinds can happen to it. */
export function groundFor(kinds: readonly FaultKind[]) {
  const network = kinds.some((kind) => networkKinds.includes(kind));
  return { replicas: 2, network, clocks: kinds.includes("clock") } as const;
}

/** One fault, as it was drawn. Times are milliseconds since the campaign began. */
export interface Fault {
  readonly kind: FaultKind;
  /** A component, one replica of it, a link of the network, or workflows. */
  readonly victim: string;
  /** What no two faults have at once. */
  readonly takes: readonly string[];
  readonly atMs: number;
  /** How long it lasts. */
  readonly forMs: number;
  /** How far a clock is moved, in seconds, or by how much answers are delayed, in milliseconds. */
  readonly by: number;
}

/** How many are drawn, in which time, and of which kinds. */
export interface FaultPlan {
  readonly count: number;
  /** Processes of each service. */
  readonly replicas: number;
  /** What the card gateway is; default "simulated". */
  readonly gateway?: Gateway;
  /** All of them have ended by then. */
  readonly overMs: number;
  readonly kinds: readonly FaultKind[];
  /** One of each of these is drawn first. */
  readonly surely?: readonly FaultKind[];
}

/** How likely each kind is, beside the others. */
const weights: Readonly<Record<FaultKind, number>> = {
  kill: 8,
  leave: 2,
  freeze: 5,
  outage: 3,
  crash: 2,
  terminate: 3,
  delete: 1,
  clock: 3,
  slow: 3,
  cut: 3,
  silence: 3,
  deaf: 3,
};

const longestFreezeMs = 60_000;
const longestOutageMs = 20_000;
const longestSlowMs = 3_000;
/** Clocks are wrong by so many seconds. */
const clockError = { least: 60, most: 6 * 3_600 } as const;
/** The longest fault takes at most this part of a campaign, so that a short one ends, and is not one fault. */
const longestPart = 0.25;
/** How long a component that comes back is left alone. */
const rest = { ms: 2_000 };

/** Reads kinds of faults, separated by commas. @throws StackError for what there is not */
export function parseKinds(text: string): FaultKind[] {
  const known = Object.keys(faultKinds) as FaultKind[];
  return text.split(",").map((name) => {
    const kind = known.find((candidate) => candidate === name);
    if (!kind) throw new StackError(`There is no fault "${name}"; there are ${known.join(", ")}.`);
    return kind;
  });
}

/** Draws faults; the same chance draws the same ones. A component, and a link, suffers one at a time. */
export function drawFaults(chance: Chance, { count, kinds, surely = [], ...plan }: FaultPlan): Fault[] {
  const drawn: Fault[] = [];
  for (let tries = 0; drawn.length < count && tries < 20 * count; tries += 1) {
    const kind = surely[drawn.length] ?? drawKind(chance, kinds);
    const fault = drawOne(chance, kind, plan);
    if (drawn.every((other) => !collide(other, fault))) drawn.push(fault);
  }
  return drawn.sort((a, b) => a.atMs - b.atMs);
}

function drawOne(
  chance: Chance,
  kind: FaultKind,
  { overMs, replicas, gateway = "simulated" }: Pick<FaultPlan, "overMs" | "replicas" | "gateway">,
): Fault {
  const forMs = Math.min(durationOf(kind, chance), Math.round(overMs * longestPart));
  const atMs = chance.between(0, Math.max(0, overMs - forMs));
  const among = victimsOf(kind, replicas, gateway);
  const victim = among[chance.between(0, among.length - 1)] ?? "orders";
  const isOurs = isService(victim) || isConnector(victim);
  const takes = kind === "outage" && isOurs ? replicasOf(victim, replicas) : [victim];
  return { kind, victim, takes, atMs, forMs, by: extentOf(kind, chance) };
}

function drawKind(chance: Chance, kinds: readonly FaultKind[]): FaultKind {
  let left = chance.next() * kinds.reduce((sum, kind) => sum + weights[kind], 0);
  for (const kind of kinds) {
    left -= weights[kind];
    if (left < 0) return kind;
  }
  return kinds[0] ?? "kill";
}

function durationOf(kind: FaultKind, chance: Chance): number {
  switch (kind) {
    case "kill":
    case "crash":
      return chance.between(0, 2_000);
    case "freeze":
      // Short ones are the many: what they do differs from what long ones do.
      return Math.round(1_000 * (longestFreezeMs / 1_000) ** chance.next());
    case "terminate":
    case "delete":
      return chance.between(1_000, 4_000);
    default:
      return chance.between(2_000, longestOutageMs);
  }
}

/** Small ones are the many, as with freezes. */
function extentOf(kind: FaultKind, chance: Chance): number {
  const share = chance.next();
  if (kind === "slow") return Math.round(50 * (longestSlowMs / 50) ** share);
  const seconds = clockError.least * (clockError.most / clockError.least) ** share;
  return Math.round(chance.next() < 0.5 ? -seconds : seconds);
}

function victimsOf(kind: FaultKind, count: number, gateway: Gateway): readonly string[] {
  const ours = [...services, ...connectorsFor(gateway)];
  const replicas = ours.flatMap((program) => replicasOf<typeof program>(program, count));
  const servers = ["postgres", "temporal"] as const satisfies readonly Member[];
  switch (kind) {
    case "crash":
      return ["postgres"];
    case "terminate":
    case "delete":
      return ["workflows"];
    case "outage":
      return [...ours, ...servers];
    case "leave":
    case "clock":
      return replicas;
    case "kill":
    case "freeze":
      return [...replicas, ...servers];
    default:
      return replicas.flatMap(linksAround).map((name) => `the way to ${name}`);
  }
}

/** The links at a replica: from its callers, and to the servers that it needs. The way to a connector is one of its callers'. */
function linksAround(replica: Replica | ConnectorReplica): string[] {
  if (isOfConnector(replica)) return [linkTo("postgres", replica), linkTo("world", replica)];
  const service = services.find((name) => replica === name || replica.startsWith(`${name}-`)) as Service;
  return [
    replica,
    ...(hasDatabase(service) ? [linkTo("postgres", replica)] : []),
    ...(serviceFacts[service].temporal ? [linkTo("temporal", replica)] : []),
    ...(service === "payments" ? [linkTo("gateway", replica)] : []),
    ...(service === "shipping" ? [linkTo("carrier", replica)] : []),
  ];
}

function isOfConnector(replica: string): replica is ConnectorReplica {
  return isConnector(replica.replace(/-\d+$/, ""));
}

/** The link that a fault of the network happens to. */
export function linkOf({ victim }: Fault): string {
  return victim.replace("the way to ", "");
}

/** Whether one of them would have to wait for the other. */
function collide(one: Fault, other: Fault): boolean {
  if (!one.takes.some((name) => other.takes.includes(name))) return false;
  const end = ({ atMs, forMs }: Fault) => atMs + forMs + rest.ms;
  return one.atMs < end(other) && other.atMs < end(one);
}

/** A fault for people: `payments-2 frozen for 12.3 s`. */
export function describeFault({ kind, victim, forMs, by }: Fault): string {
  const seconds = `for ${(forMs / 1_000).toFixed(1)} s`;
  switch (kind) {
    case "kill":
      return `${victim} killed`;
    case "leave":
    case "outage":
      return `${victim} away ${seconds}`;
    case "freeze":
      return `${victim} frozen ${seconds}`;
    case "crash":
      return "postgres stopped at once";
    case "terminate":
      return `workflows terminated ${seconds}`;
    case "delete":
      return `workflows deleted ${seconds}`;
    case "clock":
      return `the clock of ${victim} ${Math.abs(by)} s ${by < 0 ? "behind" : "ahead"} ${seconds}`;
    case "slow":
      return `${victim} slower by ${by} ms ${seconds}`;
    case "cut":
      return `${victim} cut ${seconds}`;
    case "silence":
      return `${victim} silent ${seconds}`;
    case "deaf":
      return `answers on ${victim} lost ${seconds}`;
  }
}
