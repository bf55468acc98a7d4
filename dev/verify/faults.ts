import { databaseServices, type Service, services } from "../../services/services.ts";
import { StackError } from "../errors.ts";
import { type Component, components } from "../stack/layout.ts";
import type { Chance } from "./chance.ts";

/** What is done to a stack. */
export const faultKinds = {
  kill: "a process dies at once, and is started again soon",
  freeze: "a process stands still for 1 to 60 s, and then goes on as if nothing had happened",
  outage: "a process is asked to end, and is away for some seconds",
  crash: "PostgreSQL is stopped at once, and recovers when it is started",
  terminate: "workflows are terminated in the middle",
  delete: "workflows are deleted in the middle",
} as const;

export type FaultKind = keyof typeof faultKinds;

/** One fault, as it was drawn. Times are milliseconds since the campaign began. */
export interface Fault {
  readonly kind: FaultKind;
  readonly victim: Component;
  readonly atMs: number;
  /** How long it lasts. */
  readonly forMs: number;
}

/** How many are drawn, in which time, and of which kinds. */
export interface FaultPlan {
  readonly count: number;
  /** All of them have ended by then. */
  readonly overMs: number;
  readonly kinds: readonly FaultKind[];
}

/** How likely each kind is, beside the others. */
const weights: Readonly<Record<FaultKind, number>> = {
  kill: 8,
  freeze: 5,
  outage: 4,
  crash: 2,
  terminate: 3,
  delete: 1,
};

const longestFreezeMs = 60_000;
const longestOutageMs = 20_000;
/** The longest fault takes at most this part of a campaign, so that a short one ends, and is not one fault. */
const longestPart = 0.25;
/** How long a component that comes back is left alone. */
const rest = { ms: 2_000 };

const stoppable: readonly Component[] = [...databaseServices, ...services.filter(isWithoutDatabase)];

function isWithoutDatabase(service: Service): boolean {
  return !databaseServices.some((name) => name === service);
}

/** Reads kinds of faults, separated by commas. @throws StackError for what there is not */
export function parseKinds(text: string): FaultKind[] {
  const known = Object.keys(faultKinds) as FaultKind[];
  return text.split(",").map((name) => {
    const kind = known.find((candidate) => candidate === name);
    if (!kind) throw new StackError(`There is no fault "${name}"; there are ${known.join(", ")}.`);
    return kind;
  });
}

/** Draws faults; the same chance draws the same ones. A component suffers one at a time. */
export function drawFaults(chance: Chance, { count, overMs, kinds }: FaultPlan): Fault[] {
  const drawn: Fault[] = [];
  for (let tries = 0; drawn.length < count && tries < 20 * count; tries += 1) {
    const fault = drawOne(chance, { kinds, overMs });
    if (drawn.every((other) => !collide(other, fault))) drawn.push(fault);
  }
  return drawn.sort((a, b) => a.atMs - b.atMs);
}

function drawOne(chance: Chance, { kinds, overMs }: Pick<FaultPlan, "kinds" | "overMs">): Fault {
  const kind = drawKind(chance, kinds);
  const forMs = Math.min(durationOf(kind, chance), Math.round(overMs * longestPart));
  const atMs = chance.between(0, Math.max(0, overMs - forMs));
  return { kind, victim: victimOf(kind, chance), atMs, forMs };
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
    case "outage":
      return chance.between(2_000, longestOutageMs);
    case "terminate":
    case "delete":
      return chance.between(1_000, 4_000);
  }
}

function victimOf(kind: FaultKind, chance: Chance): Component {
  if (kind === "crash") return "postgres";
  if (kind === "terminate" || kind === "delete") return "temporal";
  const from = kind === "outage" ? [...stoppable, "postgres" as const, "temporal" as const] : components;
  return from[chance.between(0, from.length - 1)] ?? "orders";
}

/** Workflows can be terminated while everything else goes on. */
function collide(one: Fault, other: Fault): boolean {
  const needs = ({ kind, victim }: Fault) => (kind === "terminate" || kind === "delete" ? "workflows" : victim);
  if (needs(one) !== needs(other)) return false;
  const end = ({ atMs, forMs }: Fault) => atMs + forMs + rest.ms;
  return one.atMs < end(other) && other.atMs < end(one);
}

/** A fault for people: `payments frozen for 12.3 s`. */
export function describeFault({ kind, victim, forMs }: Fault): string {
  const seconds = `${(forMs / 1_000).toFixed(1)} s`;
  switch (kind) {
    case "kill":
      return `${victim} killed`;
    case "freeze":
      return `${victim} frozen for ${seconds}`;
    case "outage":
      return `${victim} away for ${seconds}`;
    case "crash":
      return "postgres stopped at once";
    case "terminate":
      return `workflows terminated for ${seconds}`;
    case "delete":
      return `workflows deleted for ${seconds}`;
  }
}
