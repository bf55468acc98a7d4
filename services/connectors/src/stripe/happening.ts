import type Stripe from "stripe";
import { fromStripeAmount } from "./stripe-amount.ts";

/** Where a dispute stands. */
export type DisputeState = "open" | "won" | "lost";

/** What happened at Stripe by itself, as payments is told of it. */
export interface Happening {
  /** What it is told by: the same however often Stripe tells. */
  readonly eventId: string;
  readonly kind: "refund_failed" | "hold_ended" | "disputed";
  readonly authorizationKey: string;
  readonly time: Date;
  /** Of a refund: its key; undefined otherwise. */
  readonly key: string | undefined;
  /** Why a refund failed, or money is wanted back; empty otherwise. */
  readonly code: string;
  /** Of a dispute alone, as is what follows. */
  readonly disputeId: string;
  readonly state: DisputeState | "";
  readonly currency: string;
  readonly amount: bigint;
  readonly respondByTime: Date | undefined;
}

/** What kind of thing Stripe tells of, and which one: what became of it is asked for. Of a payment that is captured also how much that was in all, as Stripe counts. */
export type Hint =
  | { readonly of: "refund" | "intent" | "dispute"; readonly id: string }
  | { readonly of: "capture"; readonly id: string; readonly received: bigint };

/** The types of events that are listened to. */
export const listenedTypes = [
  "refund.created",
  "refund.updated",
  "refund.failed",
  "charge.expired",
  "payment_intent.canceled",
  "payment_intent.succeeded",
  "charge.dispute.created",
  "charge.dispute.updated",
  "charge.dispute.closed",
] as const;

const none = {
  key: undefined,
  code: "",
  disputeId: "",
  state: "",
  currency: "",
  amount: 0n,
  respondByTime: undefined,
} as const;

/** What an event of Stripe's is about; undefined for one that says nothing to us. */
export function hintOf({ type, data: { object } }: Stripe.Event): Hint | undefined {
  const {
    id,
    payment_intent: intent,
    amount_received: received,
  } = object as {
    id?: unknown;
    payment_intent?: unknown;
    amount_received?: unknown;
  };
  if (!listenedTypes.some((one) => one === type) || typeof id !== "string") return undefined;
  if (type.startsWith("refund.")) return { of: "refund", id };
  if (type.startsWith("charge.dispute.")) return { of: "dispute", id };
  if (type === "payment_intent.canceled") return { of: "intent", id };
  if (type === "payment_intent.succeeded") {
    return Number.isSafeInteger(received) ? { of: "capture", id, received: BigInt(received as number) } : undefined;
  }
  return typeof intent === "string" ? { of: "intent", id: intent } : undefined;
}

/** A refund that failed after it had succeeded. */
export function refundFailed(
  refundId: string,
  authorizationKey: string,
  { key, code }: { key: string; code: string },
): Happening {
  const eventId = `refund_failed:${refundId}`;
  return { ...none, eventId, kind: "refund_failed", authorizationKey, time: new Date(), key, code };
}

/** A hold that ended while something was held. */
export function holdEnded(intentId: string, authorizationKey: string): Happening {
  return { ...none, eventId: `hold_ended:${intentId}`, kind: "hold_ended", authorizationKey, time: new Date() };
}

/** A dispute, as it stands: what it is told by, each time anew, is completed when it is written down. */
export function disputed(dispute: Stripe.Dispute, authorizationKey: string): Happening {
  const { id, status, reason, amount, currency: written, evidence_details: evidence } = dispute;
  const currency = written.toUpperCase();
  const state = stateOf(status);
  // Who has answered waits for the bank.
  const until = status.endsWith("needs_response") ? evidence.due_by : null;
  return {
    ...none,
    eventId: `disputed:${id}`,
    kind: "disputed",
    authorizationKey,
    time: new Date(),
    code: reason,
    disputeId: id,
    state,
    currency,
    amount: fromStripeAmount(currency, amount),
    respondByTime: until === null ? undefined : new Date(until * 1_000),
  };
}

/** One that was only asked about, or paid back before, costs nothing more. */
function stateOf(status: Stripe.Dispute["status"]): DisputeState {
  if (status === "lost") return "lost";
  return /^(?:warning_)?(?:needs_response|under_review)$/.test(status) ? "open" : "won";
}
