import Stripe from "stripe";

/**
 * What Stripe said to a request. `refused`: for good; `misplaced`: its object is not in a state for that; `unsent`: the request had no effect;
 * `failed`: it, or another one under its key, may have had one, and Stripe answers the same to the key for a day; `lost`: it may have had one.
 */
export type Answer<T> =
  | { readonly said: "done"; readonly value: T }
  | { readonly said: "refused"; readonly code: string }
  | { readonly said: "misplaced" | "unsent" | "failed" | "lost"; readonly error: Error };

/** The answers that are no success. */
export type Failure = Exclude<Answer<never>, { readonly said: "done" }>;

/** The code of a refusal for which Stripe has none, but a text. */
export const withoutCode = "invalid_request";

/** What keeps a connection from being made at all. */
const unreachable: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);

/** What an error of Stripe's client says. @throws what is none */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Stripe.errors.StripeError)) throw error;
  const { code = "", statusCode = 0 } = error;
  if (code === "payment_intent_unexpected_state") return { said: "misplaced", error };
  if (error instanceof Stripe.errors.StripeCardError) {
    return { said: "refused", code: error.decline_code || code || "card_error" };
  }
  // Who may not ask has not been heard; that is for us to mend, and no refusal of the card.
  if (statusCode === 401 || statusCode === 403 || statusCode === 429) return { said: "unsent", error };
  // Under this key something else was asked for, by another version or before a setting was changed: it may have had its effect.
  if (error instanceof Stripe.errors.StripeIdempotencyError) {
    return { said: code === "idempotency_key_in_use" ? "lost" : "failed", error };
  }
  if (statusCode === 400 || statusCode === 402 || statusCode === 404) {
    return { said: "refused", code: code || withoutCode };
  }
  if (statusCode >= 500) return { said: "failed", error };
  return { said: unreachable.has(reasonOf(error)) ? "unsent" : "lost", error };
}

/** Why a connection failed; empty where nothing says it. */
function reasonOf({ detail }: InstanceType<typeof Stripe.errors.StripeError>): string {
  return detail instanceof Error && "code" in detail ? String(detail.code) : "";
}
