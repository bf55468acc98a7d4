import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { requestContext } from "#platform/context.ts";
import type { Keyed } from "#platform/database/idempotency.ts";
import { type Fenced, isOver } from "#platform/fence.ts";
import { creditRefused, episodeOver, notFound } from "../payment/errors.ts";
import type { Payment } from "../payment/payment.ts";
import type { GivenPayment } from "../payment/payment-row.ts";
import type { Source } from "../payment/source.ts";
import type { RefundJudge } from "../refund/refund-judge.ts";
import type { RefundRequest, Resting } from "../refund/refund-request.ts";
import { accept, type Change, type Operation, type Ticket } from "./operation.ts";

/** An authorization as it is asked for. Ids are text, amounts are minor units. */
export interface AuthorizeInput extends Keyed, Omit<GivenPayment, "holds">, Fenced {
  /** What each parcel of the order will be charged; none: there are not several, or nobody knows. */
  readonly parcels: readonly bigint[];
  /** Whether it is to be captured once, whatever the gateway can. */
  readonly singleCapture: boolean;
}

/** An authorization as it is begun: where it is captured once, of the first parcel alone. */
export interface HeldInput extends AuthorizeInput, Pick<GivenPayment, "holds"> {}

/** What of an authorization one payment holds. @param once whether the gateway captures it once. A credit is captured as often as is asked */
export function heldFor<I extends AuthorizeInput>(input: I, once: boolean): I & HeldInput {
  const { amount, parcels, singleCapture, sourceId } = input;
  if (sourceId !== "" || !(once || singleCapture)) return { ...input, holds: 0 };
  return { ...input, amount: parcels[0] ?? amount, holds: Math.max(1, parcels.length) };
}

/** A capture, void or refund as it is asked for. */
export interface ChangeInput extends Keyed, Change, Fenced {
  readonly paymentId: string;
  /** For the record; empty: none. */
  readonly reason: string;
  /** Who granted a refund, as the saga says; empty otherwise. */
  readonly grantedBy?: string;
}

/** Who wants something. */
export interface Wanted {
  readonly source: Source;
  /**
   * Who asks, as a credential has proved, and may refund so much alone. Undefined for the saga, whose refunds follow from what happened to the
   * order, and where nobody is asked who calls: a second person could not be told from the first.
   */
  readonly asker: string | undefined;
  /** Whom the actor of the source acts for, if not for itself. */
  readonly onBehalfOf?: string | undefined;
}

/** An input together with who wants it. */
export type Submitted<I> = I & Wanted;

/** The service whose calls are the saga's. */
const saga = "worker";

/** The input together with who wants it: whoever the running call serves. The saga's word is taken for who granted a refund, and nobody else's. */
export function submitted<I extends Keyed & { readonly grantedBy?: string }>(input: I): Submitted<I> {
  const { actor, onBehalfOf, requestId } = auditOrigin(input.requestId);
  const { traceParent: traceparent = "", caller } = requestContext();
  const asker = caller?.service === saga ? input.grantedBy || undefined : caller?.subject;
  return { ...input, source: { actor, requestId, traceparent }, asker, onBehalfOf };
}

/** A request that was accepted: now, with its ticket or as what waits for a second person, or before. */
export interface Begun {
  readonly operationId: string;
  readonly ticket?: Ticket;
  readonly resting?: Resting;
}

/** An authorization that was just committed. */
export function newAuthorization(
  input: Submitted<HeldInput>,
  operationId: string,
  { createTime, credited }: { readonly createTime: Date; readonly credited?: Payment | undefined },
): Ticket {
  const { paymentId, orderId, customerId, currency, amount, sourceId, holds, source } = input;
  const { cardToken, fence, gatewayReference } = paidBy(input, credited);
  const payment: Payment = {
    paymentId,
    orderId,
    customerId,
    cardToken,
    currency,
    amount,
    decision: "undecided",
    captured: 0n,
    voided: 0n,
    refunded: 0n,
    capturing: 0n,
    voiding: 0n,
    refunding: 0n,
    credited: 0n,
    provider: "",
    sourceId,
    holds,
    fence,
    closing: false,
    declineCode: "",
    gatewayReference,
    holdExpireTime: undefined,
    createTime,
    updateTime: createTime,
  };
  const operation = newOperation({
    operationId,
    paymentId,
    kind: "authorize",
    amount,
    state: "pending",
    source,
    createTime,
  });
  return { payment, operation };
}

