import type { Queryable } from "#platform/database/transaction.ts";

/** What the books say, and where they disagree. */
export interface Balance {
  /** Debits less credits, minor units; zero in sum for each currency. */
  readonly accounts: readonly { currency: string; account: string; balance: bigint }[];
  /** Operations that wait for the gateway. While there are none, there may be no problems either. */
  readonly undecided: number;
  /** One sentence for each payment or operation that is out of balance; at most 100. */
  readonly problems: readonly string[];
}

const accounts = `select currency, account, sum(amount)::bigint as balance from (
    select currency, debit_account as account, amount from ledger_entry
    union all select currency, credit_account, -amount from ledger_entry) as moved
  group by currency, account order by currency, account`;

/** Each payment's amounts against its entries in the ledger. */
const unledgered = `with booked as (
    select payment_id,
      sum(amount) filter (where kind = 'authorization') as authorized,
      sum(amount) filter (where kind = 'authorization_end') as ended,
      sum(amount) filter (where kind = 'capture') as captured,
      sum(amount) filter (where kind = 'refund') as refunded
    from ledger_entry group by payment_id)
  select format('payment %s and its ledger disagree', p.payment_id) as problem
  from payment p left join booked b using (payment_id)
  where (case when p.decision = 'approved' then p.amount else 0 end, p.captured + p.voided, p.captured, p.refunded)
    <> (coalesce(b.authorized, 0), coalesce(b.ended, 0), coalesce(b.captured, 0), coalesce(b.refunded, 0))
  limit 100`;

/** Each operation against what the simulated gateway did under its key. What is undecided may be done there or not. */
const disputed = `select case
      when o.operation_id is null then format('the gateway did %s, which nobody asked for', r.key)
      when r.key is null then format('operation %s is decided, but the gateway does not know it', o.operation_id)
      else format('operation %s and the gateway disagree', o.operation_id) end as problem
  from payment_operation o full join simulator.gateway_record r on r.key = o.operation_id::text
  where o.operation_id is null
    or (r.key is null and o.state in ('succeeded', 'refused') and o.amount > 0)
    or (r.key is not null and (o.state = 'waiting' or (o.kind, o.amount) is distinct from (r.kind, r.amount)))
    or (o.state = 'succeeded' and r.decline_code <> '')
    or (o.state = 'refused' and r.decline_code = '')
  limit 100`;

/** Compares ledger, payments and what the simulated gateway remembers. Reads whole tables: not for a request's path. */
export async function readBalance(database: Queryable): Promise<Balance> {
  const [pending] = await database.query<{ count: bigint }>(
    "select count(*) as count from payment_operation where state in ('waiting', 'pending')",
  );
  const wrong = [
    ...(await database.query<{ problem: string }>(unledgered)),
    ...(await database.query<{ problem: string }>(disputed)),
  ];
  return {
    accounts: await database.query<{ currency: string; account: string; balance: bigint }>(accounts),
    undecided: Number(pending?.count ?? 0n),
    problems: wrong.map((row) => row.problem),
  };
}
