import { Code, ConnectError } from "@connectrpc/connect";
import { type Refusal, refusalOf } from "./refusal.ts";

/** How calls are repeated. Times are milliseconds. */
export interface RetryOptions {
  /** The first pause at most; each one after it may be twice as long. Default 100. */
  readonly firstPauseMs?: number;
  /** The longest pause that we choose; a service may ask for more. Default 5,000. */
  readonly longestPauseMs?: number;
  /** Calls are made so many times at most; 1: never repeated. Default 6. */
  readonly attempts?: number;
  /**
   * So many repetitions are made at once, by all calls of the client together, and one more for every ten calls that succeed: who
   * is overloaded is not asked twice as often for it. Default 50.
   */
  readonly budget?: number;
}

/** Of a repetition for each call that succeeds. */
const earned = 0.1;

/** Chooses when a call is repeated, for all calls of one client. */
export class Retry {
  readonly #firstPauseMs: number;
  readonly #longestPauseMs: number;
  readonly #attempts: number;
  readonly #budget: number;
  readonly #random: () => number;
  #left: number;

  /** @param random from 0 to below 1; default: by chance */
  // biome-ignore lint/plugin/random: spreads pauses, and hides nothing
  constructor(options: RetryOptions = {}, random: () => number = Math.random) {
    this.#firstPauseMs = options.firstPauseMs ?? 100;
    this.#longestPauseMs = options.longestPauseMs ?? 5_000;
    this.#attempts = options.attempts ?? 6;
    this.#budget = options.budget ?? 50;
    this.#left = this.#budget;
    this.#random = random;
  }

  /** A call has succeeded. */
  succeeded(): void {
    this.#left = Math.min(this.#budget, this.#left + earned);
  }

  /**
   * The pause before the next attempt, in milliseconds; undefined when there is to be none. One that is to be there is taken from
   * the budget.
   *
   * @param attempt which one failed, from 1
   * @param leftMs what is left to the call's deadline
   */
  pauseMs(
    error: unknown,
    { attempt, leftMs }: { readonly attempt: number; readonly leftMs: number },
  ): number | undefined {
    const refusal = refusalOf(error);
    if (!(isPassing(refusal) || isBroken(error)) || attempt >= this.#attempts || this.#left < 1) return undefined;
    const longest = Math.min(this.#longestPauseMs, this.#firstPauseMs * 2 ** (attempt - 1));
    // Never earlier than we were told, and not all of us at the same moment.
    const pause = (refusal.retryDelayMs ?? 0) + longest * this.#random();
    if (pause >= leftMs) return undefined;
    this.#left -= 1;
    return pause;
  }
}

/**
 * Whether the same call may succeed later. ABORTED and RESOURCE_EXHAUSTED do only when the service says when: a customer that was
 * changed meanwhile, or a message that is too large, will be refused again. DEADLINE_EXCEEDED is that of one attempt.
 */
function isPassing({ code, retryDelayMs }: Refusal): boolean {
  if (code === Code.Unavailable || code === Code.DeadlineExceeded) return true;
  return retryDelayMs !== undefined && (code === Code.Aborted || code === Code.ResourceExhausted);
}

/** What Connect makes of connections and streams that end too early. */
const broken: readonly Code[] = [Code.Aborted, Code.Canceled, Code.Internal];

/** Whether it was no service that said so, but a connection that broke. */
export function isBroken(error: unknown): boolean {
  return error instanceof ConnectError && !error.isWireError && broken.includes(error.code);
}
