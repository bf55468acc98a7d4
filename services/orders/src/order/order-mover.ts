import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { countMove, type OrderMetrics } from "./metrics.ts";
import {
  type Move,
  type Moved,
  type PreparedRest,
  type RestingMove,
  type SubmittedMove,
  transitionOrders,
} from "./order-transition.repository.ts";

/** Prepares what was missing of orders, as orders of their own. */
interface PreparesRests {
  /** @returns by the order of which it is the rest, for those of these that have one that is not made */
  prepare(orderIds: readonly string[]): Promise<ReadonlyMap<string, PreparedRest>>;
}

/** What a mover works with. */
export interface OrderMoverOptions {
  readonly database: Queryable;
  readonly metrics: OrderMetrics;
  /** What was missing of orders, as orders of their own. */
  readonly rests: PreparesRests;
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
    const resting = await this.#withRests(moves);
    const outcomes = await transitionOrders(database, resting);
    for (const [index, moved] of outcomes.entries()) {
      if (moved instanceof Error || !moved.changed) continue;
      countMove(metrics, moved);
      if (resting[index]?.rest) metrics.created.inc();
    }
    return outcomes;
  }

  /** Seldom any: most orders have all that they want. */
  async #withRests(moves: readonly SubmittedMove[]): Promise<readonly RestingMove[]> {
    const followed = moves.filter((move) => move.followed);
    if (followed.length === 0) return moves;
    const rests = await this.#options.rests.prepare(followed.map(({ orderId }) => orderId));
    return moves.map((move) => ({ ...move, rest: move.followed ? rests.get(move.orderId) : undefined }));
  }
}
