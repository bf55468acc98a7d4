import type { IncomingMessage, ServerResponse } from "node:http";
import type { Handler } from "#platform/http/rpc.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { Secret } from "#platform/secret.ts";
import { hintOf } from "./happening.ts";
import type { StripeMetrics } from "./metrics.ts";
import { NotNow, type StripeListener } from "./stripe-listener.ts";
import type { StripeRequests } from "./stripe-requests.ts";

/** What a webhook is answered with. */
export interface WebhookOptions {
  readonly requests: Pick<StripeRequests, "verified">;
  readonly listener: Pick<StripeListener, "look">;
  /** Secrets of endpoints, with spaces or commas between: two while they are rolled. */
  readonly secrets: Pick<Secret, "text">;
  readonly metrics: Pick<StripeMetrics, "answered" | "heard">;
  readonly log: Pick<Logger, "warn" | "error">;
}

/** Stripe's events have some kilobytes. */
const largestBody = 256 * 1024;

/** Takes Stripe's webhooks: they are answered once what they are about was looked at, so that Stripe tells again of what was not. */
export function webhookHandler(options: WebhookOptions): Handler {
  const answer = (response: ServerResponse, status: number) => {
    options.metrics.answered(status);
    send(response, status);
  };
  return (request, response) => {
    answerOf(request, options).then(
      (status) => answer(response, status),
      (err: unknown) => {
        options.log.error("a webhook could not be answered", { err });
        answer(response, 500);
      },
    );
  };
}

async function answerOf(
  request: IncomingMessage,
  { requests, listener, secrets, metrics, log }: WebhookOptions,
): Promise<number> {
  if (request.method !== "POST") return 405;
  const body = await read(request);
  if (!body) return 413;
  const signature = request.headers["stripe-signature"];
  const known = secrets.text.split(/[\s,]+/).filter((secret) => secret !== "");
  const event = typeof signature === "string" ? requests.verified(body, signature, known) : undefined;
  if (!event) return 400;
  const hint = hintOf(event);
  try {
    if (hint) await listener.look(hint);
    metrics.heard(event.created);
    return 200;
  } catch (error) {
    if (!(error instanceof NotNow)) throw error;
    log.warn("what a webhook tells of cannot be looked at now", {
      "event.id": event.id,
      "error.message": error.message,
    });
    return 503;
  }
}

/** The bytes as they came, which are what is signed; undefined for too many. */
async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > largestBody) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number): void {
  if (!response.headersSent) response.writeHead(status, { "cache-control": "no-store" }).end();
}
