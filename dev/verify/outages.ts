import { setTimeout as delay } from "node:timers/promises";
import { within } from "../process/within.ts";
import { Shopper } from "../shop/shopper.ts";
import { type Component, components } from "../stack/layout.ts";
import type { Stack } from "../stack/stack.ts";
import { compareBooks, endWithinMs, fill, type Say } from "./campaign.ts";
import { Chance } from "./chance.ts";
import { Crowd } from "./crowd.ts";
import { type OrderState, readStates } from "./order-states.ts";
import { judge, judgeParked, shortened, summary } from "./verdict.ts";
import { drawWanted } from "./wanted.ts";

/** Orders that are in flight while somebody is away, and the time in which they come. */
const orders = 20;
const overMs = 4_000;
/** When it goes, after the first order came. */
const goesAfterMs = 2_500;

/** What came of one outage. */
export interface OutageResult {
  readonly component: Component;
  /** How long after its return all orders had ended; undefined when they have not. */
  readonly endedAfterMs: number | undefined;
  readonly violations: readonly string[];
}

interface Context {
  readonly say: Say;
  readonly signal: AbortSignal;
}

/** Has every component be away for so long, one after the other, each under orders of its own. */
export async function runOutages(
  stack: Stack,
  { seconds, seed }: { seconds: number; seed: number },
  context: Context,
): Promise<OutageResult[]> {
  using shopper = new Shopper(stack);
  await fill(shopper);
  const results: OutageResult[] = [];
  for (const [index, component] of components.entries()) {
    if (context.signal.aborted) break;
    const outage = { component, forMs: seconds * 1_000, seed: seed + index };
    results.push(await suffer(stack, shopper, { ...outage, context }));
  }
  return results;
}

interface Outage {
  readonly component: Component;
  readonly forMs: number;
  readonly seed: number;
  readonly context: Context;
}

async function suffer(stack: Stack, shopper: Shopper, { component, forMs, seed, context }: Outage) {
  const crowd = new Crowd(shopper);
  const wanted = drawWanted(new Chance(seed), { name: component, orders, overMs });
  const coming = crowd.come(wanted, context.signal);
  await delay(goesAfterMs);
  await stack.takeDown(component);
  await delay(forMs, undefined, { signal: context.signal }).catch(() => undefined);
  await stack.restart(component);
  const back = performance.now();
  const states = await untilEnded(stack, { crowd, coming });
  const endedAfterMs = performance.now() - back;
  const isOver = states.length === orders && states.every(({ ended }) => ended);
  const violations = [
    ...crowd.violations,
    ...judge(crowd.placed, states),
    ...(crowd.placed.length === orders ? [] : [`${orders - crowd.placed.length} callers were not answered`]),
    ...judgeParked(states),
    ...(await compareBooks(stack, { atRest: isOver })),
  ];
  const when = isOver ? `all ended ${(endedAfterMs / 1_000).toFixed(1)} s after its return` : "NOT all ended";
  context.say(`${component} away for ${forMs / 1_000} s: ${when}; ${summary(states)}; ${violations.length} violations`);
  for (const violation of shortened(violations)) context.say(`    ${violation}`);
  return { component, endedAfterMs: isOver ? endedAfterMs : undefined, violations };
}

/** How the orders of a crowd stand when they have all ended, or should have. */
async function untilEnded(
  stack: Stack,
  { crowd, coming }: { crowd: Crowd; coming: Promise<void> },
): Promise<readonly OrderState[]> {
  let isAnswered = false;
  void coming.then(() => {
    isAnswered = true;
  });
  let states: readonly OrderState[] = [];
  const look = async () => {
    const all = await readStates(stack).catch(() => []);
    const mine = new Set(crowd.placed.map(({ orderId }) => orderId));
    states = all.filter(({ orderId }) => mine.has(orderId));
    return isAnswered && states.length === orders && states.every(({ ended }) => ended);
  };
  await within(endWithinMs, look, 250);
  return states;
}
