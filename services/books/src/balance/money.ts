import type { Ask } from "./ask.ts";
import { type Finding, maxNamed } from "./finding.ts";

/** What payments knows of one order, all its payments together. Minor units. */
export interface MoneyOfOrder {
  /** Authorized and neither captured nor voided. */
  readonly held: bigint;
  readonly captured: bigint;
  readonly refunded: bigint;
  /** Whether the gateway has yet to say something. */
  readonly undecided: boolean;
}

/** The balance of money, and what each order has of it. */
export interface MoneyBalance {
  readonly findings: readonly Finding[];
  readonly byOrder: ReadonlyMap<string, MoneyOfOrder>;
}

/** The ledger must explain every payment, sum to zero, and agree with what the gateway remembers. */
export async function checkMoney(ask: Ask): Promise<MoneyBalance> {
  const findings = [
    await checkLedger(ask),
    await checkEntries(ask),
    await checkAccounts(ask),
    await checkGateway(ask),
    await checkOperations(ask),
    await checkStrangers(ask),
  ];
  return { findings, byOrder: await readByOrder(ask) };
}

async function checkLedger(ask: Ask): Promise<Finding> {
  const rows = await ask<{ payment_id: string; order_id: string | null }>(
    `select p.payment_id, p.order_id from payment p left join (
      select payment_id,
        coalesce(sum(amount) filter (where kind = 'authorization'), 0) as authorized,
        coalesce(sum(amount) filter (where kind = 'authorization_end'), 0) as ended,
        coalesce(sum(amount) filter (where kind = 'capture'), 0) as captured,
        coalesce(sum(amount) filter (where kind = 'refund'), 0) as refunded
      from ledger_entry group by payment_id) l using (payment_id)
    where coalesce(l.authorized, 0) <> case when p.decision = 'approved' then p.amount else 0 end
      or coalesce(l.ended, 0) <> p.captured + p.voided
      or coalesce(l.captured, 0) <> p.captured or coalesce(l.refunded, 0) <> p.refunded
    limit ${maxNamed}`,
  );
  const [count] = await ask<{ payments: string; entries: string }>(
    "select (select count(*) from payment) as payments, (select count(*) from ledger_entry) as entries",
  );
  return {
    checked: `${count?.payments ?? 0} payments equal the sum of their ${count?.entries ?? 0} ledger entries`,
    wrong: rows.map((row) => `payment ${row.payment_id} of order ${row.order_id} differs from its ledger entries`),
  };
}

/** Each operation that moved money has its own entries and no others: two that are wrong could cancel out in a payment's sums. */
async function checkEntries(ask: Ask): Promise<Finding> {
  const rows = await ask<{ operation_id: string; kind: string | null; payment_id: string }>(
    `select operation_id, o.kind, payment_id from (select operation_id, payment_id, kind,
        case when state = 'succeeded' then amount else 0 end as amount from payment_operation) o
      full join (select operation_id, payment_id,
        coalesce(sum(amount) filter (where kind = 'authorization'), 0) as authorized,
        coalesce(sum(amount) filter (where kind = 'authorization_end'), 0) as ended,
        coalesce(sum(amount) filter (where kind = 'capture'), 0) as captured,
        coalesce(sum(amount) filter (where kind = 'refund'), 0) as refunded
      from ledger_entry group by operation_id, payment_id) l using (operation_id, payment_id)
    where coalesce(l.authorized, 0) <> case when o.kind = 'authorize' then o.amount else 0 end
      or coalesce(l.ended, 0) <> case when o.kind in ('capture', 'void') then o.amount else 0 end
      or coalesce(l.captured, 0) <> case when o.kind = 'capture' then o.amount else 0 end
      or coalesce(l.refunded, 0) <> case when o.kind = 'refund' then o.amount else 0 end
    limit ${maxNamed}`,
  );
  const [count] = await ask<{ count: string }>(
    "select count(*) from payment_operation where state = 'succeeded' and amount > 0",
  );
  return {
    checked: `${count?.count ?? 0} operations that moved money have each its own ledger entries`,
    wrong: rows.map(({ operation_id, kind, payment_id }) =>
      kind
        ? `the ${kind} ${operation_id} of payment ${payment_id} differs from its ledger entries`
        : `payment ${payment_id} has ledger entries of an operation ${operation_id} that it does not have`,
    ),
  };
}

/** Per currency: what all accounts have received and given is the same, and nothing is held that no payment holds. */
async function checkAccounts(ask: Ask): Promise<Finding> {
  const rows = await ask<{ currency: string; sum: string; held: string; owed: string }>(
    `select currency, sum(amount)::text as sum,
      coalesce(sum(amount) filter (where account = 'authorized_funds'), 0)::text as held,
      coalesce((select sum(p.amount - p.captured - p.voided) from payment p
        where p.currency = a.currency and p.decision = 'approved'), 0)::text as owed
    from (select currency, debit_account as account, amount from ledger_entry
      union all select currency, credit_account, -amount from ledger_entry) a
    group by currency`,
  );
  return {
    checked: `the accounts of ${rows.length} ${rows.length === 1 ? "currency" : "currencies"} sum to zero, and what is held is what payments hold`,
    wrong: rows
      .filter((row) => row.sum !== "0" || row.held !== row.owed)
      .map((row) => `${row.currency}: accounts sum to ${row.sum}, ${row.held} is held, payments hold ${row.owed}`),
  };
}

