import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderReturnRepository } from "./order-return.repository.ts";
import type { ReturnMetrics } from "./return-metrics.ts";

/** What the watch works with. */
export interface ReturnWatchOptions {
  readonly repository: Pick<OrderReturnRepository, "remind" | "oldest">;
  readonly metrics: Pick<ReturnMetrics, "waiting">;
  readonly logger: Pick<Logger, "warn" | "error">;
  readonly everyMs: number;
  /** What came later is left alone: its event is on its way. */
  readonly ageMs: number;
  /** Told how many orders are to be carried. */
  readonly onDue: (count: number) => void;
}

/** Of one look. */
const batch = 100;

/**
 * Has orders carried of which something came and nothing is under way: while a new version is rolled out, one of before may take the event,
 * and knows nothing of returns. And it tells how long what came has waited, and what has no label.
 */
export function createReturnWatch(options: ReturnWatchOptions): Relay {
  const { repository, metrics, logger, everyMs, ageMs, onDue } = options;
  const sweep = async () => {
    metrics.waiting(await repository.oldest());
    const forgotten = await repository.remind(ageMs, batch);
    for (const orderId of forgotten)
      logger.warn("what came back of an order is carried again", { "order.id": orderId });
    if (forgotten.length > 0) onDue(forgotten.length);
    return forgotten.length;
  };
  return new Relay({ name: "watching returns", everyMs, log: logger, sweep });
}
