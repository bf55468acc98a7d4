import { type AsText, type ColumnsOf, type Selected, selectList, writtenColumns } from "#platform/database/columns.ts";
import type { Fenced } from "#platform/fence.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { Payment } from "./payment.ts";

/** One payment as statements and the entity return it: its ids are uuids, and null where nobody said what it would pay, or by what. */
export interface PaymentRow extends Omit<Payment, "orderId" | "customerId" | "sourceId" | "holdExpireTime"> {
  readonly orderId?: string | null | undefined;
  readonly customerId?: string | null | undefined;
  readonly sourceId?: string | null | undefined;
  readonly holdExpireTime?: Date | null | undefined;
}

const columns: Selected<PaymentRow> = {
  paymentId: true,
  orderId: true,
  customerId: true,
  cardToken: true,
  currency: true,
  amount: true,
  decision: true,
  captured: true,
  voided: true,
  refunded: true,
  capturing: true,
  voiding: true,
  refunding: true,
  provider: true,
  sourceId: true,
  holds: true,
  credited: true,
  fence: true,
  closing: true,
  declineCode: true,
  gatewayReference: true,
  holdExpireTime: true,
  createTime: true,
  updateTime: true,
};

/** The columns of {@link PaymentRow}, of a table `payment p`. */
export const paymentColumns = selectList<PaymentRow>(columns, "p");

/** The same of one that is locked. Its fence is the highest of all payments of its order: an amended one has several. */
export const lockedPaymentColumns = selectList<PaymentRow>(
  { ...columns, fence: "greatest(p.fence, (select max(fence) from payment where payment.order_id = p.order_id))" },
  "p",
);

/** The domain's view of a row, which may have other columns besides. */
export function toPayment(row: PaymentRow): Payment {
  return {
    paymentId: encodeId(row.paymentId),
    orderId: row.orderId ? encodeId(row.orderId) : "",
    customerId: row.customerId ? encodeId(row.customerId) : "",
    cardToken: row.cardToken,
    currency: row.currency,
    amount: row.amount,
    decision: row.decision,
    captured: row.captured,
    voided: row.voided,
    refunded: row.refunded,
    capturing: row.capturing,
    voiding: row.voiding,
    refunding: row.refunding,
    provider: row.provider,
    sourceId: row.sourceId ? encodeId(row.sourceId) : "",
    holds: row.holds,
    credited: row.credited,
    fence: row.fence,
    closing: row.closing,
    declineCode: row.declineCode,
    gatewayReference: row.gatewayReference,
    holdExpireTime: row.holdExpireTime ?? undefined,
    createTime: row.createTime,
    updateTime: row.updateTime,
  };
}

/** What of a payment its authorization says, and never changes. */
export type GivenPayment = Pick<
  Payment,
  "paymentId" | "orderId" | "customerId" | "cardToken" | "currency" | "amount" | "sourceId" | "holds"
>;

/** A payment as it is inserted; only a credit has a source, and the reference of it. Amounts travel as text: JSON numbers are floating point. */
export interface InsertedPayment
  extends AsText<ColumnsOf<Omit<GivenPayment, "sourceId"> & Fenced & Pick<Payment, "gatewayReference">>> {
  readonly source_id: string | undefined;
}

/** The columns of {@link InsertedPayment}. */
export const insertedPayment = writtenColumns<InsertedPayment>({
  payment_id: "uuid",
  order_id: "uuid",
  customer_id: "uuid",
  card_token: "text",
  currency: "text",
  amount: "bigint",
  holds: "int",
  fence: "int",
  source_id: "uuid",
  gateway_reference: "text",
});

/** What of a payment changes: all that its authorization does not say, and what credits of it do not. */
type ChangingPayment = AsText<ColumnsOf<Omit<Payment, keyof GivenPayment | "createTime" | "provider" | "credited">>>;

/** What of a payment changes, with the payment's id. */
export type UpdatedPayment = ChangingPayment & Pick<InsertedPayment, "payment_id">;

/** The columns of {@link UpdatedPayment} but for the id. */
export const updatedPayment = writtenColumns<ChangingPayment>({
  decision: "text",
  captured: "bigint",
  voided: "bigint",
  refunded: "bigint",
  capturing: "bigint",
  voiding: "bigint",
  refunding: "bigint",
  fence: "int",
  closing: "boolean",
  decline_code: "text",
  gateway_reference: "text",
  hold_expire_time: "timestamptz",
  update_time: "timestamptz",
});

/** A row for the statements that update payments. */
export function toUpdatedPayment(payment: Payment): UpdatedPayment {
  return {
    payment_id: decodeId(payment.paymentId),
    decision: payment.decision,
    captured: String(payment.captured),
    voided: String(payment.voided),
    refunded: String(payment.refunded),
    capturing: String(payment.capturing),
    voiding: String(payment.voiding),
    refunding: String(payment.refunding),
    fence: payment.fence,
    closing: payment.closing,
    decline_code: payment.declineCode,
    gateway_reference: payment.gatewayReference,
    hold_expire_time: payment.holdExpireTime,
    update_time: payment.updateTime,
  };
}
