import { raw } from "@mikro-orm/core";
import type { EntityManager } from "@mikro-orm/postgresql";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import { type LedgerEntry, LedgerEntryEntity, PaymentEntity } from "./payment.entity.ts";
import type { Payment, PaymentStatus } from "./payment.ts";
import { toPayment } from "./payment-row.ts";

/** Which payments; what is not given does not matter. Ids are text. */
export interface PaymentFilter {
  readonly orderId?: string;
  readonly customerId?: string;
  readonly status?: PaymentStatus;
}

/** The last payment of the page before. */
export interface PaymentCursor {
  readonly createTime: Date;
  readonly paymentId: string;
}

/** How much of a list. */
export interface PaymentPage {
  readonly limit: number;
  /** The first page when it is undefined. */
  readonly after: PaymentCursor | undefined;
}

/** Which entries of the ledger, and how much of the list. */
export interface LedgerPage {
  /** Entries of one payment; of all when it is empty. */
  readonly paymentId: string;
  readonly limit: number;
  /** The last entry of the page before; the first page when it is undefined. */
  readonly before: bigint | undefined;
}

/** The query of {@link PaymentRepository.list}. */
export function listQuery(em: EntityManager, filter: PaymentFilter, page: PaymentPage) {
  const { orderId, customerId, status } = filter;
  const query = em.createQueryBuilder(PaymentEntity, "p").select("*");
  if (orderId !== undefined) query.andWhere({ orderId: decodeId(orderId) });
  if (customerId !== undefined) query.andWhere({ customerId: decodeId(customerId) });
  if (status !== undefined) query.andWhere({ status });
  if (page.after) {
    const { createTime, paymentId } = page.after;
    // Compared as a row, so that an index goes straight to the place.
    query.andWhere(raw("(p.create_time, p.payment_id) < (?, ?)", [createTime, decodeId(paymentId)]));
  }
  return query.orderBy({ createTime: "desc", paymentId: "desc" }).limit(page.limit);
}

/** What is void of a credit, or refunded, goes to the card of the first payment, however many credits are between the two. */
const givenBack: SqlText = {
  name: "payment_given_back",
  prepared: false,
  text: `with recursive credit as (
    select payment_id, voided + refunded as back, credited from payment where source_id = $1
    union all
    select p.payment_id, p.voided + p.refunded, p.credited from credit c join payment p on p.source_id = c.payment_id
    where c.credited > 0
  )
  select coalesce(sum(back), 0)::bigint as back from credit`,
};

/** Reads payments and the ledger. */
export class PaymentRepository {
  readonly #database: Pick<Database, "em" | "query">;

  constructor(database: Pick<Database, "em" | "query">) {
    this.#database = database;
  }

  /** One payment, or undefined. */
  async get(paymentId: string): Promise<Payment | undefined> {
    const found = await this.#database.em().findOne(PaymentEntity, { paymentId: decodeId(paymentId) });
    return found ? toPayment(found) : undefined;
  }

  /** What of a payment's credits went back to its card, in minor units. */
  async givenBack({ paymentId, credited }: Pick<Payment, "paymentId" | "credited">): Promise<bigint> {
    if (credited === 0n) return 0n;
    const [row] = await this.#database.query<{ back: bigint }>(givenBack, [decodeId(paymentId)]);
    return row?.back ?? 0n;
  }

  /** At most `limit` payments, the newest first, after the cursor. */
  async list(filter: PaymentFilter, page: PaymentPage): Promise<Payment[]> {
    return (await listQuery(this.#database.em(), filter, page).getResultList()).map(toPayment);
  }

  /** At most `limit` entries of the ledger, the newest first, before the entry with the given id. */
  async listEntries({ paymentId, limit, before }: LedgerPage): Promise<LedgerEntry[]> {
    const where = {
      ...(paymentId === "" ? {} : { paymentId: decodeId(paymentId) }),
      ...(before === undefined ? {} : { entryId: { $lt: before } }),
    };
    return await this.#database.em().find(LedgerEntryEntity, where, { orderBy: { entryId: "desc" }, limit });
  }
}
