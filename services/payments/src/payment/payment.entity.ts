import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import type { Account, Decision, EntryKind, PaymentStatus } from "./payment.ts";

/** The money of one order; its rows are read by `toPayment`. */
export const PaymentEntity = defineEntity({
  name: "Payment",
  tableName: "payment",
  properties: {
    paymentId: p.uuid().primary(),
    orderId: p.uuid().nullable(),
    customerId: p.uuid().nullable(),
    cardToken: p.text(),
    currency: p.character().length(3),
    amount: p.bigint("bigint"),
    decision: p.text().$type<Decision>(),
    captured: p.bigint("bigint").default(0),
    voided: p.bigint("bigint").default(0),
    refunded: p.bigint("bigint").default(0),
    capturing: p.bigint("bigint").default(0),
    voiding: p.bigint("bigint").default(0),
    refunding: p.bigint("bigint").default(0),
    provider: p.text().default(""),
    sourceId: p.uuid().nullable(),
    holds: p.integer().default(0),
    credited: p.bigint("bigint").default(0),
    fence: p.integer().default(0),
    closing: p.boolean().default(false),
    declineCode: p.text().default(""),
    gatewayReference: p.text().default(""),
    holdExpireTime: p.datetime().nullable(),
    createTime: p.datetime().defaultRaw("now()"),
    updateTime: p.datetime().defaultRaw("now()"),
    /** Computed by the database, by the rule of `statusOf`; for filters. */
    status: p.text().$type<PaymentStatus>().persist(false),
  },
});

/** One line of the ledger; never changed or deleted. */
export const LedgerEntryEntity = defineEntity({
  name: "LedgerEntry",
  tableName: "ledger_entry",
  properties: {
    entryId: p.bigint("bigint").primary(),
    paymentId: p.uuid(),
    operationId: p.uuid(),
    kind: p.text().$type<EntryKind>(),
    debitAccount: p.text().$type<Account>(),
    creditAccount: p.text().$type<Account>(),
    currency: p.character().length(3),
    amount: p.bigint("bigint"),
    createTime: p.datetime().defaultRaw("now()"),
  },
});

/** A row of the ledger as it is read. */
export type LedgerEntry = InferEntity<typeof LedgerEntryEntity>;

/** Everything that MikroORM knows in the payments database. */
export const entities = [PaymentEntity, LedgerEntryEntity];
