import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import type { ParkedStep } from "#gen/shop/sagas/v1/saga_pb.js";
import {
  type ParkedStepsProgress,
  ParkedStepsProgressSchema,
  RefusedParkedStepSchema,
  type ResolveParkedStepsRequest,
  type RetryParkedStepsRequest,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { toConnectError } from "#platform/errors.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import type { Decision, OrderRows, ParkedFilter, ParkedPage } from "./order-rows.ts";
import { type FoundStep, type ParkedSteps, toParkedFilter } from "./parked-steps.ts";

/** Steps a second when nothing is said: half of what two cores carry of orders that are new. */
const standardRate = 50;
/** The most steps that are decided about at once. */
const batchMax = 64;
/** The most steps that a dry run shows. */
const sampleSize = 20;
/** How long a batch is offered again to services that are away or have too much to do, in milliseconds. */
const patienceMs = 60_000;
const firstRetryMs = 250;
const maxRetryMs = 5_000;
/** What passes by itself. The same batch is offered again: what was decided is decided once. */
const passing: ReadonlySet<Code> = new Set([
  Code.Aborted,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Unavailable,
]);

/** What an operator decides about many steps. */
export type ManyStepsRequest = RetryParkedStepsRequest | ResolveParkedStepsRequest;

/** What decisions work with. */
export interface ParkedDecisionsOptions {
  readonly rows: Pick<OrderRows, "begin">;
  readonly steps: Pick<ParkedSteps, "page" | "decideAll">;
  readonly logger: Pick<Logger, "info">;
}

/** How far one call is. */
interface Tally {
  readonly matching: number;
  readonly waiting: number;
  decided: number;
  refused: number;
}

/**
 * Takes what operators decide about many parked steps: a batch at a time, the longest waiting first, not faster than asked for,
 * so that what they lead to meets nobody unprepared. Nothing is remembered here. Which steps are meant, and what was decided
 * about each, is in the rows of orders; so a call that was interrupted is made again, and goes on with what is left.
 */
export class ParkedDecisions {
  readonly #options: ParkedDecisionsOptions;
  /** When the next batch of this process may go, on the clock of `performance`: calls that run side by side share the time. */
  #free = Number.NEGATIVE_INFINITY;

  constructor(options: ParkedDecisionsOptions) {
    this.#options = options;
  }

  /** @throws REQUEST_ID_REUSED; OVERLOADED, UNAVAILABLE when no batch was taken for a minute */
  async *decide(
    request: ManyStepsRequest,
    { resolve, signal }: { readonly resolve: boolean; readonly signal: AbortSignal },
  ): AsyncGenerator<ParkedStepsProgress, void> {
    const { requestId, note, dryRun, which } = request;
    const filter = toParkedFilter(which.case === "filter" ? which.value : undefined);
    const decision = { requestId, resolve, note };
    const { rows, logger } = this.#options;
    const begun = await rows.begin(filter, { ...decision, dryRun });
    const tally: Tally = { matching: begun.matching, waiting: begun.waiting, decided: 0, refused: 0 };
    if (dryRun) return yield await this.#sample(filter, tally);
    logger.info("an operator decides about many parked steps", { "orders.count": begun.waiting });
    yield progress(tally);
    const rate = request.perSecond || standardRate;
    const page = { size: Math.min(batchMax, rate), token: "", parkedBefore: begun.parkedBefore };
    for await (const batch of this.#batches(filter, page, signal)) {
      await this.#turn(batch.length / rate, signal);
      yield await this.#decideBatch(batch, { decision, tally, signal });
    }
    logger.info("an operator has decided about many parked steps", { "orders.count": tally.decided });
    yield progress(tally, { done: true });
  }

  async #sample(filter: ParkedFilter, tally: Tally): Promise<ParkedStepsProgress> {
    const page = { size: sampleSize, token: "", parkedBefore: undefined };
    const { steps } = await this.#options.steps.page(filter, page);
    return progress(tally, { sample: steps.slice(0, sampleSize).map(({ step }) => step), done: true });
  }

  async *#batches(filter: ParkedFilter, page: ParkedPage, signal: AbortSignal): AsyncGenerator<FoundStep[], void> {
    let token = "";
    do {
      const here = { ...page, token };
      const { steps, next } = await insist(() => this.#options.steps.page(filter, here), signal);
      if (steps.length > 0) yield steps;
      token = next;
    } while (token !== "");
  }

  /** Waits until it is time for the next batch. */
  async #turn(seconds: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const mine = Math.max(now, this.#free);
    this.#free = mine + seconds * 1_000;
    await sleep(mine - now, undefined, { signal });
  }

  async #decideBatch(
    batch: FoundStep[],
    { decision, tally, signal }: { decision: Decision; tally: Tally; signal: AbortSignal },
  ): Promise<ParkedStepsProgress> {
    const outcomes = await insist(() => this.#options.steps.decideAll(batch, decision), signal);
    const refusals = batch.flatMap(({ step: { orderId, step } }, index) => {
      const failure = outcomes[index];
      return failure ? [whole(RefusedParkedStepSchema, { orderId, step, failure })] : [];
    });
    tally.refused += refusals.length;
    tally.decided += batch.length - refusals.length;
    return progress(tally, { refusals });
  }
}

/** Does it again while it fails with what passes. @throws what it fails with at last, or for good */
async function insist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const end = performance.now() + patienceMs;
  for (let retryMs = firstRetryMs; ; retryMs = Math.min(2 * retryMs, maxRetryMs)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !passing.has(toConnectError(error).code) || performance.now() > end) throw error;
    }
    // biome-ignore lint/plugin/random: spreads pauses, and hides nothing
    await sleep(retryMs * (0.5 + Math.random()), undefined, { signal });
  }
}

/** What a message may say besides. */
interface Told {
  readonly refusals?: ParkedStepsProgress["refusals"];
  readonly sample?: ParkedStep[];
  readonly done?: boolean;
}

function progress(tally: Tally, { refusals = [], sample = [], done = false }: Told = {}): ParkedStepsProgress {
  return whole(ParkedStepsProgressSchema, { ...tally, refusals, sample, done });
}
