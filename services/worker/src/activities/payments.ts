import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import {
  type AuthorizePaymentResponse,
  BatchAuthorizePaymentsRequestSchema,
  BatchCapturePaymentsRequestSchema,
  BatchRefundPaymentsRequestSchema,
  BatchVoidPaymentsRequestSchema,
} from "#gen/shop/payments/v1/payment_service_pb.js";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import { decodeId, encodeId } from "#platform/id.ts";
import { hideCardNumbers } from "#platform/redact/redact-text.ts";
import { whole } from "#platform/whole.ts";
import { approval } from "../workflows/engine/failures.ts";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import type { Money } from "../workflows/order/order-types.ts";
import { firstCredit } from "../workflows/order-state.ts";
import type { InputOf } from "./all-steps.ts";
import { batchCall, done, pending, refused } from "./batch-call.ts";
import { requestId } from "./entry-key.ts";
import type { StepWorks } from "./step-work.ts";

const domain = "payments.shop";

/** What the saga asks of the payments. */
export const paymentWorks = {
  /** Has the gateway hold the orders' totals. */
  authorizePayment: ({ payments }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "authorize"),
          fence: entry.fence,
          paymentId: paymentIdOf(entry),
          orderId: entry.orderId,
          customerId: entry.customerId,
          amount: toMoney(entry.amount),
          cardToken: entry.cardToken,
          sourcePaymentId: "",
        }));
        const request = whole(BatchAuthorizePaymentsRequestSchema, { requests, traceparents });
        return payments.batchAuthorizePayments(request, options);
      },
      toAuthorized,
    ),

  /** Has what payments of one order captured pay another. The fence is of the order that it comes from. */
  creditReturn: ({ payments }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "credit"),
          fence: entry.fence,
          paymentId: creditIdOf(entry),
          orderId: entry.creditedOrderId,
          customerId: entry.customerId,
          amount: toMoney(entry.amount),
          cardToken: "",
          sourcePaymentId: paymentIdOf(entry),
        }));
        const request = whole(BatchAuthorizePaymentsRequestSchema, { requests, traceparents });
        return payments.batchAuthorizePayments(request, options);
      },
      ({ payment }) => (payment?.status === PaymentStatus.PENDING ? pending : done(null)),
    ),

  /**
   * Gives credits back whose order is never placed. They bear no fence, as they are of that order, of which there are no episodes; and whoever asks
   * for it was told by orders that it is for good.
   */
  giveBackCredit: ({ payments }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "give-back"),
          fence: 0,
          paymentId: creditIdOf(entry),
          amount: undefined,
        }));
        return payments.batchVoidPayments(whole(BatchVoidPaymentsRequestSchema, { requests, traceparents }), options);
      },
      decided,
    ),

  /** Gives free what is held: all that is left, or one parcel's part. */
  voidPayment: ({ payments }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "void"),
          fence: entry.fence,
          paymentId: paymentIdOf(entry),
          amount: entry.amount && toMoney(entry.amount),
        }));
        return payments.batchVoidPayments(whole(BatchVoidPaymentsRequestSchema, { requests, traceparents }), options);
      },
      decided,
    ),

  /** Takes the parts of parcels that left. */
  capturePayment: ({ payments }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "capture"),
          fence: entry.fence,
          paymentId: paymentIdOf(entry),
          amount: toMoney(entry.amount),
        }));
        const request = whole(BatchCapturePaymentsRequestSchema, { requests, traceparents });
        return payments.batchCapturePayments(request, options);
      },
      decided,
    ),

  /** Pays back the parts of parcels that were lost. */
  refundPayment: ({ payments }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "refund"),
          fence: entry.fence,
          paymentId: paymentIdOf(entry),
          amount: toMoney(entry.amount),
          // The number of a place may look like a card's, which a reason must not hold.
          reason: hideCardNumbers(`the parcel from ${entry.locationId} was lost`),
          grantedBy: "",
        }));
        const request = whole(BatchRefundPaymentsRequestSchema, { requests, traceparents });
        return payments.batchRefundPayments(request, options);
      },
      decided,
    ),

  /** Pays back what came back. */
  refundReturn: ({ payments }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "refund"),
          fence: entry.fence,
          paymentId: paymentIdOf(entry),
          amount: toMoney(entry.amount),
          reason: `${entry.grantedBy ? "granted" : "articles came back"}: return ${entry.returnId}`,
          grantedBy: entry.grantedBy ?? "",
        }));
        const request = whole(BatchRefundPaymentsRequestSchema, { requests, traceparents });
        return payments.batchRefundPayments(request, options);
      },
      ({ pending: isPending, refundRequest }) => {
        if (refundRequest) return { kind: "pending", waitsFor: approval };
        return isPending ? pending : done(null);
      },
    ),
} satisfies Partial<StepWorks>;

/**
 * What an episode that was lost had voided is not authorized, though its repetition is answered. An amendment goes on all the same: orders was told
 * before its money was given up that it is refused, so it ends at its pivot, and from there all of it is undone, parcels too.
 */
function toAuthorized({ payment }: AuthorizePaymentResponse, entry: InputOf<"authorizePayment">): Outcome<null> {
  if (payment?.status === PaymentStatus.VOIDED && entry.payment === undefined) {
    return refused("PAYMENT_VOIDED", "the payment was voided after it was authorized", domain);
  }
  return payment?.status === PaymentStatus.PENDING ? pending : done(null);
}

/**
 * The payment of an order has the order's id, so that it can be voided when the answer to its authorization was lost. Those of amendments and
 * credits follow from it: a number further for each, at the end of it, which is 64 bits of chance.
 */
function paymentIdOf({ orderId, payment = 0 }: { orderId: string; payment?: number }): string {
  if (payment === 0) return orderId;
  const hex = decodeId(orderId).replaceAll("-", "");
  const chance = BigInt.asUintN(64, BigInt(`0x${hex.slice(16)}`) + BigInt(payment));
  return encodeId(hex.slice(0, 16) + chance.toString(16).padStart(16, "0"));
}

/** A credit is a payment of the order that it pays. */
function creditIdOf({
  creditedOrderId,
  credit,
}: Pick<InputOf<"giveBackCredit">, "creditedOrderId" | "credit">): string {
  return paymentIdOf({ orderId: creditedOrderId, payment: firstCredit + credit });
}

function decided(response: { pending: boolean }): Outcome<null> {
  return response.pending ? pending : done(null);
}

/** @throws RangeError for an amount that is not a whole number of minor units */
function toMoney({ currency, amount }: Money) {
  return whole(MoneySchema, { currency, amount: BigInt(amount) });
}
