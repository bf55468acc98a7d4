import type { Ask } from "./ask.ts";
import { type Finding, maxNamed, Tally } from "./finding.ts";
import type { IdRange } from "./range.ts";

/** The sums of ledger entries by what they are for. */
const sums = ["authorization", "authorization_end", "capture", "refund", "refund_failure", "credit"]
  .map((kind) => `coalesce(sum(amount) filter (where kind = '${kind}'), 0) as ${kind}`)
  .join(", ");

/** What payments has written down, each with the other: page by page, by payments and by operations. */
export class LedgerComparison {
  readonly #payments = new Tally((count) => `${count} payments equal the sum of their ledger entries`);
  readonly #operations = new Tally((count) => `${count} operations that moved money have each its own ledger entries`);
  readonly #accounts = new Tally(() => {
    const count = this.#currencies.size;
    const of = `${count} ${count === 1 ? "currency" : "currencies"}`;
    return `the accounts of ${of} sum to zero, and what is held is what payments hold`;
  });
  readonly #credits = new Tally((count) => `${count} credits are each of what another payment has credited`);
  readonly #currencies = new Set<string>();

  get findings(): Finding[] {
    return [this.#payments.finding, this.#operations.finding, this.#accounts.finding, this.#credits.finding];
  }

  /** Compares payments with their entries. @returns how many there are */
  async comparePayments(ask: Ask, range: IdRange): Promise<number> {
    const [count] = await ask<{ count: string }>("select count(*) from payment where payment_id between $1 and $2", [
      range.from,
      range.to,
    ]);
    const rows = await ask<{ payment_id: string; order_id: string | null }>(
      `select p.payment_id, p.order_id from payment p
        left join (select payment_id, ${sums} from ledger_entry where payment_id between $1 and $2 group by payment_id) l
        using (payment_id)
      where p.payment_id between $1 and $2 and (
        coalesce(l.authorization, 0) <> case when p.decision = 'approved' and p.source_id is null then p.amount else 0 end
        or coalesce(l.credit, 0) <> case when p.decision = 'approved' and p.source_id is not null then p.amount else 0 end
        or coalesce(l.authorization_end, 0) <> case when p.source_id is null then p.captured + p.voided else 0 end
        or coalesce(l.capture, 0) <> p.captured
        or coalesce(l.refund - l.refund_failure, 0) <> p.refunded + case when p.source_id is null then 0 else p.voided end)
      limit ${maxNamed}`,
      [range.from, range.to],
    );
    const wrong = rows.map(
      (row) => `payment ${row.payment_id} of order ${row.order_id} differs from its ledger entries`,
    );
    this.#payments.add(Number(count?.count ?? 0), wrong);
    await this.#compareAccounts(ask, range);
    await this.#compareCredits(ask, range);
    return Number(count?.count ?? 0);
  }

  /** What a payment has credited is what its credits are, be these of this page or not; and each of this page is of one that there is. */
  async #compareCredits(ask: Ask, { from, to }: IdRange): Promise<void> {
    const [count] = await ask<{ count: string }>(
      "select count(*) from payment where payment_id between $1 and $2 and source_id is not null",
      [from, to],
    );
    const rows = await ask<{ payment_id: string; order_id: string | null; credited: string | null; credits: string }>(
      `with concerned as materialized (
        select payment_id from payment where payment_id between $1 and $2 and credited > 0
        union select source_id from payment where payment_id between $1 and $2 and source_id is not null)
      select payment_id, s.order_id, s.credited::text as credited, coalesce(c.credits, 0)::text as credits
      from concerned left join payment s using (payment_id)
        left join lateral (select sum(amount) as credits from payment c
          where c.source_id = concerned.payment_id and c.currency = s.currency) c on true
      where coalesce(s.credited, -1) <> coalesce(c.credits, 0) limit ${maxNamed}`,
      [from, to],
    );
    const wrong = rows.map(({ payment_id, order_id, credited, credits }) =>
      credited === null
        ? `credits are of a payment ${payment_id} that there is not`
        : `payment ${payment_id} of order ${order_id} has credited ${credited}, its credits are ${credits}`,
    );
    this.#credits.add(Number(count?.count ?? 0), wrong);
  }

  /**
   * Per currency: what all accounts have received and given is the same, and nothing is held, or owed as a credit, that no payment holds. An entry is
   * of a payment, so what holds of each page holds of all.
   */
  async #compareAccounts(ask: Ask, { from, to }: IdRange): Promise<void> {
    const rows = await ask<{ currency: string; sum: string; held: string; owed: string }>(
      `select currency, coalesce(sum, 0)::text as sum, coalesce(held, 0)::text as held, coalesce(owed, 0)::text as owed
      from (select currency, sum(amount) as sum, sum(case account when 'authorized_funds' then amount when 'customer_credit' then -amount end) as held
          from (select currency, debit_account as account, amount from ledger_entry where payment_id between $1 and $2
            union all
            select currency, credit_account, -amount from ledger_entry where payment_id between $1 and $2) a
          group by currency) a
        full join (select currency, sum(amount - captured - voided) as owed from payment
          where payment_id between $1 and $2 and decision = 'approved' group by currency) p using (currency)`,
      [from, to],
    );
    for (const { currency } of rows) this.#currencies.add(currency);
    const unequal = rows.filter((row) => row.sum !== "0" || row.held !== row.owed);
    this.#accounts.add(
      0,
      unequal.map(
        ({ currency, sum, held, owed }) =>
          `${currency}: accounts sum to ${sum}, ${held} is held, payments hold ${owed}, of the payments ${from} to ${to}`,
      ),
    );
  }

  /**
   * Each operation that moved money has its own entries and no others: two that are wrong could cancel out in a payment's sums.
   *
   * @returns how many operations moved money
   */
  async compareOperations(ask: Ask, { from, to }: IdRange): Promise<number> {
    const [count] = await ask<{ count: string }>(
      `select count(*) from payment_operation
      where operation_id between $1 and $2 and state = 'succeeded' and amount > 0`,
      [from, to],
    );
    const rows = await ask<{ operation_id: string; kind: string | null; payment_id: string }>(
      `select operation_id, o.kind, payment_id from (select operation_id, payment_id, kind, p.source_id is not null as credit,
          case when state = 'succeeded' then o.amount else 0 end as amount, o.freed
          from payment_operation o join payment p using (payment_id) where operation_id between $1 and $2) o
        full join (select operation_id, payment_id, ${sums} from ledger_entry
          where operation_id between $1 and $2 group by operation_id, payment_id) l using (operation_id, payment_id)
      where coalesce(l.authorization, 0) <> case when o.kind = 'authorize' and not o.credit then o.amount else 0 end
        or coalesce(l.credit, 0) <> case when o.kind = 'authorize' and o.credit then o.amount else 0 end
        or coalesce(l.authorization_end, 0) <> case when o.kind in ('capture', 'void') and not o.credit then o.amount + o.freed else 0 end
        or coalesce(l.capture, 0) <> case when o.kind = 'capture' then o.amount else 0 end
        or coalesce(l.refund - l.refund_failure, 0) <> case when o.kind = 'refund' or o.kind = 'void' and o.credit then o.amount else 0 end
      limit ${maxNamed}`,
      [from, to],
    );
    const wrong = rows.map(({ operation_id, kind, payment_id }) =>
      kind
        ? `the ${kind} ${operation_id} of payment ${payment_id} differs from its ledger entries`
        : `payment ${payment_id} has ledger entries of an operation ${operation_id} that it does not have`,
    );
    this.#operations.add(Number(count?.count ?? 0), wrong);
    return Number(count?.count ?? 0);
  }
}
