import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { countMove, type OrderMetrics } from "./metrics.ts";
import { type Move, type Moved, type SubmittedMove, transitionOrders } from "./order-transition.repository.ts";

/** What a mover works with. */
export interface OrderMoverOptions {
  readonly database: Queryable;
  readonly metrics: OrderMetrics;
}

/** Bounded by what one notification can name; see {@link transitionOrders}. */
const maxMoves = 256;
const lanes = 2;

/** Moves orders along: what arrives together is one statement, and an order's moves keep their sequence. */
export class OrderMover {
  readonly #options: OrderMoverOptions;
  readonly #batcher: Batcher<SubmittedMove, Moved>;

  constructor(options: OrderMoverOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      name: "order transitions",
      maxEntries: maxMoves,
      lanes,
      keyOf: (move) => move.orderId,
      run: (moves: SubmittedMove[]) => this.#move(moves),
    });
  }

  /** @throws ORDER_NOT_FOUND, ILLEGAL_TRANSITION */
  move(move: Move, signal: AbortSignal): Promise<Moved> {
    return this.#batcher.submit({ ...move, origin: auditOrigin() }, { signal });
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #move(moves: SubmittedMove[]): Promise<(Moved | Error)[]> {
    const { database, metrics } = this.#options;
    const outcomes = await transitionOrders(database, moves);
    for (const moved of outcomes) {
      if (!(moved instanceof Error) && moved.changed) countMove(metrics, moved);
    }
    return outcomes;
  }
}
