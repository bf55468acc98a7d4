import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { SagaOutbox } from "./saga-outbox.repository.ts";

/** What the relay works with. */
export interface SagaRelayOptions {
  readonly outbox: Pick<SagaOutbox, "claim" | "oldest">;
  readonly dispatcher: Pick<Dispatcher, "start">;
  readonly logger: Pick<Logger, "error">;
  readonly metrics: OrderMetrics;
  /** Between two sweeps, in milliseconds. */
  readonly everyMs: number;
  /** Younger batches are left to the process that accepted them, in milliseconds. */
  readonly ageMs: number;
}

/** Batches in one sweep. */
const sweepLimit = 16;
/** After failures, in milliseconds: a worker that is back should not wait long for what was left. */
const maxPauseMs = 5_000;

/** Starts the sagas that a crash, or a worker that was away, left without an acknowledgement. */
export function createSagaRelay(options: SagaRelayOptions): Relay {
  const { everyMs, logger } = options;
  return new Relay({ name: "saga relay", everyMs, maxPauseMs, log: logger, sweep: () => sweep(options) });
}

/** Returns how many batches the worker took. @throws when it took none of those that there were */
async function sweep({ outbox, dispatcher, metrics, ageMs }: SagaRelayOptions): Promise<number> {
  const oldest = await outbox.oldest();
  metrics.outboxLag.set(oldest ? Math.max(0, Date.now() - oldest.getTime()) / 1000 : 0);
  if (!oldest || oldest.getTime() > Date.now() - ageMs) return 0;
  const batches = await outbox.claim({ ageMs, leaseMs: ageMs, limit: sweepLimit });
  const results = await Promise.allSettled(batches.map((batch) => dispatcher.start(batch)));
  const failures = results.filter((result) => result.status === "rejected");
  if (failures[0] && failures.length === batches.length) throw failures[0].reason;
  return batches.length - failures.length;
}
