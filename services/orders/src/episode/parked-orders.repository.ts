import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { selectList } from "#platform/database/columns.ts";
import { type Keyed, type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { ParkedStep } from "./settlement.repository.ts";

/** Which parked orders a list shows. */
export interface ParkedFilter {
  /** A step with its location, or without one: then wherever it is. */
  readonly step: string | undefined;
  readonly reason: string | undefined;
  readonly customerId: string | undefined;
  /** Only those that wait for longer, in milliseconds. */
  readonly olderThanMs: number | undefined;
  /** Only those that waited before. */
  readonly parkedBefore: Date | undefined;
}

/** An order that waits for an operator. */
export interface ParkedOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly parked: ParkedStep;
  /** At whole milliseconds. */
  readonly parkTime: Date;
  readonly lastEpisodeId: string;
}

/** Where a page begins. */
export type ParkedPlace = Pick<ParkedOrder, "parkTime" | "orderId">;

interface ParkedRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly parkedStep: string;
  readonly parkedReason: string;
  readonly parkedError: string;
  readonly parkTime: Date;
  readonly lastEpisodeId: string;
}

const parkedColumns = selectList<ParkedRow>({
  orderId: true,
  customerId: true,
  parkedStep: true,
  parkedReason: true,
  parkedError: true,
  parkTime: true,
  lastEpisodeId: true,
});

/** A decision about many is nobody's but of the operator who takes it. */
const beginKeys: KeySpace<ParkedDecision> = { method: "BeginParkedDecisions", scope: () => auditOrigin().actor };

/** What a filter says of an order, in $1 to $3. */
const matches = `($1::text is null or parked_step = $1 or starts_with(parked_step, $1 || ':'))
      and ($2::text is null or parked_reason = $2)
      and ($3::uuid is null or customer_id = $3)`;

/** One statement for all filters: there are few parked orders, and the index has none but them. */
const list: SqlText = {
  name: "parked_list",
  prepared: false,
  text: `select ${parkedColumns} from customer_order
    where park_time is not null and (park_time, order_id) > ($4::timestamptz, $5::uuid) and ${matches}
      and ($6::bigint is null or park_time < now() - $6 * interval '1 millisecond')
      and ($7::timestamptz is null or park_time < $7)
    order by park_time, order_id limit $8`,
};

/** What is kept of a decision about many steps, as the answer to its request id; never changes. */
interface Begun {
  /** In milliseconds since 1970. */
  readonly parkedBefore: number;
  readonly matching: number;
}

/** What is only counted has no request id, and nothing is kept of it. */
const begin: SqlText = {
  name: "parked_begin",
  prepared: false,
  text: `with time as (
    select date_trunc('milliseconds', now()) - coalesce($4::bigint, 0) * interval '1 millisecond' as before
  ), found as materialized (
    select count(*)::int as matching from customer_order, time
    where park_time is not null and park_time < time.before and ${matches}
  ), keyed as (
    insert into idempotency_key (method, request_id, fingerprint, response)
    select $7::text, $5::text, $6::bytea, convert_to(json_build_object(
      'parkedBefore', (extract(epoch from time.before) * 1000)::bigint, 'matching', found.matching)::text, 'utf8')
    from time, found where $5::text is not null
  )
  select time.before as "parkedBefore", found.matching from time, found`,
};

const count: SqlText = {
  name: "parked_left",
  prepared: false,
  text: `select count(*)::int as waiting from customer_order
    where park_time is not null and park_time < $4::timestamptz and ${matches}`,
};

/** A decision about all parked steps that match. */
export interface ParkedDecision extends Keyed {
  /** By how much they have to be older than the decision is what `olderThanMs` says. */
  readonly filter: ParkedFilter;
}

/** Which steps a decision is about. */
export interface DecidedAbout {
  /** Those that waited before this. */
  readonly parkedBefore: Date;
  /** How many matched when it began. */
  readonly matching: number;
  /** How many of these wait still. */
  readonly waiting: number;
}

/** Orders of which a step waits for an operator. */
export class ParkedOrders {
  readonly #database: Queryable;
  readonly #begin: (decisions: ParkedDecision[]) => Promise<(Begun | Error)[]>;

  constructor(database: Queryable) {
    this.#database = database;
    this.#begin = replayable<ParkedDecision, Begun>({
      database,
      ...beginKeys,
      run: (decisions) => Promise.all(decisions.map((decision) => this.#write(decision))),
      // biome-ignore lint/plugin/json: an answer that we wrote
      decode: (response) => JSON.parse(response.toString()) as Begun,
    });
  }

  /** At most `limit` orders, the longest waiting first, after a place when it is given. */
  async list(
    filter: ParkedFilter,
    page: { readonly after: ParkedPlace | undefined; readonly limit: number },
  ): Promise<ParkedOrder[]> {
    const rows = await this.#database.query<ParkedRow>(list, [
      ...criteria(filter),
      page.after?.parkTime ?? "-infinity",
      page.after ? decodeId(page.after.orderId) : "00000000-0000-0000-0000-000000000000",
      filter.olderThanMs,
      filter.parkedBefore,
      page.limit,
    ]);
    return rows.map(toParkedOrder);
  }

  /**
   * Says which steps a decision about many is about: those that waited when its request id was used first. What is parked again,
   * because what was decided did not help, waited later, and is not meant.
   *
   * @param decision without a request id it is only counted, and nothing is kept
   * @throws REQUEST_ID_REUSED
   */
  async begin(decision: ParkedDecision): Promise<DecidedAbout> {
    const [begun] = await this.#begin([decision]);
    if (begun instanceof Error) throw begun;
    const { parkedBefore, matching } = begun as Begun;
    const before = new Date(parkedBefore);
    const [left] = await this.#database.query<{ waiting: number }>(count, [...criteria(decision.filter), before]);
    return { parkedBefore: before, matching, waiting: left?.waiting ?? 0 };
  }

  async #write(decision: ParkedDecision): Promise<Begun> {
    const { requestId, fingerprint, filter } = decision;
    const key = [requestId || undefined, fingerprint, keyMethod(beginKeys, decision)];
    const values = [...criteria(filter), filter.olderThanMs, ...key];
    const [row] = await this.#database.query<{ parkedBefore: Date; matching: number }>(begin, values);
    if (!row) throw new Error("a decision about parked steps has no answer");
    return { parkedBefore: row.parkedBefore.getTime(), matching: row.matching };
  }
}

/** The parameters of {@link matches}. */
function criteria({ step, reason, customerId }: ParkedFilter): (string | undefined)[] {
  return [step, reason, customerId === undefined ? undefined : decodeId(customerId)];
}

function toParkedOrder(row: ParkedRow): ParkedOrder {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    parked: { step: row.parkedStep, reason: row.parkedReason, error: row.parkedError },
    parkTime: row.parkTime,
    lastEpisodeId: encodeId(row.lastEpisodeId),
  };
}