/** What is under way is left out: between the gateway's effect and our note of it, both are right. */
async function checkGateway(ask: Ask): Promise<Finding> {
  const rows = await ask<{ payment_id: string; order_id: string | null; decision: string }>(
    `select p.payment_id, p.order_id, p.decision from payment p
      join payment_operation o on o.payment_id = p.payment_id and o.kind = 'authorize'
      left join simulator.gateway_record g on g.key = o.operation_id::text
    where o.state in ('succeeded', 'refused') and p.capturing = 0 and p.voiding = 0 and p.refunding = 0
      and (case when p.decision = 'approved' then g.key is null or g.decline_code <> '' or g.amount <> p.amount
        or g.captured <> p.captured or g.voided <> p.voided or g.refunded <> p.refunded
        else g.decline_code = '' end)
      and not exists (select from payment_operation w where w.payment_id = p.payment_id
        and w.state in ('waiting', 'pending'))
    limit ${maxNamed}`,
  );
  const [count] = await ask<{ count: string }>(
    "select count(*) from simulator.gateway_record where kind = 'authorize' and decline_code = ''",
  );
  return {
    checked: `${count?.count ?? 0} authorizations that the card gateway remembers agree with our payments`,
    wrong: rows.map(
      (row) => `payment ${row.payment_id} of order ${row.order_id} (${row.decision}) differs from the gateway's record`,
    ),
  };
}

/**
 * Each operation that is decided is what the gateway has a record of: two that are wrong could cancel out in the sums of their
 * authorization. The gateway is not asked where no money could move, and may not know what it refused.
 */
async function checkOperations(ask: Ask): Promise<Finding> {
  const rows = await ask<{ kind: string; payment_id: string; state: string; ours: string; theirs: string | null }>(
    `select o.kind, o.payment_id, o.state, concat_ws(' ', o.amount, p.currency) as ours,
      case when g.decline_code <> '' then 'a refusal' when g.key is not null then concat_ws(' ', g.kind, g.amount, g.currency,
        case when g.authorization_key <> a.operation_id::text then 'of another authorization' end) end as theirs
    from payment_operation o join payment p using (payment_id)
      left join payment_operation a on a.payment_id = o.payment_id and a.kind = 'authorize'
      left join simulator.gateway_record g on g.key = o.operation_id::text
    where o.state in ('succeeded', 'refused') and case
      when o.amount = 0 then g.key is not null
      when o.state = 'refused' then g.decline_code = ''
      else g.key is null or g.decline_code <> '' or g.kind <> o.kind or g.amount <> o.amount or g.currency <> p.currency
        or a.operation_id is null or g.authorization_key <> a.operation_id::text end
    limit ${maxNamed}`,
  );
  const [count] = await ask<{ count: string }>(
    "select count(*) from payment_operation where state in ('succeeded', 'refused') and amount > 0",
  );
  return {
    checked: `${count?.count ?? 0} operations are each what the card gateway remembers`,
    wrong: rows.map(
      ({ kind, payment_id, state, ours, theirs }) =>
        `payment ${payment_id}: ${kind} ${ours} ${state}, the gateway remembers ${theirs ?? "nothing of it"}`,
    ),
  };
}

/** The gateway did nothing that we did not ask for. */
async function checkStrangers(ask: Ask): Promise<Finding> {
  const rows = await ask<{ key: string; kind: string }>(
    `select g.key, g.kind from simulator.gateway_record g
      where not exists (select from payment_operation o where o.operation_id::text = g.key) limit ${maxNamed}`,
  );
  return {
    checked: "everything that the card gateway did was asked for",
    wrong: rows.map((row) => `the gateway did a ${row.kind} with key ${row.key} that payments does not know`),
  };
}

async function readByOrder(ask: Ask): Promise<Map<string, MoneyOfOrder>> {
  const rows = await ask<{ order_id: string; held: string; captured: string; refunded: string; undecided: boolean }>(
    `select p.order_id, sum(case when p.decision = 'approved' then p.amount - p.captured - p.voided else 0 end)::text as held,
      sum(p.captured)::text as captured, sum(p.refunded)::text as refunded,
      bool_or(p.decision = 'undecided' or exists (select from payment_operation o
        where o.payment_id = p.payment_id and o.state in ('waiting', 'pending'))) as undecided
    from payment p where p.order_id is not null group by p.order_id`,
  );
  return new Map(
    rows.map(({ order_id, held, captured, refunded, undecided }) => [
      order_id,
      { held: BigInt(held), captured: BigInt(captured), refunded: BigInt(refunded), undecided },
    ]),
  );
}
