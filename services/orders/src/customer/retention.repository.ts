import { auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { encodeId } from "#platform/id.ts";
import { forgottenJson } from "#platform/personal/personal-key.ts";
import { forgottenTexts } from "../order/cancel-reason.ts";
import { cardKeyOf } from "../order/order-cards.ts";
import { type ErasureRepository, ended, ownActor, saysWho } from "./erasure.repository.ts";

/** What the audit log calls an order that does not say any more who ordered. */
export const forgetAction = "order.person_forgotten";

/** How a batch is made. */
export interface RetentionOptions {
  readonly days: number;
  /** The most that it looks at. */
  readonly limit: number;
  /** Whether nothing is forgotten. */
  readonly dryRun: boolean;
}

/** What became of a batch of customers. */
export interface CustomersLook {
  /** Whom it forgot, or would forget. */
  readonly found: number;
  /** Whether it was the last batch of a pass: the next one begins with the first customer again. */
  readonly over: boolean;
}

/**
 * The condition on status and content is that of an index. Who was changed in this moment waits: an order that is just placed may
 * have the contact of before, whose key then is this order's alone, as far as can be seen.
 */
const isDue = `o.status in (${ended}) and ${saysWho} and o.update_time <= now() - $1 * interval '1 day'`;

const findOrders: SqlText = {
  name: "retention_orders",
  prepared: false,
  text: `select o.order_id as "orderId" from customer_order o
    where ${isDue} and not exists (
      select from customer c where c.customer_id = o.customer_id and c.update_time > now() - interval '1 minute')
    order by o.order_id limit $2 for no key update skip locked`,
};

/** More than so many are not counted. */
const countMax = 10_000;

const countOrders: SqlText = {
  name: "retention_orders_due",
  prepared: false,
  text: `select count(*)::int as due from (select from customer_order o where ${isDue} limit $2) counted`,
};

/** A contact's key is that of all orders which were placed with it, and the customer's while he has it: the last one takes it along. */
const forget: SqlText = {
  name: "retention_forget",
  prepared: false,
  text: `with due as materialized (
    select o.order_id, o.customer_id, left(o.contact, 32)::uuid as contact_key,
      case when jsonb_typeof(o.shipping_address) = 'string' then left(o.shipping_address #>> '{}', 32)::uuid end as address_key,
      case when jsonb_typeof(o.cancel_reason) = 'string' then left(o.cancel_reason #>> '{}', 32)::uuid end as reason_key
    from unnest($1::uuid[]) as i(order_id) join customer_order o using (order_id)
  ), own as (
    select address_key as key_id from due union all select reason_key from due union all
    select left(a.details ->> 'sealed_note', 32)::uuid from audit_event a join due using (order_id) where a.details ? 'sealed_note'
    union all
    select contact_key from due where not exists (
      select from customer c where c.customer_id = due.customer_id and left(c.contact, 32)::uuid = due.contact_key
    ) and not exists (
      select from customer_order other where other.customer_id = due.customer_id and left(other.contact, 32)::uuid = due.contact_key
        and other.order_id <> all($1::uuid[])
    )
    union all
    select left(t.text #>> '{}', 32)::uuid from order_return_text t join due using (order_id) where jsonb_typeof(t.text) = 'string'
    union all
    select ${cardKeyOf("r.exchange ->> 'cardToken'")} from order_return r join due using (order_id) where r.exchange_state = 'wanted'
  ), untold as (
    delete from order_return_text t using due where t.order_id = due.order_id
  ), unwanted as (
    update order_return r set exchange = (r.exchange - 'cardToken') #- '{adjustments,names}'
    from due where r.order_id = due.order_id and r.exchange_state = 'wanted'
  ), unlocked as (
    delete from personal_key using own where personal_key.key_id = own.key_id
  ), audited as (${insertAuditEvents("$2")})
  update customer_order o set given_name = null, family_name = null, email = null, contact = null,
    shipping_address = ${forgottenJson}, adjustments = adjustments - 'names', shortage = shortage - 'rest',
    cancel_reason = null, ${forgottenTexts}
  from due where o.order_id = due.order_id`,
};

/** One process looks at a time; another one goes on where it was. */
const place: SqlText = {
  name: "retention_place",
  prepared: false,
  text: "select after_id as after from retention where subject = 'customers' for no key update skip locked",
};

const goOn: SqlText = {
  name: "retention_go_on",
  prepared: false,
  text: `update retention set after_id = $1, forgotten = forgotten + $2,
      pass_time = case when $3 then now() else pass_time end
    where subject = 'customers'`,
};

/** Customers in the order of their ids, and of each whether it is time. */
const lookAtCustomers: SqlText = {
  name: "retention_customers",
  prepared: false,
  text: `select c.customer_id as "customerId", c.erase_time is null and c.update_time <= now() - $1 * interval '1 day' and not exists (
      select from customer_order o where o.customer_id = c.customer_id
        and (o.status not in (${ended}) or o.update_time > now() - $1 * interval '1 day')
    ) as due
    from customer c where c.customer_id > $2 order by c.customer_id limit $3`,
};

/** Who is being changed is left for the next pass: nobody waits for this. */
const lockCustomer: SqlText = {
  name: "retention_lock",
  prepared: false,
  text: "select from customer where customer_id = $1 and erase_time is null for update skip locked",
};

const lowest = "00000000-0000-0000-0000-000000000000";

/** Forgets by a schedule who did not ask for it. Each batch is a transaction: what a process leaves half done, another one does. */
export class RetentionRepository {
  readonly #database: Pick<Database, "query" | "transaction">;
  readonly #erasures: Pick<ErasureRepository, "eraseWithin">;

  constructor(database: Pick<Database, "query" | "transaction">, erasures: Pick<ErasureRepository, "eraseWithin">) {
    this.#database = database;
    this.#erasures = erasures;
  }

  /** Has the orders that ended long ago say nothing of a person any more; returns how many. */
  async forgetOrders({ days, limit, dryRun }: RetentionOptions): Promise<number> {
    if (dryRun) return 0;
    return this.#database.transaction(async (tx) => {
      const due = await tx.query<{ orderId: string }>(findOrders, [days, limit]);
      if (due.length === 0) return 0;
      const origin = auditOrigin("", ownActor);
      const details = { days: String(days) };
      const entries = due.map(({ orderId }) => ({
        action: forgetAction,
        orderId: encodeId(orderId),
        details,
        origin,
      }));
      await tx.commitWith(forget, [due.map(({ orderId }) => orderId), auditEvents(entries)]);
      return due.length;
    });
  }

  /** How many orders are due, at most 10,000. */
  async dueOrders(days: number): Promise<number> {
    const [row] = await this.#database.query<{ due: number }>(countOrders, [days, countMax]);
    return row?.due ?? 0;
  }

  /** Looks at the next customers, and erases those who have not ordered for so long. Nothing while another process does. */
  async lookAtCustomers({ days, limit, dryRun }: RetentionOptions): Promise<CustomersLook> {
    return this.#database.transaction(async (tx) => {
      const [from] = await tx.query<{ after: string }>(place);
      if (!from) return { found: 0, over: false };
      const looked = await tx.query<{ customerId: string; due: boolean }>(lookAtCustomers, [days, from.after, limit]);
      const due = looked.filter((each) => each.due).map(({ customerId }) => customerId);
      let found = 0;
      for (const customerId of due) if (dryRun || (await this.#erase(tx, customerId, days))) found += 1;
      const over = looked.length < limit;
      const after = over ? lowest : (looked.at(-1)?.customerId ?? lowest);
      await tx.commitWith(goOn, [after, dryRun ? 0 : found, over]);
      return { found, over };
    });
  }

  async #erase(tx: Transaction, customerId: string, days: number): Promise<boolean> {
    const locked = await tx.query(lockCustomer, [customerId]);
    if (locked.length === 0) return false;
    return this.#erasures.eraseWithin(tx, encodeId(customerId), { by: "retention", days: String(days) });
  }
}
