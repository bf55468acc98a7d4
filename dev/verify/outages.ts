import { setTimeout as delay } from "node:timers/promises";
import { isService } from "../../services/services.ts";
import { StackError } from "../errors.ts";
import { within } from "../process/within.ts";
import { Shopper } from "../shop/shopper.ts";
import type { Overrides } from "../stack/blueprint.ts";
import { components, connectors, connectorsFor, type Gateway, isConnector, type Member } from "../stack/layout.ts";
import type { Stack } from "../stack/stack.ts";
import { compareBooks, endWithinMs, fill, patienceMs, type Say } from "./campaign.ts";
import { Chance } from "./chance.ts";
import { Crowd } from "./crowd.ts";
import { type OrderState, readProgress, readStates } from "./order-states.ts";
import { paidAt } from "./stripe-wanted.ts";
import { judge, judgeParked, shortened, summary } from "./verdict.ts";
import { drawWanted, pace } from "./wanted.ts";

/** Everything that can be away, of ours and outside: the card gateway, and the carrier with the warehouse. */
const subjects = [...components, "gateway", "carrier", ...connectors] as const;
export type Subject = (typeof subjects)[number];

/** Those of a stack with this gateway. */
export function subjectsFor(gateway: Gateway): Subject[] {
  const there: readonly string[] = connectorsFor(gateway);
  return subjects.filter((subject) => !isConnector(subject) || there.includes(subject));
}

/** How long somebody is away. */
export interface Absence {
  /** By the machine's clock, in milliseconds. */
  readonly forMs: number;
  /** How far all clocks are moved forward meanwhile, in seconds; 0 when they are left alone. */
  readonly movedBy: number;
}

/** Orders that are in flight while somebody is away, and the time in which they come. */
const orders = 20;
const overMs = 4_000;
/** When it goes, after the first order came. */
const goesAfterMs = 2_500;
/** Time is moved in steps, so that what is tried again meanwhile is so more than once. */
const moves = 6;
/** In which time an absence of hours passes, in milliseconds, and within which a checkout gives up then, as it does after minutes. */
const hours = { passInMs: 90_000, checkoutPatienceMs: "45000" } as const;

/** Reads `10` (seconds) or `3h`, which passes by moved clocks. @throws StackError */
export function parseAbsence(text: string): Absence {
  const [, digits, unit] = /^(\d{1,5})(h?)$/.exec(text) ?? [];
  if (!digits || Number(digits) === 0)
    throw new StackError(`--outages is a number of seconds, or hours as 3h: ${text}.`);
  if (unit) return { forMs: hours.passInMs, movedBy: Number(digits) * 3_600 };
  return { forMs: Number(digits) * 1_000, movedBy: 0 };
}

/** Reads names with commas between. @throws StackError for what there is not */
export function parseSubjects(text: string, gateway: Gateway): Subject[] {
  const there = subjectsFor(gateway);
  return text.split(",").map((name) => {
    const subject = there.find((candidate) => candidate === name);
    if (!subject) throw new StackError(`There is no "${name}" to be away; there are ${there.join(", ")}.`);
    return subject;
  });
}

/** What the stack has to be started with. */
export function groundForAbsence({ movedBy }: Absence): { network: true; clocks: boolean; environment: Overrides } {
  if (movedBy === 0) return { network: true, clocks: false, environment: pace };
  const worker = { SAGA_CHECKOUT_PATIENCE_MS: hours.checkoutPatienceMs };
  return { network: true, clocks: true, environment: { ...pace, worker } };
}

/** What came of one outage. */
export interface OutageResult {
  readonly subject: Subject;
  /** How long after its return all orders had ended; undefined when they have not. */
  readonly endedAfterMs: number | undefined;
  /** Orders that needed an operator at the end. */
  readonly operators: number;
  readonly violations: readonly string[];
}

interface Context {
  readonly say: Say;
  readonly signal: AbortSignal;
}

/** What happens in one go. */
export interface OutagePlan {
  readonly absence: Absence;
  readonly subjects: readonly Subject[];
  readonly seed: number;
}

