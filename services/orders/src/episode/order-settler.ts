import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import { countMove, type OrderMetrics } from "../order/metrics.ts";
import { type Settled, type Settlement, type SubmittedSettlement, settleOrders } from "./settlement.repository.ts";

/** What a settler works with. */
export interface OrderSettlerOptions {
  readonly database: Queryable;
  readonly metrics: OrderMetrics;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** Told how many of the orders that rest now are due again. */
  readonly onDue: (count: number) => void;
}

/** Bounded by what one notification can name; see {@link settleOrders}. */
const maxSettlements = 256;
/** Of what sagas remember, in one statement. */
const maxBytes = 1024 * 1024;
const lanes = 2;

/** Has orders rest again: what settles together is one statement. */
export class OrderSettler {
  readonly #options: OrderSettlerOptions;
  readonly #batcher: Batcher<SubmittedSettlement, Settled>;

  constructor(options: OrderSettlerOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      name: "order settlements",
      maxEntries: maxSettlements,
      maxBytes,
      lanes,
      sizeOf: ({ saga = "" }) => saga.length,
      keyOf: (settlement) => settlement.orderId,
      run: (settlements: SubmittedSettlement[]) => this.#settle(settlements),
    });
  }

  /** @throws ORDER_NOT_FOUND, EPISODE_OVER, ORDER_RECALLED, ILLEGAL_TRANSITION */
  async settle(settlement: Settlement, signal: AbortSignal): Promise<Settled> {
    const settled = await this.#batcher.submit({ ...settlement, origin: auditOrigin() }, { signal });
    this.#say(settlement, settled);
    return settled;
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #settle(settlements: SubmittedSettlement[]): Promise<(Settled | Error)[]> {
    const { database, metrics, onDue } = this.#options;
    const outcomes = await settleOrders(database, settlements);
    const settled = outcomes.filter((outcome): outcome is Settled => !(outcome instanceof Error));
    for (const each of settled) if (each.changed) countMove(metrics, each);
    const due = settled.filter((each) => each.due).length;
    if (due > 0) onDue(due);
    return outcomes;
  }

  /** Once, however often the order is carried again meanwhile. */
  #say({ orderId, episodeId, waitsFor, retryAfterMs, parked }: Settlement, { stillWaits, stillParked }: Settled): void {
    const { logger } = this.#options;
    const fields = { "order.id": orderId, "saga.id": episodeId };
    if (waitsFor !== "" && !stillWaits) {
      const wait = { ...fields, "saga.waits_for": waitsFor, "saga.retry_after_ms": retryAfterMs };
      logger.info("an order rests until a service is back", wait);
    }
    if (parked && !stillParked) {
      const step = { ...fields, "saga.step": parked.step, "error.type": parked.reason };
      logger.warn("a step of an order waits for an operator", step);
    }
  }
}
