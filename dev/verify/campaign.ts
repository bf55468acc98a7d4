import { setTimeout as delay } from "node:timers/promises";
import { BooksError } from "../../services/books/src/balance/ask.ts";
import { takeBalance } from "../../services/books/src/balance/balance.ts";
import { type AccountedService, accountedServices } from "../../services/services.ts";
import { within } from "../process/within.ts";
import { Shopper } from "../shop/shopper.ts";
import { openOutsideWorld } from "../stack/outside-world.ts";
import type { Stack } from "../stack/stack.ts";
import { Chance } from "./chance.ts";
import { Crowd } from "./crowd.ts";
import { describeFault, drawFaults, type FaultKind } from "./faults.ts";
import { Havoc } from "./havoc.ts";
import { type OrderState, type Progress, readProgress, readStates } from "./order-states.ts";
import { Reviewers } from "./reviewers.ts";
import { compareWithStripe } from "./stripe-books.ts";
import { paidAt } from "./stripe-wanted.ts";
import { Supplier } from "./supplier.ts";
import { judge, judgeParked } from "./verdict.ts";
import { drawWanted, shelves } from "./wanted.ts";

/** What is drawn for a campaign. */
export interface CampaignPlan {
  readonly seed: number;
  readonly orders: number;
  /** How long orders come and faults happen. */
  readonly overMs: number;
  readonly faults: number;
  readonly kinds: readonly FaultKind[];
  /** One of each of these is among them. */
  readonly surely?: readonly FaultKind[];
}

/** What came of it. */
export interface CampaignResult {
  /** What was done how often. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** Workflows that were terminated or deleted. */
  readonly workflows: number;
  readonly states: readonly OrderState[];
  /** Whether it was stopped before all of them had come. */
  readonly stopped: boolean;
  /** Orders that needed an operator at any time. */
  readonly operators: number;
  /** Orders about which people decided whether they go on. */
  readonly reviews: number;
  /** What customers thought of later, and how often. */
  readonly afterwards: ReadonlyMap<string, number>;
  /** How often the books were compared while faults happened. */
  readonly comparisons: number;
  /** How long after the last fault and the last arrival all orders had ended; undefined when they have not. */
  readonly endedAfterMs: number | undefined;
  /** What must not be, one sentence each. */
  readonly violations: readonly string[];
}

/** Told what happens. */
export type Say = (sentence: string) => void;

/** How long customers go on asking while nobody answers, in milliseconds. */
export const patienceMs = 10 * 60_000;
/** Within this time of the last fault every order ends. */
export const endWithinMs = 60_000;
const tellEveryMs = 5_000;
const lookEveryMs = 1_000;
/**
 * While as many callers have no answer yet, and orders have not ended, as come in a minute, no more come, since all of them have to end within
 * a minute of the last fault; but so many may always be there.
 */
const alwaysUnderWay = 300;
/** The part of the time in which orders come: the last ones suffer as well. */
const arrivalsPart = 0.95;
/** The part of the orders that is placed again in the end. */
const againPart = 0.1;

/** Fills the shelves of a stack. */
export async function fill(shopper: Shopper): Promise<void> {
  for (const { sku, locationId, quantity } of shelves) await shopper.stock(sku, locationId, quantity);
}

/**
 * Has orders come and faults happen, both by themselves, and says what must not be. When it is stopped no more of either come, and what is there
 * comes to its end and is judged.
 */
export async function runCampaign(
  stack: Stack,
  plan: CampaignPlan,
  { say, signal: stopping }: { say: Say; signal: AbortSignal },
): Promise<CampaignResult> {
  using shopper = new Shopper(stack, patienceMs);
  await fill(shopper);
  const { seed, orders, overMs } = plan;
  const demand = { name: "order", orders, overMs: overMs * arrivalsPart, supplied: true };
  const { replicas, gateway } = stack.blueprint;
  const wanted = paidAt(stack.blueprint, drawWanted(new Chance(seed + 1), demand), new Chance(seed + 4));
  const faults = drawFaults(new Chance(seed), { ...plan, count: plan.faults, replicas, gateway });
  const crowd = new Crowd(shopper);
  const havoc = new Havoc(stack);
  const reviewers = new Reviewers(shopper, new Chance(seed + 2));
  const supplier = new Supplier(shopper, new Chance(seed + 3));
  const watch = new Watch(stack, { crowd, havoc, say });
  const signal = AbortSignal.any([stopping, watch.failed]);
  const mostUnderWay = Math.max(alwaysUnderWay, (orders / overMs) * 60_000);
  const isFull = () => watch.underWay + crowd.waiting >= mostUnderWay;
  const bounds = { isFull, withinMs: overMs, gone: watch.failed };
  watch.start();
  reviewers.start();
  supplier.start();
  try {
    await Promise.all([crowd.come(wanted, signal, bounds), havoc.wreak(faults, signal)]);
    const endedAfterMs = await watch.untilEnded();
    await watch.stop();
    await crowd.comeAgain(againPart);
    const states = await readStates(stack);
    const violations = [
      ...crowd.violations,
      ...judge(crowd.placed, states, { reviewed: reviewers.decided }),
      ...(wantedOf(states) === crowd.came ? [] : [`${crowd.came} orders were wanted, there are ${wantedOf(states)}`]),
      ...watch.violations,
      ...judgeParked(states),
      ...(await compareBooks(stack, { atRest: endedAfterMs !== undefined })),
    ];
    const { done, workflows } = havoc;
    const { parked, comparisons } = watch;
    const people = { operators: parked.size, reviews: reviewers.decided.size, afterwards: crowd.afterwards };
    const stopped = stopping.aborted;
    return { faults: done, workflows, states, stopped, ...people, comparisons, endedAfterMs, violations };
  } finally {
    for (const each of [reviewers, supplier, watch]) await each.stop();
  }
}

