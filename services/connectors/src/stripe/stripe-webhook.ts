import type { Handler } from "#platform/http/rpc.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { Secret } from "#platform/secret.ts";
import { secretsOf, webhookHandler } from "../webhook.ts";
import { hintOf } from "./happening.ts";
import type { StripeMetrics } from "./metrics.ts";
import type { StripeListener } from "./stripe-listener.ts";
import type { StripeRequests } from "./stripe-requests.ts";

/** What a webhook is answered with. */
export interface StripeWebhookOptions {
  readonly requests: Pick<StripeRequests, "verified">;
  readonly listener: Pick<StripeListener, "look">;
  /** Secrets of endpoints, with spaces or commas between: two while they are rolled. */
  readonly secrets: Pick<Secret, "text">;
  readonly metrics: Pick<StripeMetrics, "answered" | "heard">;
  readonly log: Pick<Logger, "warn" | "error">;
}

/** Takes Stripe's webhooks. */
export function stripeWebhooks({ requests, listener, secrets, metrics, log }: StripeWebhookOptions): Handler {
  return webhookHandler({
    read(body, { "stripe-signature": signature }) {
      const event = typeof signature === "string" ? requests.verified(body, signature, secretsOf(secrets)) : undefined;
      if (!event) return undefined;
      const hint = hintOf(event);
      const look = async () => {
        if (hint) await listener.look(hint);
        metrics.heard(event.created);
      };
      return { eventId: event.id, look };
    },
    answered: (status) => metrics.answered(status),
    log,
  });
}
