// What people do at Stripe with what we have authorized, without us.
import { hash } from "node:crypto";
import type Stripe from "stripe";
import { judgeRefund } from "./judgement.ts";
import type { Outside } from "./operation.repository.ts";
import type { Authorization } from "./operation.ts";
import { fromStripeAmount } from "./stripe-amount.ts";

/** A refund that was made without us; undefined before it is decided. */
export function outsideRefund(refund: Stripe.Refund, { intentId, currency }: Authorization): Outside | undefined {
  const { id, amount } = refund;
  const judgement = judgeRefund(refund);
  if (judgement.is !== "approved" && judgement.is !== "declined") return undefined;
  return {
    key: outsideKey(`refund ${id}`),
    kind: "refund",
    reference: intentId,
    currency,
    amount: fromStripeAmount(currency, amount),
    state: judgement.is,
    code: judgement.is === "declined" ? judgement.code : "",
    stripeId: id,
  };
}

/** What was captured without us, if something was: more than we know of. */
export function outsideCapture(intent: Stripe.PaymentIntent, authorization: Authorization): Outside | undefined {
  const { intentId, currency, received: known } = authorization;
  const received = BigInt(intent.amount_received);
  if (received <= known) return undefined;
  return {
    key: outsideKey(`capture ${intentId} ${received}`),
    kind: "capture",
    reference: intentId,
    currency,
    amount: fromStripeAmount(currency, Number(received - known)),
    state: "approved",
    code: "",
    stripeId: intentId,
    received,
  };
}

/** A key of ours, the same whenever and by whomever it is made: a UUID of version 8, made of what Stripe calls the thing. */
function outsideKey(what: string): string {
  const digest = hash("sha256", `done at Stripe without us: ${what}`, "hex");
  const hex = `${digest.slice(0, 12)}8${digest.slice(13, 16)}8${digest.slice(17, 32)}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
