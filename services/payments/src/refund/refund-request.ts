import { ownRefundRequest, type PaymentError, refundRequestDecided } from "../payment/errors.ts";
import type { Payment } from "../payment/payment.ts";
import type { Source } from "../payment/source.ts";

/** Where a refund request stands. All but `waiting` are for good. */
export type RefundRequestState = "waiting" | "approved" | "rejected" | "expired";

/** A refund that waits, or waited, for a second person. Nothing is set aside for it. */
export interface RefundRequest {
  /** Also the id of the operation that it becomes when it is approved. */
  readonly refundRequestId: string;
  readonly paymentId: string;
  readonly currency: string;
  /** Minor units, more than zero. */
  readonly amount: bigint;
  /** What its requester said why; may be empty. */
  readonly reason: string;
  readonly state: RefundRequestState;
  /** Who asked for it, as a credential has proved. */
  readonly requester: string;
  /** Who approved or rejected it, as a credential has proved; empty otherwise. */
  readonly decider: string;
  readonly decisionReason: string;
  /** Who is answerable for it, and in which trace. */
  readonly source: Source;
  readonly createTime: Date;
  readonly expireTime: Date;
  /** Undefined while it waits. */
  readonly decideTime: Date | undefined;
}

/** A refund request with its payment. */
export interface Resting {
  readonly request: RefundRequest;
  readonly payment: Payment;
}

/** Whether something is a refund that waits for a second person, and no operation. */
export function isResting(found: object): found is Resting {
  return "request" in found;
}

/** What somebody decides about a refund request, and when. */
export interface Decision {
  readonly verdict: "approved" | "rejected";
  readonly decider: string;
  readonly reason: string;
  readonly time: Date;
}

/** Decides about a request that is locked. Its time is over when it says so, whoever has looked. Never throws: a refusal is a value. */
export function decide(request: RefundRequest, decision: Decision): RefundRequest | PaymentError {
  const { verdict, decider, reason, time } = decision;
  if (request.state !== "waiting") return refundRequestDecided(request);
  if (request.expireTime <= time) return refundRequestDecided({ ...request, state: "expired" });
  if (request.requester === decider) return ownRefundRequest(request);
  return { ...request, state: verdict, decider, decisionReason: reason, decideTime: time };
}