/** Has each of them be away for so long, one after the other, each under orders of its own. */
export async function runOutages(stack: Stack, plan: OutagePlan, context: Context): Promise<OutageResult[]> {
  using shopper = new Shopper(stack, plan.absence.forMs + patienceMs);
  await fill(shopper);
  const results: OutageResult[] = [];
  for (const subject of plan.subjects) {
    if (context.signal.aborted) break;
    const crowd = new Crowd(shopper);
    results.push(await suffer(stack, { subject, plan, crowd, context }));
  }
  return results;
}

interface Outage {
  readonly subject: Subject;
  readonly plan: OutagePlan;
  readonly crowd: Crowd;
  readonly context: Context;
}

async function suffer(stack: Stack, outage: Outage): Promise<OutageResult> {
  const { subject, plan, crowd, context } = outage;
  const { absence, seed } = plan;
  const name = absence.movedBy > 0 ? `${subject}-moved` : subject;
  const drawn = drawWanted(new Chance(seed + subjects.indexOf(subject)), { name, orders, overMs });
  const wanted = paidAt(stack.blueprint, drawn, new Chance(seed));
  const coming = crowd.come(wanted, context.signal);
  await delay(goesAfterMs);
  const comeBack = await leave(stack, subject);
  await pass(stack, absence, context.signal);
  await comeBack();
  const back = performance.now();
  const { states, isOver } = await untilEnded(stack, { crowd, coming });
  const endedAfterMs = isOver ? performance.now() - back : undefined;
  const parked = judgeParked(states);
  const violations = [
    ...crowd.violations,
    ...judge(crowd.placed, states, { mayBeLate: absence.movedBy > 0 }),
    ...(crowd.placed.length === orders ? [] : [`${orders - crowd.placed.length} callers were not answered`]),
    ...parked,
    ...(await compareBooks(stack, { atRest: isOver })),
  ];
  const when = endedAfterMs === undefined ? "NOT all ended" : `all ended ${(endedAfterMs / 1_000).toFixed(1)} s later`;
  context.say(`${subject} is back: ${when}; ${summary(states)}; ${violations.length} violations`);
  for (const violation of shortened(violations)) context.say(`    ${violation}`);
  return { subject, endedAfterMs, operators: parked.length, violations };
}

/** Ends somebody, or the ways there; what is returned brings everything back. */
async function leave(stack: Stack, subject: Subject): Promise<() => Promise<unknown>> {
  if (subject === "gateway" || subject === "carrier") {
    const { network } = stack;
    const ways = network.links.filter(({ name }) => name.endsWith(`.${subject}`)).map(({ name }) => name);
    await Promise.all(ways.map((way) => network.part(way)));
    return () => Promise.all(ways.map((way) => network.join(way)));
  }
  const isOurs = isService(subject) || isConnector(subject);
  const members: readonly Member[] = isOurs ? stack.replicas(subject) : [subject];
  await Promise.all(members.map((member) => stack.takeDown(member)));
  return () => Promise.all(members.map((member) => stack.restart(member)));
}

/**
 * Has time pass. Hours pass by the clocks of our processes and of PostgreSQL, whose time decides. Temporal keeps the machine's:
 * no library comes between a program in Go and the time.
 */
async function pass(stack: Stack, { forMs, movedBy }: Absence, signal: AbortSignal): Promise<void> {
  const steps = movedBy > 0 ? moves : 1;
  for (let step = 0; step < steps; step += 1) {
    await delay(forMs / steps, undefined, { signal }).catch(() => undefined);
    if (movedBy > 0) stack.clocks.advance(movedBy / steps);
  }
}

/** How the orders of a crowd stand when all is over, or should be: also what came back of them, and what is sent for it. */
async function untilEnded(
  stack: Stack,
  { crowd, coming }: { crowd: Crowd; coming: Promise<void> },
): Promise<{ states: readonly OrderState[]; isOver: boolean }> {
  let isAnswered = false;
  void coming.then(() => {
    isAnswered = true;
  });
  let states: readonly OrderState[] = [];
  const look = async () => {
    const all = await readStates(stack).catch(() => []);
    const mine = new Set(crowd.placed.map(({ orderId }) => orderId));
    states = all.filter(({ orderId }) => mine.has(orderId));
    const haveEnded = isAnswered && states.length === orders && states.every(({ ended }) => ended);
    return haveEnded && (await readProgress(stack)).underWay === 0;
  };
  const isOver = await within(endWithinMs, look, 250);
  return { states, isOver: isOver === true };
}
