import type { Ask, Reader } from "./ask.ts";
import { type Finding, maxNamed, Tally } from "./finding.ts";
import { type GatewayPage, type GatewayReader, type GatewayRecord, recordColumns } from "./gateway-reader.ts";
import { type OutsideOperation, readOutside } from "./outside.ts";
import type { Onward } from "./progress.ts";
import { allIds, endOfPage, type IdRange, pagesOf } from "./range.ts";

/** A range of operations, what the gateway did of it, and when the gateway had certainly done what we had written down as decided. */
interface GatewayRange extends IdRange {
  readonly records: readonly GatewayRecord[];
  readonly time: string;
}

/** How much is compared, and in what pieces. */
export interface GatewayOptions {
  readonly ids: IdRange;
  /** Operations, and things that the gateway did, in a piece. */
  readonly pageSize: number;
  readonly onProgress: Onward;
  /** Told what was done at the gateway without us, page by page. */
  readonly onOutside?: ((operations: readonly OutsideOperation[]) => void) | undefined;
}

/** What the gateway is asked for an operation `o` of a payment `p`; null: nothing. What of a credit is given back, it pays back. */
const asked = "case when p.source_id is null then o.kind when o.kind in ('void', 'refund') then 'refund' end";

/** The payment of the card that an operation `o` of a payment `p` moves: of a credit that from which the first of them came. */
const cardPayment = `case when p.source_id is null then p.payment_id else (
      with recursive up as (
        select p.source_id as id union all select u.source_id from payment u join up on u.payment_id = up.id where u.source_id is not null)
      select up.id from up join payment s on s.payment_id = up.id where s.source_id is null) end`;

/** What went back to the card of a payment `p` by way of its credits, and of theirs, and whether something is on its way, or was at a time. */
const givenBack = (time: string) => `left join lateral (
      with recursive credits as (
        select payment_id, voided + refunded as back, voiding + refunding > 0 or update_time > ${time} as moves
          from payment where source_id = p.payment_id
        union all
        select c.payment_id, c.voided + c.refunded, c.voiding + c.refunding > 0 or c.update_time > ${time}
          from payment c join credits on c.source_id = credits.payment_id)
      select sum(back) as back, bool_or(moves) as moves from credits
    ) c on p.credited > 0`;

const operations = { table: "payment_operation", column: "operation_id" } as const;

/**
 * Compares what payments asked for with what the card gateway says that it did, both by the keys of operations. Of what another shop took it knows
 * nothing. First we look what we have, then the gateway is asked, then we look again: what we had decided before it was asked, it has to know, and what it knows,
 * we have to have begun.
 *
 * @throws BooksError when one of them cannot be asked
 */
export async function checkGateway(
  reader: Reader,
  gateway: GatewayReader,
  { ids, pageSize, onProgress, onOutside = () => undefined }: GatewayOptions,
): Promise<Finding[]> {
  const comparison = new GatewayComparison();
  const of = ids === allIds ? await reader.estimate(operations.table) : undefined;
  let looked: { readonly time: string } & GatewayPage = { time: "", records: [], more: false };
  const endOf = async (left: IdRange) => {
    const { time, end } = await reader.moment((ask) => lookBefore(ask, left, pageSize));
    const page = await gateway.list({ from: left.from, to: end ?? left.to }, pageSize);
    looked = { ...page, time };
    return page.more ? page.records.at(-1)?.key : end;
  };
  let done = 0;
  for await (const range of pagesOf(ids, endOf)) {
    done += await reader.moment(async (ask) => {
      onOutside(await readOutside(ask, looked.records));
      return await comparison.compare(ask, { ...range, ...looked });
    });
    onProgress({ what: "operations of the card gateway", done, of });
  }
  return comparison.findings;
}

/** The time of the database, and where the page of our operations ends. */
async function lookBefore(ask: Ask, left: IdRange, size: number): Promise<{ time: string; end: string | undefined }> {
  const [now] = await ask<{ time: string }>("select clock_timestamp()::text as time");
  return { time: now?.time ?? "", end: await endOfPage(ask, operations, { ...left, size }) };
}

/** What payments asked for beside what the card gateway did, page by page. */
class GatewayComparison {
  readonly #authorizations = new Tally(
    (count) => `${count} authorizations that the card gateway remembers agree with our payments`,
  );
  readonly #operations = new Tally((count) => `${count} operations are each what the card gateway remembers`);
  readonly #records = new Tally((count) => `${count} things that the card gateway did were asked for`);

  get findings(): Finding[] {
    return [this.#authorizations.finding, this.#operations.finding, this.#records.finding];
  }

  /** @returns how many operations of ours there are */
  async compare(ask: Ask, range: GatewayRange): Promise<number> {
    const [count] = await ask<{ all: string; moved: string; authorized: string }>(
      `select count(*) as all, count(*) filter (where o.state in ('succeeded', 'refused') and o.amount > 0 and p.provider = ''
          and (p.source_id is null or o.kind in ('void', 'refund'))) as moved,
        count(*) filter (where o.state = 'succeeded' and o.kind = 'authorize' and p.provider = '' and p.source_id is null) as authorized
      from payment_operation o join payment p using (payment_id) where o.operation_id between $1 and $2`,
      [range.from, range.to],
    );
    this.#authorizations.add(Number(count?.authorized ?? 0), await compareAuthorizations(ask, range));
    this.#operations.add(Number(count?.moved ?? 0), await compareOperations(ask, range));
    this.#records.add(range.records.length, await findStrangers(ask, range));
    return Number(count?.all ?? 0);
  }
}

