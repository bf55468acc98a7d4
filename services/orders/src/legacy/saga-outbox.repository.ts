import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import type { NewOrder, SagaBatch } from "../order/order.ts";
import { firstIdAt } from "../order/order-id.ts";
import { type SagaOrderRow, sagaOrderColumns, toNewOrder, withLines } from "../order/order-row.ts";

/**
 * Takes on whole batches and leaves a mark on them, which keeps the relays of other replicas away for a while. A relay that
 * had to wait for a row judges it anew, and its batch with it, because the batches' rows are marked in one statement.
 */
const claim: SqlText = {
  name: "saga_outbox_claim",
  text: `with due as (
    select distinct saga_id from customer_order
    where dispatch_time is null and saga_id < $1
      and (dispatch_claim_time is null or dispatch_claim_time < now() - $2 * interval '1 millisecond')
    order by saga_id limit $3
  ), locked as materialized (
    select order_id from customer_order
    where saga_id in (select saga_id from due) and dispatch_time is null
      and (dispatch_claim_time is null or dispatch_claim_time < now() - $2 * interval '1 millisecond')
    order by order_id for no key update
  ), o as (
    update customer_order set dispatch_claim_time = now() from locked where customer_order.order_id = locked.order_id
    returning customer_order.*
  )
  select ${sagaOrderColumns} from o ${withLines} order by o.saga_id, o.order_id`,
};

const ofSaga: SqlText = {
  name: "saga_outbox_of_saga",
  text: `select ${sagaOrderColumns} from customer_order o ${withLines}
    where o.saga_id = $1 and o.dispatch_time is null order by o.order_id`,
};

const acknowledge: SqlText = {
  name: "saga_outbox_acknowledge",
  text: `with locked as materialized (
    select order_id from customer_order where saga_id = any($1::uuid[]) and dispatch_time is null
    order by order_id for no key update
  )
  update customer_order set dispatch_time = now(), card_token = null from locked
  where customer_order.order_id = locked.order_id`,
};

/** How a relay takes on what others left. */
export interface Claim {
  /** Only batches that are older, in milliseconds. */
  readonly ageMs: number;
  /** For how long other relays leave the batches alone, in milliseconds. */
  readonly leaseMs: number;
  /** The most batches. */
  readonly limit: number;
}

/** The orders table as the outbox of the version before episodes: which batches the worker has not acknowledged. */
export class SagaOutbox {
  readonly #database: Queryable;
  readonly #personal: PersonalData;

  /** @param personal by default everything is plain */
  constructor(database: Queryable, personal: PersonalData = plainPersonalData) {
    this.#database = database;
    this.#personal = personal;
  }

  /** Takes on batches that were not acknowledged, each whole and in its first order. */
  async claim({ ageMs, leaseMs, limit }: Claim): Promise<SagaBatch[]> {
    const values = [firstIdAt(Date.now() - ageMs), leaseMs, limit];
    return this.#toBatches(await this.#database.query<SagaOrderRow>(claim, values));
  }

  /** The batch of a saga, unless it is acknowledged. */
  async find(sagaId: string): Promise<SagaBatch | undefined> {
    const [batch] = await this.#toBatches(await this.#database.query<SagaOrderRow>(ofSaga, [decodeId(sagaId)]));
    return batch;
  }

  /** The worker has these batches: the card tokens are not needed here any longer. */
  async acknowledge(sagaIds: readonly string[]): Promise<void> {
    await this.#database.query(acknowledge, [sagaIds.map(decodeId)]);
  }

  async #toBatches(rows: readonly SagaOrderRow[]): Promise<SagaBatch[]> {
    const batches = new Map<string, NewOrder[]>();
    for (const row of rows) {
      const order = await toNewOrder(this.#personal, row);
      const orders = batches.get(row.sagaId);
      if (orders) orders.push(order);
      else batches.set(row.sagaId, [order]);
    }
    return [...batches].map(([sagaId, orders]) => ({ sagaId: encodeId(sagaId), orders }));
  }
}
