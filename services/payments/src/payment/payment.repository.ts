import { type InferEntity, raw } from "@mikro-orm/core";
import type { EntityManager } from "@mikro-orm/postgresql";
import type { Database } from "#platform/database/database.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { type LedgerEntry, LedgerEntryEntity, PaymentEntity } from "./payment.entity.ts";
import type { Payment, PaymentStatus } from "./payment.ts";

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
  readonly after?: PaymentCursor;
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
  readonly #database: Database;

  constructor(database: Database) {
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

  /** At most `limit` entries, the newest first, before the entry with the given id. */
  async listEntries(filter: { paymentId?: string }, page: { limit: number; before?: bigint }): Promise<LedgerEntry[]> {
    const where = {
      ...(filter.paymentId === undefined ? {} : { paymentId: decodeId(filter.paymentId) }),
      ...(page.before === undefined ? {} : { entryId: { $lt: page.before } }),
    };
    return await this.#database
      .em()
      .find(LedgerEntryEntity, where, { orderBy: { entryId: "desc" }, limit: page.limit });
  }
}

function toPayment(entity: InferEntity<typeof PaymentEntity>): Payment {
  const { amount, captured, voided, refunded, capturing, voiding, refunding } = entity;
  const { currency, cardToken, decision, closing, declineCode, gatewayReference, createTime, updateTime } = entity;
  return {
    paymentId: encodeId(entity.paymentId),
    orderId: entity.orderId ? encodeId(entity.orderId) : "",
    customerId: entity.customerId ? encodeId(entity.customerId) : "",
    ...{ amount, captured, voided, refunded, capturing, voiding, refunding },
    ...{ currency, cardToken, decision, closing, declineCode, gatewayReference, createTime, updateTime },
  };
}
