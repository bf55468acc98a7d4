import type { Ask, Reader } from "./ask.ts";
import type { Finding } from "./finding.ts";
import { checkGateway, type GatewayOptions } from "./gateway.ts";
import type { GatewayReader } from "./gateway-reader.ts";
import { LedgerComparison } from "./ledger.ts";
import type { Onward } from "./progress.ts";
import { allIds, endOfPage, type IdRange, type PageColumn, pagesOf } from "./range.ts";

/** What payments knows of one order, all its payments together. Minor units. */
export interface MoneyOfOrder {
  /** Authorized and neither captured nor voided. */
  readonly held: bigint;
  readonly captured: bigint;
  readonly refunded: bigint;
  /** What of the captured pays other orders, by credits. */
  readonly credited: bigint;
  /** What its credits are, used or not. */
  readonly credits: bigint;
  /** Whether the gateway has yet to say something. */
  readonly undecided: boolean;
}

/** What orders have of the money. */
export async function readMoney(ask: Ask, { from, to }: IdRange): Promise<ReadonlyMap<string, MoneyOfOrder>> {
  const rows = await ask<{
    order_id: string;
    held: string;
    captured: string;
    refunded: string;
    credited: string;
    credits: string;
    undecided: boolean;
  }>(
    `with open as materialized (
        select payment_id from payment_operation where state = 'waiting'
        union select payment_id from payment_operation where state = 'pending')
    select order_id, sum(case when decision = 'approved' then amount - captured - voided else 0 end)::text as held,
      sum(captured)::text as captured, sum(refunded)::text as refunded, sum(credited)::text as credited,
      coalesce(sum(amount) filter (where source_id is not null and decision = 'approved'), 0)::text as credits,
      bool_or(decision = 'undecided' or payment_id in (select payment_id from open)) as undecided
    from payment where order_id between $1 and $2 group by order_id`,
    [from, to],
  );
  return new Map(
    rows.map(({ order_id, held, captured, refunded, credited, credits, undecided }) => [
      order_id,
      {
        held: BigInt(held),
        captured: BigInt(captured),
        refunded: BigInt(refunded),
        credited: BigInt(credited),
        credits: BigInt(credits),
        undecided,
      },
    ]),
  );
}

/** How much of the money is compared, and in what pieces. */
export interface MoneyOptions {
  /** Payments, operations and what the gateway did that have these ids. */
  readonly ids: IdRange;
  /** Payments or operations in a piece. */
  readonly pageSize: number;
  readonly onProgress: Onward;
  readonly onOutside?: GatewayOptions["onOutside"];
}

/** The ledger must explain every payment, sum to zero, and agree with what the gateway did. @throws BooksError */
export async function checkMoney(reader: Reader, gateway: GatewayReader, options: MoneyOptions): Promise<Finding[]> {
  const ledger = new LedgerComparison();
  await sweepIds(reader, options, { ...payments, compare: (ask, page) => ledger.comparePayments(ask, page) });
  await sweepIds(reader, options, { ...operations, compare: (ask, page) => ledger.compareOperations(ask, page) });
  return [...ledger.findings, ...(await checkGateway(reader, gateway, options))];
}

const payments = { what: "payments", table: "payment", column: "payment_id" } as const;
const operations = { what: "operations on payments", table: "payment_operation", column: "operation_id" } as const;

interface Sweep extends PageColumn {
  readonly what: string;
  /** Compares a page and says how many rows it had. */
  readonly compare: (ask: Ask, page: IdRange) => Promise<number>;
}

async function sweepIds(reader: Reader, options: MoneyOptions, { what, compare, ...place }: Sweep): Promise<void> {
  const { ids, pageSize: size, onProgress } = options;
  const of = ids === allIds ? await reader.estimate(place.table) : undefined;
  let done = 0;
  const pages = pagesOf(ids, (left) => reader.moment((ask) => endOfPage(ask, place, { ...left, size })));
  for await (const page of pages) {
    done += await reader.moment((ask) => compare(ask, page));
    onProgress({ what, done, of });
  }
}
