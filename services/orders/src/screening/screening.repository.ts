import { type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { OrderStatus } from "../order/order.ts";
import { screeningEntry } from "../order/order-audit.ts";
import { changeChannel } from "../order/order-transition.repository.ts";
import type { ReviewDecision } from "../order/review-state.ts";
import type { Counts, Finding, Rules } from "./rules.ts";
import { digitsOf, emailDigits } from "./screening-keys.ts";

/** How an order stands to its screening, and what is known about it. */
export interface Screened {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly currency: string;
  readonly total: bigint;
  readonly customerAgeMs: number;
  /** Whether a person is, or was, to decide. */
  readonly held: boolean;
  readonly decision: ReviewDecision | null;
  /** Empty for an order from before orders were screened, as the hashes are. */
  readonly country: string;
  readonly cardHash: string;
  readonly postalHash: string;
  readonly emailHash: string;
}

type ScreenedRow = Omit<Screened, "orderId" | "customerId" | "cardHash" | "postalHash" | "emailHash" | "country"> & {
  readonly n: number;
  readonly customerId: string;
  readonly country: string | null;
  readonly cardKey: bigint | null;
  readonly postalKey: bigint | null;
  readonly email: string | null;
  readonly emailHash: string | null;
};

const screenedColumns = selectList<ScreenedRow>({
  n: "i.n::int",
  customerId: "o.customer_id",
  status: "o.status",
  currency: "o.currency",
  total: "o.total",
  customerAgeMs: "(extract(epoch from now() - c.create_time) * 1000)::float8",
  held: "o.review_time is not null",
  decision: "o.review_decision",
  country: "s.country",
  cardKey: "s.card_key",
  postalKey: "s.postal_key",
  email: "c.email",
  emailHash: "encode(e.email_hash, 'hex')",
});

/** One index look-up of each for each order, whatever the size of the tables was when the plan was made. */
const find: SqlText = {
  name: "screening_find",
  text: `select ${screenedColumns} from unnest($1::uuid[]) with ordinality as i(order_id, n)
    cross join lateral (select * from customer_order where customer_order.order_id = i.order_id limit 1) o
    cross join lateral (select * from customer where customer.customer_id = o.customer_id limit 1) c
    left join lateral (select * from order_screening where order_screening.order_id = i.order_id limit 1) s on true
    left join lateral (select * from customer_email where customer_email.customer_id = o.customer_id limit 1) e on true`,
};

/** Within how many minutes what is counted for an order, and up to how many: those that are null are not counted at all. */
interface CountedRow {
  readonly n: number;
  readonly order_id: string;
  readonly customer_minutes: number | undefined;
  readonly customer_max: number | undefined;
  readonly card_minutes: number | undefined;
  readonly card_max: number | undefined;
  readonly address_minutes: number | undefined;
  readonly address_max: number | undefined;
  readonly sharing_minutes: number | undefined;
}

const counted = writtenColumns<CountedRow>({
  n: "int",
  order_id: "uuid",
  customer_minutes: "int",
  customer_max: "int",
  card_minutes: "int",
  card_max: "int",
  address_minutes: "int",
  address_max: "int",
  sharing_minutes: "int",
});

/**
 * What came before it, by the clock of the database: so it is the same however often it is counted, and two orders that come in the
 * same moment count for one of them.
 */
const before = (minutes: string) =>
  `s.accept_time > me.accept_time - ${minutes} * interval '1 minute' and (s.accept_time, s.order_id) < (me.accept_time, me.order_id)`;

const orders = (key: string, name: string) => `(select count(*) from (
      select from order_screening s where s.${key} = me.${key} and ${before(`i.${name}_minutes`)}
      order by s.accept_time desc limit coalesce(i.${name}_max, 0)
    ) s)::int`;

const countColumns = selectList<Counts & { readonly n: number }>({
  n: "i.n",
  customerOrders: orders("customer_id", "customer"),
  cardOrders: orders("card_key", "card"),
  addressOrders: orders("address_key", "address"),
  // Counted before they are told apart, a thousand orders of one customer would hide all others.
  cardCustomers: `case when i.sharing_minutes is null then 0 else (
      select count(distinct s.customer_id) from order_screening s
      where s.card_key = me.card_key and s.customer_id <> me.customer_id and ${before("i.sharing_minutes")}
    ) end::int`,
});

const count: SqlText = {
  name: "screening_count",
  text: `select ${countColumns} from json_to_recordset($1::json) as i(${counted.typed})
    cross join lateral (select * from order_screening where order_screening.order_id = i.order_id limit 1) me`,
};

interface FoundRow {
  readonly n: number;
  readonly id: string;
  readonly order_id: string;
  readonly refused: boolean;
  readonly reasons: readonly string[];
}

const found = writtenColumns<FoundRow>({
  n: "int",
  id: "text",
  order_id: "uuid",
  refused: "boolean",
  reasons: "text[]",
});

/** What was found once stays. Rows are locked in the order of their ids; the input is sorted. */
const record: SqlText = {
  name: "screening_record",
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${found.typed})
  ), locked as materialized (
    select i.* from input i cross join lateral (
      select from customer_order where customer_order.order_id = i.order_id and status = 'pending' and review_time is null
        and review_decision is null for no key update
    ) o
  ), marked as (
    update customer_order o set review_reasons = i.reasons,
      review_time = case when not i.refused then now() end,
      review_decision = case when i.refused then 'refused' end,
      revision = o.revision + 1, update_time = greatest(now(), o.update_time)
    from locked i where o.order_id = i.order_id returning i.n, i.id
  ), announced as (
    select pg_notify('${changeChannel}', string_agg(id, ',')) from marked having count(*) > 0
  ), audited as (${insertAuditEvents("$2", { join: "join marked on marked.n = a.n" })})
  select n, (select count(*) from announced) as announcements from marked`,
};

/** Of an order for which nobody counts. */
export const nothingCounted: Counts = { customerOrders: 0, cardOrders: 0, addressOrders: 0, cardCustomers: 0 };

/** A finding that is to be written down. */
export interface Recorded {
  readonly orderId: string;
  readonly finding: Finding;
  readonly origin: AuditOrigin;
}

/** Reads what screening has to know, and writes what it found. */
export class ScreeningRepository {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** The orders that exist among the given ids. */
  async find(orderIds: readonly string[]): Promise<Map<string, Screened>> {
    const rows = await this.#database.query<ScreenedRow>(find, [orderIds.map(decodeId)]);
    return new Map(
      rows.map(({ n, customerId, country, cardKey, postalKey, email, emailHash, ...row }) => {
        const orderId = orderIds[n - 1] ?? "";
        const screened = {
          ...row,
          orderId,
          customerId: encodeId(customerId),
          country: country ?? "",
          cardHash: cardKey === null ? "" : digitsOf(cardKey),
          postalHash: postalKey === null ? "" : digitsOf(postalKey),
          emailHash: emailDigits({ email, emailHash }),
        };
        return [orderId, screened];
      }),
    );
  }

  /** What happened before each order, as far as its rules look. Orders from before screening was turned on have no counts. */
  async count(orders: readonly { readonly orderId: string; readonly rules: Rules }[]): Promise<Map<string, Counts>> {
    const rows = await this.#database.query<Counts & { n: number }>(count, [JSON.stringify(orders.map(toCountedRow))]);
    return new Map(rows.map(({ n, ...counts }) => [orders[n]?.orderId ?? "", counts]));
  }

  /** Writes down which orders do not simply go on; returns those of which it was not known before. */
  async record(findings: readonly Recorded[]): Promise<Set<string>> {
    const sorted = [...findings].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
    const rows = await this.#database.query<{ n: number }>(record, [
      JSON.stringify(sorted.map(toFoundRow)),
      auditEvents(sorted.map(screeningEntry)),
    ]);
    return new Set(rows.map(({ n }) => sorted[n]?.orderId ?? ""));
  }
}

function toCountedRow({ orderId, rules }: { orderId: string; rules: Rules }, n: number): CountedRow {
  const { customer_orders, card_orders, address_orders, card_customers } = rules;
  return {
    n,
    order_id: decodeId(orderId),
    customer_minutes: customer_orders?.minutes,
    customer_max: maxOf(customer_orders),
    card_minutes: card_orders?.minutes,
    card_max: maxOf(card_orders),
    address_minutes: address_orders?.minutes,
    address_max: maxOf(address_orders),
    sharing_minutes: card_customers?.minutes,
  };
}

/** Nobody asks whether there were more. */
function maxOf(rule: Rules["customer_orders"]): number | undefined {
  return rule && Math.max(rule.review ?? 0, rule.refuse ?? 0);
}

function toFoundRow({ orderId, finding }: Recorded, n: number): FoundRow {
  const refused = finding.verdict === "refuse";
  return { n, id: orderId, order_id: decodeId(orderId), refused, reasons: finding.reasons };
}
