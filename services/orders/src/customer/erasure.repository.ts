import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { forgottenJson } from "#platform/personal/personal-key.ts";
import { forgottenTexts, saidNothing, textSaysWhy } from "../order/cancel-reason.ts";
import { customerNotFound } from "../order/errors.ts";
import { isTerminal, orderStatuses } from "../order/order.ts";
import { cardKeyOf } from "../order/order-cards.ts";
import type { ErasedCustomer } from "./erased-list.ts";

/** What the audit log calls it. */
export const eraseAction = "customer.erased";

/** Who forgets by a schedule. */
export const ownActor = "service:orders";

/** Whom somebody wants forgotten. */
export interface EraseRequest extends Keyed {
  readonly customerId: string;
}

/** The request and who it is from. */
interface SubmittedErase extends EraseRequest {
  readonly origin: AuditOrigin;
}

/** What was forgotten, and what is not yet. */
export interface Erased {
  readonly eraseTime: Date;
  readonly keptOrders: number;
  /** Until when the last order that has ended keeps who ordered; undefined when none does. */
  readonly keepTime: Date | undefined;
}

const keys: KeySpace<EraseRequest> = { method: "EraseCustomer", scope: ({ customerId }) => customerId };

/** SQL: the statuses in which an order has ended. */
export const ended = orderStatuses
  .filter(isTerminal)
  .map((status) => `'${status}'`)
  .join(", ");

/** SQL: whether an order `o` says who ordered, or where to. */
export const saysWho = `(o.contact is not null or o.given_name is not null or o.shipping_address <> ${forgottenJson})`;

/** Whether it is known of an order why it was cancelled: that is nothing that the law wants kept. */
const saysWhy = `(o.cancel_reason is not null or coalesce(${textSaysWhy}, false)
      or coalesce(o.saga #>> '{cancelReason}' <> '${saidNothing}', false))`;

/** The end of an order is its last change. */
const mayForget = `o.status in (${ended}) and o.update_time <= now() - $2 * interval '1 day'`;

const erase: SqlText = {
  name: "customer_erase",
  prepared: false,
  text: `with erased as (
    update customer set given_name = null, family_name = null, email = null, phone = '', contact = null, sealed_phone = null,
      erase_time = date_trunc('milliseconds', now()), update_time = greatest(now(), update_time), revision = revision + 1
    where customer_id = $1 and erase_time is null
    returning customer_id, erase_time, create_time
  ), addressed as (
    delete from customer_email using erased where customer_email.customer_id = erased.customer_id
  ), dissimilar as (
    delete from order_screening using erased where order_screening.customer_id = erased.customer_id
  ), noted as (
    insert into erasure (customer_id, erase_time, due_time) select customer_id, erase_time, now() from erased
  ), audited as (${insertAuditEvents("$3", { join: "join erased on true" })})
  select erased.erase_time as "eraseTime", erased.create_time as "createTime",
    count(o.order_id)::int as "keptOrders",
    max(o.update_time) filter (where o.status in (${ended})) + $2 * interval '1 day' as "keepTime"
  from erased left join customer_order o
    on o.customer_id = erased.customer_id and ${saysWho} and not (${mayForget})
  group by erased.erase_time, erased.create_time`,
};

/** Answers about the customer. A repeated creation finds that its id was used, and not by whom. */
const forgetAnswers: SqlText = {
  name: "customer_erase_answers",
  prepared: false,
  text: `with gone as (
    delete from idempotency_key where method in ('UpdateCustomer/' || $1, 'CreateOrder/' || $1)
  )
  delete from idempotency_key
  where method like 'CreateCustomer/%' and create_time between $2::timestamptz - interval '1 minute' and $2::timestamptz + interval '1 minute'
    and position($1::text in convert_from(response, 'UTF8')) > 0
  returning method, request_id as "requestId", create_time as "createTime"`,
};

const keepAsked: SqlText = {
  name: "customer_erase_asked",
  prepared: false,
  text: `insert into idempotency_key (method, request_id, fingerprint, response, create_time)
    select method, request_id, ''::bytea, ''::bytea, create_time
    from json_to_recordset($1::json) as i(method text, request_id text, create_time timestamptz)`,
};

const answer: SqlText = {
  name: "customer_erase_answer",
  prepared: false,
  text: "insert into idempotency_key (method, request_id, fingerprint, response) values ($1, $2, $3, $4)",
};

