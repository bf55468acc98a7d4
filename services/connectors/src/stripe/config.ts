import { z } from "zod";
import { databaseConfig, type Together } from "#platform/config.ts";
import { secret } from "#platform/secret.ts";
import { smallestCharges } from "./stripe-amount.ts";

const milliseconds = z.coerce.number().int().min(0);

/** Codes of a list, each once. */
function currenciesOf(text: string, context: z.RefinementCtx<string>): readonly string[] {
  const given = text.split(",").map((code) => code.trim());
  if (given.every((code) => /^[A-Z]{3}$/.test(code))) return [...new Set(given)];
  context.addIssue({ code: "custom", message: "must be codes of ISO 4217 with commas between, for example EUR,USD" });
  return z.NEVER;
}

/** What the connector to Stripe reads besides the platform's own. Durations are milliseconds. */
export const stripeConfig = {
  ...databaseConfig,
  /** A secret or restricted key of the account that sells: `sk_…` or `rk_…`. */
  STRIPE_SECRET_KEY: secret(z.string().regex(/^[sr]k_\w+$/, "is no secret key: sk_… or rk_…")),
  /** Secrets of its webhook endpoints, `whsec_…`, with spaces or commas between: two while one is rolled. Without it Stripe is only asked what happened. */
  STRIPE_WEBHOOK_SECRETS: secret(
    z.string().regex(/^(?:[\s,]*whsec_\w{8,128}){1,16}[\s,]*$/, "is no list of webhook secrets: whsec_…"),
  ).optional(),
  /** How often Stripe is asked for all that happened since, so that a webhook that never came is not missed. */
  STRIPE_LOOK_EVERY_MS: milliseconds.min(1_000).default(3_600_000),
  /** Where Stripe is. Only tests have it elsewhere. */
  STRIPE_API_URL: z.url({ protocol: /^https?$/ }).default("https://api.stripe.com"),
  /** Whether the account may capture an authorization several times (multicapture). Without it each can be captured once. */
  STRIPE_MULTICAPTURE: z.stringbool().default(false),
  /** The currencies that the account takes. By default those whose smallest charge is known. */
  STRIPE_CURRENCIES: z.string().default(Object.keys(smallestCharges).join(",")).transform(currenciesOf),
  /** For one request to Stripe, which waits for banks. */
  STRIPE_TIMEOUT_MS: milliseconds.min(1).default(20_000),
  /** After so long an operation is answered as being processed, and goes on. Less than `GATEWAY_TIMEOUT_MS` of payments. */
  STRIPE_ANSWER_WITHIN_MS: milliseconds.default(2_000),
  /** So long after a request whose answer was lost, or was an error, Stripe is believed when it shows no effect of it. Longer than `STRIPE_TIMEOUT_MS`. */
  STRIPE_SETTLE_MS: milliseconds.default(30_000),
  /** Requests in a second that all replicas together send. Stripe takes 100 of a live account, 25 in a sandbox. */
  STRIPE_REQUESTS_PER_SECOND: z.coerce.number().min(1).default(80),
  /** The same of one endpoint, of which Stripe takes 25. */
  STRIPE_ENDPOINT_REQUESTS_PER_SECOND: z.coerce.number().min(1).default(20),
};

/** A request that may still run when it is believed to have had no effect would have it twice. */
export const settleTogether: Together = (given) => {
  const timeoutMs = stripeConfig.STRIPE_TIMEOUT_MS.safeParse(given.STRIPE_TIMEOUT_MS).data ?? Number.NaN;
  const settleMs = stripeConfig.STRIPE_SETTLE_MS.safeParse(given.STRIPE_SETTLE_MS).data ?? Number.NaN;
  return settleMs <= timeoutMs ? ["STRIPE_SETTLE_MS: is not longer than STRIPE_TIMEOUT_MS"] : [];
};
