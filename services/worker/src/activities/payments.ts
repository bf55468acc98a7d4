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
import { firstCredit, holdBeside } from "../workflows/order-state.ts";
import type { InputOf } from "./all-steps.ts";
import { batchCall, bothHalves, done, pending, refused } from "./batch-call.ts";
import { requestId } from "./entry-key.ts";
import type { FencedInput, ServiceClients, StepWorks } from "./step-work.ts";

const domain = "payments.shop";

/** What the saga asks of the payments. */
export const paymentWorks = {
  /**
   * Has the gateway hold the orders' totals. Where it captures an authorization once, payments makes one of the first parcel and says so; then the
   * others are asked for, and are known to be by what the first one says, whoever gives them up.
   */
  authorizePayment: (clients, entries) =>
    bothHalves(
      entries,
      (all) => authorize(clients, all),
      async (begun, held) => {
        const further = begun.map((entry, index) => holdsBeside(entry, held[index] ?? null));
        const made = await callFor(further, (all) => authorize(clients, all));
        return made.map((outcomes, index) => together(outcomes, (others) => toHeld(held[index] ?? null, others)));
      },
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
          parcels: [],
          singleCapture: false,
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

  /** Gives free what is held: all that is left, also beside it, or one parcel's part. */
  voidPayment: (clients, entries) =>
    bothHalves(
      entries,
      (all) => giveUp(clients, all),
      async (begun, holds) => {
        const further = begun.map((entry, index) => {
          const { payment = 0 } = entry;
          const others = entry.beside ? besides(holds[index] ?? 0) : [];
          return others.map((other) => ({ ...entry, payment: holdBeside(payment, other) }));
        });
        const voided = await callFor(further, (all) => giveUp(clients, all));
        return voided.map((outcomes) => together(outcomes, () => null));
      },
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

type Authorization = FencedInput<"authorizePayment">;

/** What a payment holds, and of how many it is the first that are captured once; null: it is captured in parts. */
type Held = { readonly amount: number; readonly holds: number } | null;

function authorize({ payments }: ServiceClients, entries: Authorization[]): Promise<Outcome<Held>[]> {
  return batchCall(
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
        parcels: (entry.parcels ?? []).map(BigInt),
        singleCapture: entry.singleCapture ?? false,
        sourcePaymentId: "",
      }));
      const request = whole(BatchAuthorizePaymentsRequestSchema, { requests, traceparents });
      return payments.batchAuthorizePayments(request, options);
    },
    toAuthorized,
  );
}

/** The authorizations that are to be made beside one. */
function holdsBeside(entry: Authorization, held: Held): Authorization[] {
  const { parcels = [], payment = 0, amount } = entry;
  return besides(held?.holds ?? 0).flatMap((index) => {
    const charged = parcels[index];
    if (charged === undefined) return [];
    const { parcels: _, ...common } = entry;
    const further = { payment: holdBeside(payment, index), amount: { ...amount, amount: charged } };
    return [{ ...common, ...further, singleCapture: true }];
  });
}

/** Counts the payments beside the first of so many. */
function besides(holds: number): number[] {
  return Array.from({ length: Math.max(0, holds - 1) }, (_, index) => index + 1);
}

function toHeld(first: Held, others: readonly Held[]): number[] | null {
  return first && [first.amount, ...others.map((each) => each?.amount ?? 0)];
}

/** Makes one call for entries of several, and gives each of these the outcomes of its own. */
async function callFor<I, O>(
  entries: readonly (readonly I[])[],
  call: (all: I[]) => Promise<Outcome<O>[]>,
): Promise<Outcome<O>[][]> {
  const outcomes = (await call(entries.flat())).values();
  return entries.map((some) => some.map(() => outcomes.next().value ?? pending));
}

/** One outcome of several: all have to be decided, and a refusal is that of all. */
function together<M, O>(outcomes: readonly Outcome<M>[], toOutput: (outputs: M[]) => O): Outcome<O> {
  for (const kind of ["pending", "refused"]) {
    const open = outcomes.find((outcome) => outcome.kind === kind);
    if (open && open.kind !== "done") return open;
  }
  return done(toOutput(outcomes.flatMap((outcome) => (outcome.kind === "done" ? [outcome.value] : []))));
}

/** Voids, and answers of how many payments each is the first. */
function giveUp({ payments }: ServiceClients, entries: FencedInput<"voidPayment">[]): Promise<Outcome<number>[]> {
  return batchCall(
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
    (response) => (response.pending ? pending : done(response.payment?.holds ?? 0)),
  );
}

/**
 * What an episode that was lost had voided is not authorized, though its repetition is answered. An amendment goes on all the same: orders was told
 * before its money was given up that it is refused, so it ends at its pivot, and from there all of it is undone, parcels too.
 */
function toAuthorized({ payment }: AuthorizePaymentResponse, entry: InputOf<"authorizePayment">): Outcome<Held> {
  if (payment?.status === PaymentStatus.VOIDED && entry.payment === undefined) {
    return refused("PAYMENT_VOIDED", "the payment was voided after it was authorized", domain);
  }
  if (payment?.status === PaymentStatus.PENDING) return pending;
  const { holds = 0, amount } = payment ?? {};
  return done(holds > 0 ? { amount: Number(amount?.amount ?? 0n), holds } : null);
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
