import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { ReviewDecisions } from "./review-decisions.ts";
import type { ReviewsRepository } from "./reviews.repository.ts";
import type { ScreeningMetrics } from "./screening-metrics.ts";

/** What the watch works with. */
export interface ReviewWatchOptions {
  readonly reviews: Pick<ReviewsRepository, "waiting" | "late" | "forget">;
  readonly decisions: Pick<ReviewDecisions, "expire">;
  readonly metrics: Pick<ScreeningMetrics, "reviews" | "oldestReview">;
  readonly logger: Pick<Logger, "warn" | "error">;
  /** How long an order waits for a person, at most. */
  readonly maxMs: number;
  readonly everyMs: number;
}

/** Of one look. */
const batch = 100;
/** Rules look back for 30 days at most. */
const keepDays = 31;
const forgetBatch = 1_000;

/** Tells the metrics which orders wait for a person, gives up those that have waited for too long, and forgets what no rule looks at. */
export function createReviewWatch(options: ReviewWatchOptions): Relay {
  const { reviews, decisions, metrics, logger, maxMs, everyMs } = options;
  const sweep = async () => {
    const late = await reviews.late(maxMs, batch);
    await decisions.expire(late);
    for (const orderId of late) logger.warn("nobody decided about an order in time", { "order.id": orderId });
    const { orders, seconds } = await reviews.waiting();
    metrics.reviews.set(orders);
    metrics.oldestReview.set(seconds);
    return Math.max(late.length, await reviews.forget(keepDays, forgetBatch));
  };
  return new Relay({ name: "watching reviews", everyMs, log: logger, sweep });
}
