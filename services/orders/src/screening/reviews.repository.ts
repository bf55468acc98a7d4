import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { Money } from "../order/order.ts";
import { awaitsReview, mayDecide } from "../order/review-state.ts";
import { digitsOf, emailDigits } from "./screening-keys.ts";

/** Which orders under review a list shows. */
export interface ReviewFilter {
  readonly reason: string | undefined;
  readonly customerId: string | undefined;
}

/** An order that waits for a person. */
export interface Review {
  readonly orderId: string;
  readonly customerId: string;
  readonly total: Money;
  readonly reasons: readonly string[];
  /** At whole milliseconds. */
  readonly reviewTime: Date;
  /** As lists name them. */
  readonly cardHash: string;
  readonly emailHash: string;
  readonly customerCreateTime: Date;
}

/** Where a page begins. */
export type ReviewPlace = Pick<Review, "reviewTime" | "orderId">;

interface ReviewRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly total: bigint;
  readonly reviewReasons: string[];
  readonly reviewTime: Date;
  readonly cardKey: bigint | null;
  readonly email: string | null;
  readonly emailHash: string | null;
  readonly customerCreateTime: Date;
}

const columns = selectList<ReviewRow>({
  orderId: "o.order_id",
  customerId: "o.customer_id",
  currency: "o.currency",
  total: "o.total",
  reviewReasons: "o.review_reasons",
  reviewTime: "o.review_time",
  cardKey: "s.card_key",
  email: "c.email",
  emailHash: "encode(e.email_hash, 'hex')",
  customerCreateTime: "c.create_time",
});

/** One statement for all filters: few orders are under review, and the index has none but them. */
const list: SqlText = {
  name: "review_list",
  prepared: false,
  text: `select ${columns} from (
      select * from customer_order
      where ${mayDecide} and (review_time, order_id) > ($1::timestamptz, $2::uuid)
        and ($3::text is null or $3 = any(review_reasons)) and ($4::uuid is null or customer_id = $4)
      order by review_time, order_id limit $5
    ) o
    cross join lateral (select * from customer where customer.customer_id = o.customer_id limit 1) c
    left join lateral (select * from order_screening where order_screening.order_id = o.order_id limit 1) s on true
    left join lateral (select * from customer_email where customer_email.customer_id = o.customer_id limit 1) e on true
    order by o.review_time, o.order_id`,
};

const waiting: SqlText = {
  name: "review_count",
  prepared: false,
  text: `select count(*)::int as orders, coalesce(extract(epoch from now() - min(review_time)), 0)::float8 as seconds
    from customer_order where ${awaitsReview}`,
};

const late: SqlText = {
  name: "review_late",
  prepared: false,
  text: `select order_id as "orderId" from customer_order
    where ${mayDecide} and review_time < now() - $1 * interval '1 millisecond' order by review_time, order_id limit $2`,
};

/** What no rule looks at any more. */
const forget: SqlText = {
  name: "screening_forget",
  prepared: false,
  text: `delete from order_screening where order_id in (
      select order_id from order_screening where accept_time < now() - $1 * interval '1 day' limit $2
    ) returning 1`,
};

/** Reads which orders wait for a person. */
export class ReviewsRepository {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** At most `limit` orders, the longest waiting first, after a place when it is given. */
  async list(
    { reason, customerId }: ReviewFilter,
    page: { readonly after: ReviewPlace | undefined; readonly limit: number },
  ): Promise<Review[]> {
    const rows = await this.#database.query<ReviewRow>(list, [
      page.after?.reviewTime ?? "-infinity",
      page.after ? decodeId(page.after.orderId) : "00000000-0000-0000-0000-000000000000",
      reason,
      customerId === undefined ? undefined : decodeId(customerId),
      page.limit,
    ]);
    return rows.map(toReview);
  }

  /** How many wait, and for how long the oldest. */
  async waiting(): Promise<{ readonly orders: number; readonly seconds: number }> {
    const [row] = await this.#database.query<{ orders: number; seconds: number }>(waiting);
    return row ?? { orders: 0, seconds: 0 };
  }

  /** At most `limit` orders that have waited for longer, the oldest first. */
  async late(maxMs: number, limit: number): Promise<string[]> {
    const rows = await this.#database.query<{ orderId: string }>(late, [maxMs, limit]);
    return rows.map(({ orderId }) => encodeId(orderId));
  }

  /** Forgets by what at most `limit` orders resembled others, once they are older; returns how many there were. */
  async forget(days: number, limit: number): Promise<number> {
    return (await this.#database.query(forget, [days, limit])).length;
  }
}

function toReview(row: ReviewRow): Review {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    total: { currency: row.currency, amount: row.total },
    reasons: row.reviewReasons,
    reviewTime: row.reviewTime,
    cardHash: row.cardKey === null ? "" : digitsOf(row.cardKey),
    emailHash: emailDigits(row),
    customerCreateTime: row.customerCreateTime,
  };
}
