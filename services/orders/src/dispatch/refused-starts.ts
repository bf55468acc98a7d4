import { Code, ConnectError } from "@connectrpc/connect";
import { runInContext } from "#platform/context.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, newId, timeOf } from "#platform/id.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { SagaBatch } from "../order/order.ts";
import type { OrderMover } from "../order/order-mover.ts";
import type { SagaOutbox } from "./saga-outbox.repository.ts";

/** What the end of refused starts works with. */
export interface RefusedStartsOptions {
  readonly database: Queryable;
  readonly mover: Pick<OrderMover, "move">;
  readonly outbox: Pick<SagaOutbox, "acknowledge">;
  readonly logger: Pick<Logger, "warn">;
  /** How long the worker may refuse an order before this is the order's end, in milliseconds. */
  readonly giveUpAfterMs: number;
}

/** How an order ends that the worker does not take. Nothing was reserved or held for it. */
const failure = {
  reason: "NOT_ACCEPTED",
  customerMessage: "The order could not be completed. Nothing was charged.",
};
/** For the one statement that ends an order, in milliseconds. */
const moveTimeoutMs = 10_000;

const split: SqlText = {
  name: "refused_start_split",
  text: `with locked as materialized (
      select order_id from customer_order
      where order_id = any($1::uuid[]) and saga_id = $3::uuid and dispatch_time is null
      order by order_id for no key update
    )
    update customer_order o set saga_id = i.saga_id, dispatch_claim_time = null
    from unnest($1::uuid[], $2::uuid[]) as i(order_id, saga_id) join locked using (order_id)
    where o.order_id = i.order_id`,
};

/**
 * Gives orders an end that the worker refuses for good. Only INVALID_ARGUMENT is such a refusal: it is about the orders, and
 * the worker has begun nothing; any other tells of a fault in the deployment, and goes away with it. A batch of several is
 * taken apart first, so that one order does not take the others with it.
 */
export class RefusedStarts {
  readonly #options: RefusedStartsOptions;

  constructor(options: RefusedStartsOptions) {
    this.#options = options;
  }

  /** Told about every start that is refused. Never throws: what fails here is done at the next refusal. */
  refused(batch: SagaBatch, error: unknown): void {
    const [first] = batch.orders;
    if (!first || !(error instanceof ConnectError) || error.code !== Code.InvalidArgument) return;
    if (Date.now() - timeOf(first.orderId).getTime() < this.#options.giveUpAfterMs) return;
    const ended = batch.orders.length > 1 ? this.#takeApart(batch) : this.#reject(batch.sagaId, first.orderId);
    ended.catch((reason: unknown) => {
      const fields = { "saga.id": batch.sagaId, err: reason };
      this.#options.logger.warn("refused orders could not be given an end yet", fields);
    });
  }

  async #takeApart({ sagaId, orders }: SagaBatch): Promise<void> {
    const orderIds = orders.map(({ orderId }) => decodeId(orderId));
    const sagaIds = orders.map(() => decodeId(newId()));
    await this.#options.database.query(split, [orderIds, sagaIds, decodeId(sagaId)]);
    const fields = { "saga.id": sagaId, "orders.count": orders.length };
    this.#options.logger.warn("the orders of a refused saga get one each", fields);
  }

  async #reject(sagaId: string, orderId: string): Promise<void> {
    const { mover, outbox, logger } = this.#options;
    const move = { orderId, to: "rejected", failure, shipments: undefined } as const;
    await runInContext({ actor: "service:orders" }, () => mover.move(move, AbortSignal.timeout(moveTimeoutMs)));
    await outbox.acknowledge([sagaId]);
    logger.warn("an order is rejected that the worker refuses", { "order.id": orderId, "saga.id": sagaId });
  }
}
