import { raw } from "@mikro-orm/core";
import type { EntityManager } from "@mikro-orm/postgresql";
import type { Database } from "#platform/database/database.ts";
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

/** Reads payments and the ledger. */
export class PaymentRepository {
  readonly #database: Pick<Database, "em">;

  constructor(database: Pick<Database, "em">) {
    this.#database = database;
  }

  /** One payment, or undefined. */
  async get(paymentId: string): Promise<Payment | undefined> {
    const found = await this.#database.em().findOne(PaymentEntity, { paymentId: decodeId(paymentId) });
    return found ? toPayment(found) : undefined;
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
