// What Stripe's objects say of operations.
import type Stripe from "stripe";
import { type Authorization, leftOf, type Operation } from "./operation.ts";
import { toStripeAmount } from "./stripe-amount.ts";

/**
 * What is seen of an operation. `unchanged`: no effect of it; `unclear`: what is seen cannot come of it; `unwanted`: what came of it is to be undone
 * first, and then it is refused with the code, or, with none, wants the card's owner to do something.
 */
export type Judgement =
  | {
      readonly is: "approved";
      readonly stripeId?: string;
      readonly holdExpireTime?: Date | undefined;
      readonly received?: bigint;
    }
  | { readonly is: "declined"; readonly code: string }
  | { readonly is: "unwanted"; readonly code: string }
  | { readonly is: "requires_action" | "processing" | "unchanged" | "unclear" };

/** The code of a card's owner who would have to prove who he is. */
export const authenticationRequired = "authentication_required";

/** What a payment says of the authorization that it was made for. @param parts whether it has to be captured in parts */
export function judgeAuthorization(
  intent: Stripe.PaymentIntent,
  { operation, parts }: { readonly operation: Operation; readonly parts: boolean },
): Judgement {
  switch (intent.status) {
    case "requires_capture":
    case "succeeded":
      return judgeHold(intent, parts);
    case "requires_action":
      return { is: "unwanted", code: authenticationRequired };
    case "processing":
      return { is: "processing" };
    case "canceled":
      return refusedWith(operation.code || "canceled");
    case "requires_payment_method": {
      const { last_payment_error: error } = intent;
      return error ? refusedWith(error.decline_code || error.code || "card_error") : { is: "unchanged" };
    }
    default:
      return { is: "unchanged" };
  }
}

/** A refusal, which may be that somebody would have to do something. */
export function refusedWith(code: string): Judgement {
  return code === authenticationRequired ? { is: "requires_action" } : { is: "declined", code };
}

function judgeHold(intent: Stripe.PaymentIntent, parts: boolean): Judgement {
  const charge = typeof intent.latest_charge === "object" ? intent.latest_charge : undefined;
  const card = charge?.payment_method_details?.card;
  if (parts && card?.multicapture?.status !== "available") return { is: "unwanted", code: "multicapture_unavailable" };
  const until = card?.capture_before;
  return {
    is: "approved",
    stripeId: intent.id,
    holdExpireTime: until === undefined ? undefined : new Date(until * 1_000),
  };
}

/** What a payment says of a capture: what it has captured rose by that, since the capture was sent. */
export function judgeCapture(intent: Stripe.PaymentIntent, { currency, amount, base }: Operation): Judgement {
  const received = BigInt(intent.amount_received);
  if (received - base === BigInt(toStripeAmount(currency, amount) ?? 0)) return { is: "approved", received };
  if (received !== base) return { is: "unclear" };
  return isHeld(intent) ? { is: "unchanged" } : { is: "declined", code: "hold_ended" };
}

/** What a payment says of the last void of an authorization. */
export function judgeVoid(intent: Stripe.PaymentIntent): Judgement {
  return isHeld(intent) ? { is: "unchanged" } : { is: "approved" };
}

function isHeld({ status }: Stripe.PaymentIntent): boolean {
  return status === "requires_capture";
}

/** What a refund says of itself. */
export function judgeRefund({ id, status, failure_reason: reason }: Stripe.Refund): Judgement {
  if (status === "succeeded") return { is: "approved", stripeId: id };
  if (status === "failed" || status === "canceled") return { is: "declined", code: reason ?? `refund_${status}` };
  return { is: "processing" };
}

/** Why an operation cannot be: by what was done before it; undefined where Stripe is to be asked. */
export function refusalOf(operation: Operation, authorization: Authorization, rules: Rules): string | undefined {
  const { kind, currency, amount } = operation;
  if (currency !== authorization.currency) return "currency_mismatch";
  if (toStripeAmount(currency, amount) === undefined) return "amount_not_supported";
  if (kind === "authorize") return refusalOfAuthorization(operation, rules);
  if (kind === "refund") {
    return amount > authorization.captured - authorization.refunded ? "amount_exceeds_capture" : undefined;
  }
  if (amount > leftOf(authorization)) return "amount_exceeds_authorization";
  const isLast = operation.final || amount === leftOf(authorization);
  if (kind === "capture" && !isLast && authorization.captures + 1 >= authorization.maxCaptures)
    return "too_many_captures";
  return undefined;
}

function refusalOfAuthorization({ currency, amount }: Operation, { minAmounts }: Rules): string | undefined {
  const least = minAmounts.get(currency);
  if (least === undefined) return "currency_not_supported";
  return amount < least ? "amount_too_small" : undefined;
}

/** What the account can. */
export interface Rules {
  /** How often what is authorized can be captured. */
  readonly maxCaptures: number;
  /** The smallest amount of each currency that is taken, in minor units of ISO 4217. */
  readonly minAmounts: ReadonlyMap<string, bigint>;
}