const findDue: SqlText = {
  name: "erasure_due",
  prepared: false,
  text: `select customer_id as "customerId" from erasure where due_time <= now() order by due_time limit $1
    for no key update skip locked`,
};

const forgetReasons: SqlText = {
  name: "erasure_reasons",
  prepared: false,
  text: `with due as materialized (
    select o.order_id from customer_order o where o.customer_id = $1 and ${saysWhy}
    order by o.order_id limit $2 for no key update
  )
  update customer_order o set cancel_reason = null, ${forgottenTexts} from due where o.order_id = due.order_id returning 1`,
};

/** What was written about what came back: nothing that the law wants kept. */
const forgetReturnTexts: SqlText = {
  name: "erasure_return_texts",
  prepared: false,
  text: "delete from order_return_text where customer_id = $1",
};

/** What is to be sent for what comes back is sent to nobody. */
const forgetExchanges: SqlText = {
  name: "erasure_exchanges",
  prepared: false,
  text: `update order_return set exchange = (exchange - 'cardToken') #- '{adjustments,names}'
    where customer_id = $1 and exchange is not null and exchange_state = 'wanted'`,
};

const forgetOrders: SqlText = {
  name: "erasure_orders",
  prepared: false,
  text: `with due as materialized (
    select o.order_id from customer_order o where o.customer_id = $1 and ${saysWho} and ${mayForget}
    order by o.order_id limit $3 for no key update
  ), dissimilar as (
    delete from order_screening where order_screening.customer_id = $1
  )
  update customer_order o set given_name = null, family_name = null, email = null, contact = null,
    shipping_address = ${forgottenJson}, adjustments = adjustments - 'names', shortage = shortage - 'rest'
  from due where o.order_id = due.order_id returning 1`,
};

/** Keys that no row needs any more, of the customer as of its orders. */
const forgetKeys: SqlText = {
  name: "erasure_keys",
  prepared: false,
  text: `with needed as materialized (
    select left(o.contact, 32)::uuid as key_id from customer_order o where o.customer_id = $1 and o.contact is not null
    union all
    select left(o.shipping_address #>> '{}', 32)::uuid from customer_order o
    where o.customer_id = $1 and jsonb_typeof(o.shipping_address) = 'string'
    union all
    select left(a.shipping_address #>> '{}', 32)::uuid from order_amendment a join customer_order o using (order_id)
    where o.customer_id = $1 and jsonb_typeof(a.shipping_address) = 'string'
    union all
    select ${cardKeyOf("o.card_token")} from customer_order o where o.customer_id = $1 and o.status not in (${ended})
    union all
    select ${cardKeyOf("a.card_token")} from order_amendment a join customer_order o using (order_id) where o.customer_id = $1
  )
  delete from personal_key where subject = $1 and not exists (select from needed where needed.key_id = personal_key.key_id)`,
};

/**
 * When to look again: at the first end of a time, once a minute while there is more to do at once, and once an hour while an order is under
 * way. A minute after the erasure in any case: an order that was just being taken then is there now.
 */
const putOff: SqlText = {
  name: "erasure_put_off",
  prepared: false,
  text: `update erasure set due_time = (
    select greatest(least(
        min(o.update_time + $2 * interval '1 day') filter (where o.status in (${ended})),
        min(now()) filter (where ${saysWhy}),
        min(now() + interval '1 hour') filter (where o.status not in (${ended})),
        case when now() < erasure.erase_time + interval '1 minute' then erasure.erase_time + interval '1 minute' end
      ), now() + interval '1 minute')
    from (select 1) one left join customer_order o on o.customer_id = $1 and (${saysWho} or ${saysWhy})
    having count(o.order_id) > 0 or now() < erasure.erase_time + interval '1 minute'
  ) where customer_id = $1`,
};

const listErased: SqlText = {
  name: "erasure_list",
  prepared: false,
  text: `select customer_id as "customerId", erase_time as "eraseTime" from erasure where customer_id > $1
    order by customer_id limit $2`,
};

const lowest = "00000000-0000-0000-0000-000000000000";
/** Customers of one page of the list. */
const listPage = 1_000;

/** Orders that one statement forgets. */
const ordersBatch = 500;

/** Forgets customers: who they are at once, who ordered when it may be. */
export class ErasureRepository {
  readonly #database: Database;
  readonly #keepDays: number;
  readonly #erase: (inputs: SubmittedErase[]) => Promise<(Erased | Error)[]>;