const records = (parameter: string) =>
  `gateway as materialized (select * from json_to_recordset(${parameter}::json) as g(${recordColumns}))`;

/** What of an authorization is to be given free with its last operation, is free once nothing is held. What is under way, or was when the gateway was asked, is left out: between the gateway's effect and our note of it, both are right. */
async function compareAuthorizations(ask: Ask, { from, to, records: given, time }: GatewayRange): Promise<string[]> {
  const rows = await ask<{ payment_id: string; order_id: string | null; decision: string }>(
    `with ${records("$3")}, unequal as materialized (
      select p.payment_id, p.order_id, p.decision from payment_operation o
        join payment p using (payment_id)
        left join gateway g on g.key = o.operation_id
        ${givenBack("$4::timestamptz")}
      where o.operation_id between $1 and $2 and o.kind = 'authorize' and o.state in ('succeeded', 'refused')
        and p.capturing = 0 and p.voiding = 0 and p.refunding = 0 and p.provider = '' and p.source_id is null and c.moves is not true
        and o.decide_time <= $4::timestamptz and p.update_time <= $4::timestamptz
        and (case when p.decision = 'approved' then g.key is null or g.state <> 'approved' or g.amount <> p.amount
          or g.captured <> p.captured or g.voided + g.deferred <> p.voided
          or g.deferred > 0 and p.captured + p.voided = p.amount or g.refunded <> p.refunded + coalesce(c.back, 0)
          else g.state = 'approved' end))
    select * from unequal u
    where not exists (select from payment_operation w where w.payment_id = u.payment_id and w.state = 'waiting')
      and not exists (select from payment_operation w where w.payment_id = u.payment_id and w.state = 'pending')
    limit ${maxNamed}`,
    [from, to, JSON.stringify(given), time],
  );
  return rows.map(
    (row) => `payment ${row.payment_id} of order ${row.order_id} (${row.decision}) differs from the gateway's record`,
  );
}

/**
 * Each operation that is decided is what the gateway has a record of: two that are wrong could cancel out in the sums of their
 * authorization. The gateway is not asked where no money could move, and may not know what it refused.
 */
async function compareOperations(ask: Ask, { from, to, records: given, time }: GatewayRange): Promise<string[]> {
  const rows = await ask<{ kind: string; payment_id: string; state: string; ours: string; theirs: string | null }>(
    `with ${records("$3")}
    select o.kind, o.payment_id, o.state, concat_ws(' ', o.amount, p.currency) as ours,
      case when g.state = 'declined' then 'a refusal' when g.key is not null then concat_ws(' ', g.kind, g.amount, g.currency,
        case when a.operation_id is null then 'of another authorization' end,
        case when g.state = 'undecided' then 'undecided' end) end as theirs
    from payment_operation o join payment p using (payment_id)
      left join gateway g on g.key = o.operation_id
      left join payment_operation a on a.operation_id = g.authorization_key
        and a.payment_id = ${cardPayment} and a.kind = 'authorize'
    where o.operation_id between $1 and $2 and o.state in ('succeeded', 'refused') and p.provider = ''
      and o.decide_time <= $4::timestamptz and case
      when o.amount = 0 or ${asked} is null then g.key is not null
      when o.state = 'refused' then g.state = 'approved'
      else g.key is null or g.state <> 'approved' or g.kind <> ${asked} or g.amount <> o.amount or g.currency <> p.currency
        or a.operation_id is null end
    limit ${maxNamed}`,
    [from, to, JSON.stringify(given), time],
  );
  return rows.map(
    ({ kind, payment_id, state, ours, theirs }) =>
      `payment ${payment_id}: ${kind} ${ours} ${state}, the gateway remembers ${theirs ?? "nothing of it"}`,
  );
}

/** What the gateway did that we did not ask for. */
async function findStrangers(ask: Ask, { records: given }: GatewayRange): Promise<string[]> {
  const rows = await ask<{ key: string; kind: string }>(
    `with ${records("$1")}
    select g.key, g.kind from gateway g left join payment_operation o on o.operation_id = g.key
      left join payment_operation a on a.operation_id = g.authorization_key and a.kind = 'authorize' and g.outside is not null
    where o.operation_id is null and a.operation_id is null limit ${maxNamed}`,
    [JSON.stringify(given)],
  );
  return rows.map(({ key, kind }) => `the gateway did a ${kind} with key ${key} that payments does not know`);
}