/**
 * What a payment has of whoever pays it. What is known of the card of a credit is that of the payment that it comes from; and the fence, which is of
 * the order of that one, is remembered there.
 */
export function paidBy(
  { cardToken, fence }: Pick<AuthorizeInput, "cardToken" | "fence">,
  credited: Payment | undefined,
): Pick<Payment, "cardToken" | "fence" | "gatewayReference"> {
  if (!credited) return { cardToken, fence, gatewayReference: "" };
  return { cardToken: credited.cardToken, fence: 0, gatewayReference: credited.gatewayReference };
}

type NewOperation = Omit<Operation, "refusalCode" | "overtaken" | "attempts" | "freed" | "after" | "alone">;

function newOperation(given: NewOperation): Operation {
  return { ...given, refusalCode: "", overtaken: false, attempts: 0, freed: 0n, after: undefined, alone: false };
}

/** The operation that a refund request becomes once it is approved: as its requester wanted it. */
export function approvedRefund(request: RefundRequest, createTime: Date): Operation {
  const { refundRequestId: operationId, paymentId, amount, source } = request;
  return newOperation({ operationId, paymentId, kind: "refund", amount, state: "pending", source, createTime });
}

/** What a change is begun with. */
export interface ChangeBeginning {
  readonly operationId: string;
  readonly time: Date;
  /** Whether captures and voids of a payment go one after the other. */
  readonly inTurn: boolean;
  /** Says which refunds need a second person. */
  readonly judge: RefundJudge;
  /** When one who needs a second person expires. */
  readonly expireTime: Date;
}

/** Begins one change of a locked payment and puts the payment's new state into `payments`; or has a refund wait, which moves nothing. */
export function beginChange(
  payments: Map<string, Payment>,
  input: Submitted<ChangeInput>,
  at: ChangeBeginning,
): Ticket | Resting | Error {
  const { paymentId, kind, source } = input;
  const found = payments.get(paymentId);
  if (!found) return notFound(paymentId);
  if (isOver(input, found.fence)) return episodeOver(paymentId, input, found.fence);
  // It goes back to the card, which else needs a second person.
  if (kind === "void" && found.sourceId !== "" && input.asker !== undefined) return creditRefused(found, "SAGA_ONLY");
  const before = { ...found, fence: Math.max(found.fence, input.fence) };
  const accepted = accept(before, input, at.inTurn);
  if (accepted instanceof Error) return accepted;
  const { amount, state } = accepted;
  const isJudged = kind === "refund" && input.asker !== undefined && state === "pending" && amount !== undefined;
  const judged = isJudged ? at.judge.judge(before, amount) : undefined;
  if (judged instanceof Error) return judged;
  if (judged === "waiting") {
    payments.set(paymentId, before);
    return { payment: before, request: newRequest(input, before, { ...at, amount: amount ?? 0n }) };
  }
  const payment = { ...accepted.payment, updateTime: state === "succeeded" ? at.time : before.updateTime };
  payments.set(paymentId, payment);
  const { operationId, time: createTime } = at;
  const begun = newOperation({ operationId, paymentId, kind, amount, state, source, createTime });
  const operation = { ...begun, alone: judged === "alone" };
  if (state !== "succeeded") return { payment, operation };
  const { captured, voided, refunded } = payment;
  return { payment, operation: { ...operation, after: { captured, voided, refunded, decideTime: at.time } } };
}

/** A refund that waits for a second person from now on. */
function newRequest(
  { asker = "", reason, source }: Submitted<ChangeInput>,
  { paymentId, currency }: Payment,
  { operationId, time, expireTime, amount }: ChangeBeginning & { readonly amount: bigint },
): RefundRequest {
  return {
    refundRequestId: operationId,
    paymentId,
    currency,
    amount,
    reason,
    state: "waiting",
    requester: asker,
    decider: "",
    decisionReason: "",
    source,
    createTime: time,
    expireTime,
    decideTime: undefined,
  };
}
