import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import { hideCardNumbers } from "#platform/redact/redact-text.ts";
import type { Money, Outcome } from "../workflows/order-state.ts";
import type { InputOf } from "../workflows/step-table.ts";
import { done, listCall, pending, requestId } from "./batch-call.ts";
import type { ServiceClients } from "./clients.ts";

/** The payment of an order has the order's id, so that it can be voided when the answer to its authorization was lost. */
function paymentIdOf({ orderId }: { orderId: string }): string {
  return orderId;
}

/** Has the gateway hold the orders' totals. */
export function authorizePayment(
  { payments }: ServiceClients,
  entries: InputOf<"authorizePayment">[],
): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({
        requestId: requestId(entry, "authorize"),
        paymentId: paymentIdOf(entry),
        orderId: entry.orderId,
        customerId: entry.customerId,
        amount: toMoney(entry.amount),
        cardToken: entry.cardToken,
      }));
      return payments.batchAuthorizePayments({ requests, traceparents }, options);
    },
    ({ payment }) => (payment?.status === PaymentStatus.PENDING ? pending : done(null)),
  );
}

/** Gives free what is held: all that is left, or one parcel's part. */
export function voidPayment({ payments }: ServiceClients, entries: InputOf<"voidPayment">[]): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({
        requestId: requestId(entry, "void"),
        paymentId: paymentIdOf(entry),
        ...(entry.amount ? { amount: toMoney(entry.amount) } : {}),
      }));
      return payments.batchVoidPayments({ requests, traceparents }, options);
    },
    decided,
  );
}

/** Takes the parts of parcels that left. */
export function capturePayment(
  { payments }: ServiceClients,
  entries: InputOf<"capturePayment">[],
): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({
        requestId: requestId(entry, "capture"),
        paymentId: paymentIdOf(entry),
        amount: toMoney(entry.amount),
      }));
      return payments.batchCapturePayments({ requests, traceparents }, options);
    },
    decided,
  );
}

/** Pays back the parts of parcels that were lost. */
export function refundPayment(
  { payments }: ServiceClients,
  entries: InputOf<"refundPayment">[],
): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({
        requestId: requestId(entry, "refund"),
        paymentId: paymentIdOf(entry),
        amount: toMoney(entry.amount),
        // The number of a place may look like a card's, which a reason must not hold.
        reason: hideCardNumbers(`the parcel from ${entry.locationId} was lost`),
      }));
      return payments.batchRefundPayments({ requests, traceparents }, options);
    },
    decided,
  );
}

function decided(response: { pending: boolean }): Outcome<null> {
  return response.pending ? pending : done(null);
}

/** @throws RangeError for an amount that is not a whole number of minor units */
function toMoney({ currency, amount }: Money): { currency: string; amount: bigint } {
  return { currency, amount: BigInt(amount) };
}
