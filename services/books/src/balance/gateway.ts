import type { Ask, Reader } from "./ask.ts";
import { type Finding, maxNamed, Tally } from "./finding.ts";
import type { Onward } from "./progress.ts";
import { type IdRange, type KeyPage, type KeyPageEnd, sweepKeys } from "./range.ts";

/** What the gateway is asked for an operation `o` of a payment `p`; null: nothing. What of a credit is given back, it pays back. */
const asked = "case when p.source_id is null then o.kind when o.kind in ('void', 'refund') then 'refund' end";

/** The payment of the card that an operation `o` of a payment `p` moves: of a credit that from which the first of them came. */
const cardPayment = `case when p.source_id is null then p.payment_id else (
      with recursive up as (
        select p.source_id as id union all select u.source_id from payment u join up on u.payment_id = up.id where u.source_id is not null)
      select up.id from up join payment s on s.payment_id = up.id where s.source_id is null) end`;

/** What went back to the card of a payment `p` by way of its credits, and of theirs, and whether something is on its way. */
const givenBack = `left join lateral (
      with recursive credits as (
        select payment_id, voided + refunded as back, voiding + refunding > 0 as moves from payment where source_id = p.payment_id
        union all
        select c.payment_id, c.voided + c.refunded, c.voiding + c.refunding > 0 from payment c join credits on c.source_id = credits.payment_id)
      select sum(back) as back, bool_or(moves) as moves from credits
    ) c on p.credited > 0`;

/** The id that a key of the gateway is; null: it is none. */
const idOf = (key: string) => `case when ${key} ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then ${key}::uuid end`;

/** What payments asked for beside what the card gateway remembers of it, page by page. Of what another shop took it knows nothing. */
export class GatewayComparison {
  readonly #authorizations = new Tally(
    (count) => `${count} authorizations that the card gateway remembers agree with our payments`,
  );
  readonly #operations = new Tally((count) => `${count} operations are each what the card gateway remembers`);

  get findings(): Finding[] {
    return [this.#authorizations.finding, this.#operations.finding];
  }

  /** Compares operations with their records. @returns how many operations there are */
  async compare(ask: Ask, range: IdRange): Promise<number> {
    const [count] = await ask<{ all: string; moved: string; authorized: string }>(
      `select count(*) as all, count(*) filter (where o.state in ('succeeded', 'refused') and o.amount > 0 and p.provider = ''
          and (p.source_id is null or o.kind in ('void', 'refund'))) as moved,
        count(*) filter (where o.state = 'succeeded' and o.kind = 'authorize' and p.provider = '' and p.source_id is null) as authorized
      from payment_operation o join payment p using (payment_id) where o.operation_id between $1 and $2`,
      [range.from, range.to],
    );
    this.#authorizations.add(Number(count?.authorized ?? 0), await compareAuthorizations(ask, range));
    this.#operations.add(Number(count?.moved ?? 0), await compareOperations(ask, range));
    return Number(count?.all ?? 0);
  }
}

/** What is under way is left out: between the gateway's effect and our note of it, both are right. */
async function compareAuthorizations(ask: Ask, { from, to }: IdRange): Promise<string[]> {
  const rows = await ask<{ payment_id: string; order_id: string | null; decision: string }>(
    `with unequal as materialized (
      select p.payment_id, p.order_id, p.decision from payment_operation o
        join payment p using (payment_id)
        left join simulator.gateway_record g on g.key = o.operation_id::text
        ${givenBack}
      where o.operation_id between $1 and $2 and o.kind = 'authorize' and o.state in ('succeeded', 'refused')
        and p.capturing = 0 and p.voiding = 0 and p.refunding = 0 and p.provider = '' and p.source_id is null and c.moves is not true
        and (case when p.decision = 'approved' then g.key is null or g.decline_code <> '' or g.amount <> p.amount
          or g.captured <> p.captured or g.voided <> p.voided or g.refunded <> p.refunded + coalesce(c.back, 0)
          else g.decline_code = '' end))
    select * from unequal u
    where not exists (select from payment_operation w where w.payment_id = u.payment_id and w.state = 'waiting')
      and not exists (select from payment_operation w where w.payment_id = u.payment_id and w.state = 'pending')
    limit ${maxNamed}`,
    [from, to],
  );
  return rows.map(
    (row) => `payment ${row.payment_id} of order ${row.order_id} (${row.decision}) differs from the gateway's record`,
  );
}

/**
 * Each operation that is decided is what the gateway has a record of: two that are wrong could cancel out in the sums of their
 * authorization. The gateway is not asked where no money could move, and may not know what it refused.
 */
async function compareOperations(ask: Ask, { from, to }: IdRange): Promise<string[]> {
  const rows = await ask<{ kind: string; payment_id: string; state: string; ours: string; theirs: string | null }>(
    `select o.kind, o.payment_id, o.state, concat_ws(' ', o.amount, p.currency) as ours,
      case when g.decline_code <> '' then 'a refusal' when g.key is not null then concat_ws(' ', g.kind, g.amount, g.currency,
        case when a.operation_id is null then 'of another authorization' end) end as theirs
    from payment_operation o join payment p using (payment_id)
      left join simulator.gateway_record g on g.key = o.operation_id::text
      left join payment_operation a on a.operation_id = ${idOf("g.authorization_key")}
        and a.payment_id = ${cardPayment} and a.kind = 'authorize'
    where o.operation_id between $1 and $2 and o.state in ('succeeded', 'refused') and p.provider = '' and case
      when o.amount = 0 or ${asked} is null then g.key is not null
      when o.state = 'refused' then g.decline_code = ''
      else g.key is null or g.decline_code <> '' or g.kind <> ${asked} or g.amount <> o.amount or g.currency <> p.currency
        or a.operation_id is null end
    limit ${maxNamed}`,
    [from, to],
  );
  return rows.map(
    ({ kind, payment_id, state, ours, theirs }) =>
      `payment ${payment_id}: ${kind} ${ours} ${state}, the gateway remembers ${theirs ?? "nothing of it"}`,
  );
}

/** The gateway did nothing that we did not ask for. Goes through its records in the order of their keys. @throws BooksError */
export async function checkStrangers(
  reader: Reader,
  { pageSize, onProgress }: { readonly pageSize: number; readonly onProgress: Onward },
): Promise<Finding> {
  const records = new Tally((count) => `${count} things that the card gateway did were asked for`);
  const of = await reader.estimate("simulator.gateway_record");
  await sweepKeys({
    size: pageSize,
    look: (page) => reader.moment((ask) => compareRecords(ask, page, records)),
    onPage: (done) => onProgress({ what: "records of the card gateway", done, of }),
  });
  return records.finding;
}

async function compareRecords(ask: Ask, { after, size }: KeyPage, tally: Tally): Promise<KeyPageEnd> {
  const [page] = await ask<{ last: string | null; count: string; strangers: readonly { key: string; kind: string }[] }>(
    `select max(g.key) as last, count(*) as count,
      coalesce(json_agg(json_build_object('key', g.key, 'kind', g.kind)) filter (where o.operation_id is null), '[]')
        as strangers
    from (select key, kind from simulator.gateway_record where $1::text is null or key > $1 order by key limit $2) g
      left join payment_operation o on o.operation_id = ${idOf("g.key")}`,
    [after, size],
  );
  const { last, strangers = [] } = page ?? {};
  const count = Number(page?.count ?? 0);
  tally.add(
    count,
    strangers.map(({ key, kind }) => `the gateway did a ${kind} with key ${key} that payments does not know`),
  );
  return { count, last };
}
