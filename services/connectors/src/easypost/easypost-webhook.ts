import { createHmac, timingSafeEqual } from "node:crypto";
import type { Handler } from "#platform/http/rpc.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { Secret } from "#platform/secret.ts";
import type { OutsideMetrics } from "../metrics.ts";
import { secretsOf, webhookHandler } from "../webhook.ts";
import type { EasypostListener } from "./easypost-listener.ts";
import { eventMessage } from "./easypost-messages.ts";

/** What a webhook is answered with. */
export interface EasypostWebhookOptions {
  readonly listener: Pick<EasypostListener, "look">;
  /** Secrets of webhooks, with spaces or commas between: two while one is changed. */
  readonly secrets: Pick<Secret, "text">;
  readonly metrics: Pick<OutsideMetrics, "answered">;
  readonly log: Pick<Logger, "warn" | "error">;
}

/** Takes EasyPost's webhooks. What they say is a hint: the shipment itself says how it stands, whatever was told late, twice or in another order. */
export function easypostWebhooks({ listener, secrets, metrics, log }: EasypostWebhookOptions): Handler {
  return webhookHandler({
    read(body, { "x-hmac-signature": signature }) {
      const isSigned =
        typeof signature === "string" && secretsOf(secrets).some((secret) => hasSigned(secret, body, signature));
      const event = isSigned ? eventMessage.safeParse(parsed(body)).data : undefined;
      if (!event) return undefined;
      const shipmentId = event.result?.shipment_id ?? "";
      return { eventId: event.id, look: async () => (shipmentId === "" ? undefined : listener.look(shipmentId)) };
    },
    answered: (status) => metrics.answered(status),
    log,
  });
}

/** Whether a secret was known to who sent these bytes. */
function hasSigned(secret: string, body: Buffer, given: string): boolean {
  const digest = createHmac("sha256", secret.normalize("NFKD")).update(body).digest("hex");
  const [wanted, shown] = [Buffer.from(`hmac-sha256-hex=${digest}`), Buffer.from(given)];
  return wanted.length === shown.length && timingSafeEqual(wanted, shown);
}

function parsed(body: Buffer): unknown {
  try {
    // biome-ignore lint/plugin/json: of EasyPost, who has signed it; how long it is, bounds the handler
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