/** How many orders there are that somebody has placed. */
function wantedOf(states: readonly OrderState[]): number {
  return states.filter(({ isRest }) => !isRest).length;
}

/** What is wrong in the end: by the books, and with the world behind the gateway's connector. @param atRest whether every order has ended */
export async function compareBooks(stack: Stack, { atRest }: { atRest: boolean }): Promise<string[]> {
  const { wrong, underway } = await takeBooks(stack);
  return [
    ...wrong,
    ...(stack.blueprint.gateway === "stripe" ? await compareWithStripe(stack, { atRest }) : []),
    ...(atRest && underway > 0 ? [`the books know ${underway} orders under way`] : []),
  ];
}

async function takeBooks(stack: Stack): Promise<{ wrong: string[]; underway: number }> {
  const entries = accountedServices.map((service) => [service, stack.databaseUrl(service, "postgres")] as const);
  await using outside = await openOutsideWorld(stack);
  const urls = Object.fromEntries(entries) as Record<AccountedService, string>;
  const { findings, underway } = await takeBalance({ urls, gateway: outside.gateway, carrier: outside.carrier });
  return { wrong: findings.flatMap((finding) => finding.wrong), underway };
}

interface WatchOptions {
  readonly crowd: Crowd;
  readonly havoc: Havoc;
  readonly say: Say;
  /** How often the books are compared, in milliseconds; default 8,000. */
  readonly compareEveryMs?: number;
}

/** Looks at a campaign while it runs: tells how it goes, and compares the books, of which most must hold at any time. */
export class Watch {
  readonly #stack: Stack;
  readonly #options: WatchOptions;
  readonly #start = Date.now();
  readonly #compareEveryMs: number;
  readonly #stopped = new AbortController();
  readonly #failed = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();
  #progress: Progress = { summary: "none", underWay: 0, parked: new Map() };
  /** The orders that needed an operator, and what for. */
  readonly parked = new Map<string, string>();
  readonly #wrong = new Set<string>();
  /** How often the books were compared. */
  comparisons = 0;

  constructor(stack: Stack, options: WatchOptions) {
    this.#stack = stack;
    this.#options = options;
    this.#compareEveryMs = options.compareEveryMs ?? 8_000;
  }

  /** Orders that have not ended, when it was looked last. */
  get underWay(): number {
    return this.#progress.underWay;
  }

  /** What was wrong at any time. */
  get violations(): string[] {
    return [...this.#wrong];
  }

  /** Fires when it cannot look any more: a campaign that nobody watches shows nothing. {@link stop} throws why. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** Begins to look. */
  start(): void {
    this.#loops = Promise.all([
      this.#every(lookEveryMs, () => this.#look()),
      this.#every(this.#compareEveryMs, () => this.#compare()),
      this.#every(tellEveryMs, () => this.#tell()),
    ]);
    this.#loops.catch((reason: unknown) => this.#failed.abort(reason));
  }

  /** @throws what kept it from looking */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loops;
  }

  /** How long it took until every order had ended, or nobody could look any more: {@link stop} throws why. Undefined when that took too long. */
  async untilEnded(): Promise<number | undefined> {
    const start = performance.now();
    const ended = async () => {
      if (this.failed.aborted) return true;
      this.#progress = await readProgress(this.#stack);
      return this.#progress.underWay === 0;
    };
    return (await within(endWithinMs, ended, 250)) ? performance.now() - start : undefined;
  }

  async #every(ms: number, work: () => Promise<void> | void): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#pause(ms);
      if (!signal.aborted) await work();
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
  }

  /** PostgreSQL is one of the victims: then there is nothing to see. */
  async #look(): Promise<void> {
    this.#progress = await readProgress(this.#stack).catch(() => this.#progress);
    for (const [orderId, parked] of this.#progress.parked) {
      if (this.parked.has(orderId)) continue;
      this.parked.set(orderId, parked);
      this.#options.say(`order ${orderId} needs an operator for ${parked}`);
    }
  }

  async #compare(): Promise<void> {
    const start = performance.now();
    try {
      const { wrong } = await takeBooks(this.#stack);
      for (const each of wrong) {
        if (!this.#wrong.has(each)) this.#options.say(`NOT in balance: ${each}`);
        this.#wrong.add(each);
      }
      this.comparisons += 1;
      // The more there is to compare, the longer it takes: at most a tenth of the time.
      await this.#pause(Math.max(0, 10 * (performance.now() - start) - this.#compareEveryMs));
    } catch (error) {
      if (!(error instanceof BooksError)) throw error;
    }
  }

  #tell(): void {
    const { crowd, havoc, say } = this.#options;
    const seconds = Math.round((Date.now() - this.#start) / 1_000);
    const now = [...havoc.underWay].map(describeFault).join(", ");
    say(`${seconds} s: ${crowd.placed.length} placed; ${this.#progress.summary}${now ? `; ${now}` : ""}`);
  }
}