  /** @param keepDays how long after its end an order keeps who ordered */
  constructor(database: Database, keepDays: number) {
    this.#database = database;
    this.#keepDays = keepDays;
    this.#erase = replayable<SubmittedErase, Erased>({
      database,
      ...keys,
      run: (inputs) => Promise.all(inputs.map((input) => this.#eraseOne(input))),
      decode,
    });
  }

  /** @throws CUSTOMER_NOT_FOUND, REQUEST_ID_REUSED */
  async erase(request: EraseRequest): Promise<Erased> {
    const [outcome] = await this.#erase([{ ...request, origin: auditOrigin(request.requestId) }]);
    if (outcome === undefined || outcome instanceof Error) throw outcome;
    return outcome;
  }

  /** Forgets what may be forgotten now of at most `limit` customers; returns of how many. For a `Relay`. */
  async sweep(limit: number): Promise<number> {
    return this.#database.transaction(async (tx) => {
      const due = await tx.query<{ customerId: string }>(findDue, [limit]);
      for (const { customerId } of due) await this.#forget(tx, customerId);
      return due.length;
    });
  }

  async #forget(tx: Transaction, customerId: string): Promise<void> {
    await tx.query(forgetReasons, [customerId, ordersBatch]);
    await tx.query(forgetReturnTexts, [customerId]);
    await tx.query(forgetExchanges, [customerId]);
    await tx.query(forgetOrders, [customerId, this.#keepDays, ordersBatch]);
    await tx.query(forgetKeys, [customerId]);
    await tx.query(putOff, [customerId, this.#keepDays]);
  }

  /** Erases somebody who is back with a backup from before; whether he was there. */
  eraseAgain(customerId: string): Promise<boolean> {
    return this.#database.transaction((tx) => this.eraseWithin(tx, customerId, { by: "replay" }));
  }

  /** All who were erased, in the order of their ids, a page at a time. */
  async *list(): AsyncIterable<readonly ErasedCustomer[]> {
    type Row = { readonly customerId: string; readonly eraseTime: Date };
    for (let after = lowest; ; ) {
      const rows: Row[] = await this.#database.query<Row>(listErased, [after, listPage]);
      yield rows.map(({ customerId, eraseTime }) => ({ customerId: encodeId(customerId), eraseTime }));
      const last = rows.at(-1);
      if (last === undefined || rows.length < listPage) return;
      after = last.customerId;
    }
  }

  /** Erases somebody whom nobody asked to erase, within a transaction; whether he was there. */
  async eraseWithin(tx: Transaction, customerId: string, why: Readonly<Record<string, string>>): Promise<boolean> {
    return (await this.#forgetPerson(tx, { customerId, origin: auditOrigin("", ownActor) }, why)) !== undefined;
  }

  async #eraseOne(input: SubmittedErase): Promise<Erased | Error> {
    return this.#database.transaction(async (tx) => {
      const erased = await this.#forgetPerson(tx, input);
      if (!erased) return customerNotFound(input.customerId);
      const response = Buffer.from(JSON.stringify(erased));
      await tx.query(answer, [keyMethod(keys, input), input.requestId, input.fingerprint, response]);
      return erased;
    });
  }

  /** Undefined when there is no such customer, or he is erased. */
  async #forgetPerson(
    tx: Transaction,
    { customerId, origin }: Pick<SubmittedErase, "customerId" | "origin">,
    details?: Readonly<Record<string, string>>,
  ): Promise<Erased | undefined> {
    const events = auditEvents([{ action: eraseAction, subject: customerId, origin, details }]);
    type Row = Erased & { readonly createTime: Date; readonly keepTime: Date | null };
    const [row] = await tx.query<Row>(erase, [decodeId(customerId), this.#keepDays, events]);
    if (!row) return undefined;
    const { createTime, keepTime, ...rest } = row;
    const asked = await tx.query<{ method: string; requestId: string; createTime: Date }>(forgetAnswers, [
      customerId,
      createTime,
    ]);
    const left = asked.map((each) => ({ ...each, request_id: each.requestId, create_time: each.createTime }));
    if (left.length > 0) await tx.query(keepAsked, [JSON.stringify(left)]);
    return { ...rest, keepTime: keepTime ?? undefined };
  }
}

function decode(response: Buffer): Erased {
  // biome-ignore lint/plugin/json: an answer that we wrote
  const { eraseTime, keptOrders, keepTime } = JSON.parse(response.toString()) as Erased;
  return { eraseTime: new Date(eraseTime), keptOrders, keepTime: keepTime && new Date(keepTime) };
}
