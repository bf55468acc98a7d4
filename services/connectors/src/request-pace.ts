import { setTimeout as delay } from "node:timers/promises";
import type { OutsideMetrics } from "./metrics.ts";

/** How many requests may go in a second. */
export interface PaceLimits {
  /** To all of it. */
  readonly all: number;
  /** To one endpoint. */
  readonly endpoint: number;
}

/** The longest that a request waits for its turn, in milliseconds. */
const longestWaitMs = 1_000;
/** So many requests may go at once. */
const burst = 5;

/** Keeps requests below somebody's limits of rate, so that there is nothing to refuse. */
export class RequestPace {
  readonly #limits: PaceLimits;
  /** When all that went would have gone evenly, by `performance.now()`: to each endpoint, and, under no name, to all. */
  readonly #free = new Map<string, number>();

  constructor(limits: PaceLimits) {
    this.#limits = limits;
  }

  /** How many milliseconds a request has to wait; undefined when that is too long: then it is not to go. */
  take(endpoint: string): number | undefined {
    const now = performance.now();
    const pauses = [this.#pauseOf("", this.#limits.all, now), this.#pauseOf(endpoint, this.#limits.endpoint, now)];
    const waitMs = Math.max(...pauses);
    if (waitMs > longestWaitMs) return undefined;
    this.#use("", this.#limits.all, now);
    this.#use(endpoint, this.#limits.endpoint, now);
    return waitMs;
  }

  /** The first requests after a pause need not be spread. */
  #pauseOf(endpoint: string, perSecond: number, now: number): number {
    const credit = (burst * 1_000) / perSecond;
    return Math.max(0, (this.#free.get(endpoint) ?? 0) - now - credit);
  }

  #use(endpoint: string, perSecond: number, now: number): void {
    this.#free.set(endpoint, Math.max(now, this.#free.get(endpoint) ?? 0) + 1_000 / perSecond);
  }
}

/** A request that was not sent, because more of them wait than may go. */
export interface Unsent {
  readonly said: "unsent";
  readonly error: Error;
}

/** How requests go, and who counts them. */
export interface Turn {
  readonly pace: RequestPace;
  /** For one request, in milliseconds. Nobody else goes on with what it is about for half as long again. */
  readonly timeoutMs: number;
  readonly metrics: Pick<OutsideMetrics, "asked" | "waited" | "held">;
}

/** Sends a request when it is its turn. */
export async function inTurn<A extends { readonly said: string }>(
  endpoint: string,
  { pace, metrics, timeoutMs }: Turn,
  send: () => Promise<A>,
): Promise<A | Unsent> {
  const unsent = (why: string): Unsent => {
    metrics.held(endpoint);
    return { said: "unsent", error: new Error(why) };
  };
  const start = performance.now();
  const waitMs = pace.take(endpoint);
  if (waitMs === undefined) return unsent(`more requests to ${endpoint} wait than may be sent in a second`);
  metrics.waited(waitMs);
  if (waitMs > 0) await delay(waitMs);
  const begun = performance.now();
  // Who was frozen while it waited has no time left in which nobody else goes on with what it is about.
  if (begun - start > timeoutMs / 2) return unsent(`a request to ${endpoint} has waited too long for its turn`);
  const answer = await send();
  metrics.asked(endpoint, answer.said, performance.now() - begun);
  return answer;
}
