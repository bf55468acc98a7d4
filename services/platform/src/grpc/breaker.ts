import { Code, ConnectError } from "@connectrpc/connect";
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  halfJitterGenerator,
  handleWhen,
} from "cockatiel";
import type { Logger } from "#platform/log/logger.ts";
import { type BreakerState, breakerStates, connectorCalls } from "#platform/metrics/process-metrics.ts";

/** Whose calls these are. */
export interface BreakerOptions {
  /** Who is called, for metrics and the log: `gateway`, `carrier`. */
  readonly name: string;
  readonly log: Pick<Logger, "warn">;
}

/** The call was certainly not made: who is called does not answer. The message says why; the cause is the last failure. */
export class BreakerOpenError extends Error {
  override readonly name = "BreakerOpenError";
}

/** An answer that is none: it says of nobody what it was asked for. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

/** What says nothing about what was asked for, but that nobody is there, or nobody for us. */
const away: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.ResourceExhausted,
  Code.Unimplemented,
  Code.Unauthenticated,
  Code.PermissionDenied,
]);

/** So many calls in a row without an answer, and no more are made. */
const failuresToOpen = 5;
/**
 * How long none is made then, before one tries: at first, and at the longest, in milliseconds, with chance in it. Orders rest for up to 37 s between two
 * tries and operations for 5 s; who is back has to be noticed soon enough that all go on within the minute.
 */
const pauseMs = { first: 500, longest: 2_000 };

const stateNames = {
  [CircuitState.Closed]: "closed",
  [CircuitState.HalfOpen]: "half_open",
  [CircuitState.Open]: "open",
  [CircuitState.Isolated]: "open",
} as const satisfies Record<CircuitState, BreakerState>;
const outcomes = ["answered", "failed", "held_back"] as const;
const states = ["closed", "half_open", "open"] as const satisfies readonly BreakerState[];

/** Whether what a call threw says that nobody is there, and nothing about what was asked for. */
export function isAway(error: unknown): boolean {
  return error instanceof NoAnswerError || (error instanceof ConnectError && away.has(error.code));
}

/**
 * Keeps a process from calling somebody outside who is away: after five calls in a row without an answer none is made but one from time to time, and with its
 * answer all are made again. Refusals and other errors that speak of what was asked for are answers.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #policy: CircuitBreakerPolicy;
  /** By `Date.now()`. */
  #openedAt = 0;

  constructor(options: BreakerOptions) {
    const { name, log } = options;
    this.#options = options;
    this.#policy = circuitBreaker(handleWhen(isAway), {
      breaker: new ConsecutiveBreaker(failuresToOpen),
      halfOpenAfter: new ExponentialBackoff({
        initialDelay: pauseMs.first,
        maxDelay: pauseMs.longest,
        generator: halfJitterGenerator,
      }),
    });
    let isTold = false;
    this.#policy.onBreak(() => {
      this.#openedAt = Date.now();
      // Once for an absence, not for each try.
      if (!isTold)
        log.warn("nobody answers: one call from time to time is made", { connector: name, err: this.#lastFailure() });
      isTold = true;
    });
    this.#policy.onReset(() => {
      if (isTold) log.warn("answers again; all calls are made", { connector: name });
      isTold = false;
    });
    for (const outcome of outcomes) connectorCalls.inc({ connector: name, outcome }, 0);
    // A breaker that nobody uses any more must not stay because it is measured.
    const policy = new WeakRef(this.#policy);
    breakerStates.add(() => readingOf(name, policy.deref()?.state ?? CircuitState.Closed));
  }

  /**
   * Makes a call, or none. While one tries whether somebody is there, others wait for what comes of it.
   *
   * @param mostWaitMs how long, at most
   * @throws BreakerOpenError when the call was certainly not made; else what the call throws
   */
  async run<T>(call: () => Promise<T>, mostWaitMs: number): Promise<T> {
    const { name: connector } = this.#options;
    this.#heedClock();
    try {
      return await this.#made(call, mostWaitMs);
    } catch (error) {
      if (error instanceof BreakerOpenError) connectorCalls.inc({ connector, outcome: "held_back" });
      throw error;
    }
  }

  async #made<T>(call: () => Promise<T>, mostWaitMs: number): Promise<T> {
    let isMade = false;
    let isGivenUp = false;
    const running = this.#policy.execute(() => {
      if (isGivenUp) throw this.#notMade();
      isMade = true;
      return this.#counted(call);
    });
    const told = running.catch((error: unknown) => {
      throw error instanceof BrokenCircuitError ? this.#notMade() : error;
    });
    if (isMade) return await told;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      isGivenUp = !isMade;
      if (isGivenUp) late.reject(this.#notMade());
    }, mostWaitMs);
    return await Promise.race([told, late.promise]).finally(() => clearTimeout(timer));
  }

  /** The policy reads the time of the day: where that was set back, it would hold calls back for as long. */
  #heedClock(): void {
    if (this.#policy.state === CircuitState.Open && Date.now() < this.#openedAt) this.#policy.isolate().dispose();
  }

  async #counted<T>(call: () => Promise<T>): Promise<T> {
    const { name: connector } = this.#options;
    try {
      const answer = await call();
      connectorCalls.inc({ connector, outcome: "answered" });
      return answer;
    } catch (error) {
      connectorCalls.inc({ connector, outcome: isAway(error) ? "failed" : "answered" });
      throw error;
    }
  }

  #notMade(): BreakerOpenError {
    const cause = this.#lastFailure();
    const message = `the ${this.#options.name} does not answer, and was not called: ${cause?.message ?? "it is tried"}`;
    return new BreakerOpenError(message, { cause });
  }

  #lastFailure(): Error | undefined {
    const failure = this.#policy.lastFailure;
    return failure && "error" in failure && failure.error instanceof Error ? failure.error : undefined;
  }
}

/** A series for each state, of which one is 1. */
function* readingOf(connector: string, state: CircuitState) {
  for (const name of states) yield [{ connector, state: name }, Number(stateNames[state] === name)] as const;
}
