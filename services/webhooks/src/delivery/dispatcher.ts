import type { Logger } from "#platform/log/logger.ts";
import type { EndpointRepository } from "../endpoint/endpoint.repository.ts";
import { signedHeaders } from "../endpoint/webhook-secret.ts";
import type { WebhookSecrets } from "../endpoint/webhook-secrets.ts";
import type { AttemptOutcome, WebhookMetrics } from "../proof/metrics.ts";
import type { Courier, Reply } from "../wall/courier.ts";
import type { DeliveryRepository } from "./delivery.repository.ts";
import type { Claimed, Settled } from "./delivery.ts";
import { pauseAfter, retryAfterMs } from "./schedule.ts";
import { bodyOf } from "./webhook-body.ts";

/** What a dispatcher works with. */
export interface DispatcherOptions {
  readonly deliveries: Pick<DeliveryRepository, "claim" | "settle" | "release">;
  readonly endpoints: Pick<EndpointRepository, "disable" | "succeeded" | "pause">;
  readonly secrets: Pick<WebhookSecrets, "open">;
  readonly courier: Pick<Courier, "send">;
  readonly metrics: Pick<WebhookMetrics, "attempted" | "ended" | "disabled">;
  readonly log: Pick<Logger, "warn" | "error">;
  /** Requests to one endpoint at the same time. */
  readonly lanes: number;
  readonly timeoutMs: number;
  /** The pauses between attempts, in milliseconds. */
  readonly pauses: readonly number[];
  /** Told when there is place for more. */
  readonly onFree: () => void;
}

/** Beyond the time that a request may take, so that nobody else sends it meanwhile, in milliseconds. */
const leaseMarginMs = 30_000;
/** How long requests may take to end by themselves when the process does, in milliseconds. */
const drainMs = 3_000;

/**
 * Sends what is due. Each endpoint has places of its own, so that one that is slow holds up none but itself. A delivery is taken before it is sent and
 * settled after: who dies in between has it sent again, under the same id. That an endpoint took it, and nobody knows, is how it comes twice.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #running = new Map<string, number>();
  readonly #attempts = new Set<Promise<void>>();
  readonly #ending = new AbortController();

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Begins to send what is due, as far as there are places; returns how much. For a `Relay`. */
  async sweep(): Promise<number> {
    if (this.#ending.signal.aborted) return 0;
    const { deliveries, lanes, timeoutMs } = this.#options;
    const busy = [...this.#running].map(([endpointId, places]) => ({ endpointId, places }));
    const claimed = await deliveries.claim(busy, { lanes, leaseMs: timeoutMs + leaseMarginMs });
    for (const each of claimed) this.#begin(each);
    return claimed.length;
  }

  /** Waits a moment for what is on its way; the rest is given back, to be sent again. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#ending.abort(), drainMs);
    await Promise.all(this.#attempts);
    clearTimeout(timer);
    this.#ending.abort();
  }

  #begin(claimed: Claimed): void {
    const { endpointId } = claimed;
    this.#running.set(endpointId, (this.#running.get(endpointId) ?? 0) + 1);
    const attempt = this.#attempt(claimed)
      .catch((error: unknown) => this.#failed(claimed, error))
      .finally(() => {
        this.#attempts.delete(attempt);
        const left = (this.#running.get(endpointId) ?? 1) - 1;
        if (left > 0) this.#running.set(endpointId, left);
        else this.#running.delete(endpointId);
        this.#options.onFree();
      });
    this.#attempts.add(attempt);
  }

  /** The database is away, for example: the lease ends, and it is sent again. */
  #failed({ deliveryId, endpointId }: Claimed, error: unknown): void {
    const fields = { err: error, "webhook.delivery": deliveryId, "webhook.endpoint": endpointId };
    this.#options.log.error("what came of a delivery could not be written down", fields);
  }

  async #attempt(claimed: Claimed): Promise<void> {
    const { secrets, courier, metrics } = this.#options;
    const { endpointId, eventId: id, url } = claimed;
    const body = bodyOf(claimed);
    const signed = { id, seconds: Math.floor(Date.now() / 1_000), body };
    const headers = signedHeaders(await secrets.open(endpointId, claimed.secrets), signed);
    const begun = performance.now();
    const reply = await courier.send({ url, headers, body }, this.#ending.signal);
    if ("failure" in reply && reply.failure === "aborted") return this.#options.deliveries.release(claimed);
    metrics.attempted(countedAs(reply), (performance.now() - begun) / 1_000);
    return this.#settle(claimed, reply);
  }

  async #settle(claimed: Claimed, reply: Reply): Promise<void> {
    const { deliveries, endpoints, metrics } = this.#options;
    const settled = this.#resultOf(claimed, reply);
    if (settled.status === "succeeded") await endpoints.succeeded(claimed.endpointId);
    else await this.#heed(claimed, reply);
    if (!(await deliveries.settle(claimed, settled)) || settled.status === "pending") return;
    metrics.ended(settled.status);
    if (settled.status === "failed") await this.#giveUp(claimed, "failing", claimed.beginTime);
  }

  #resultOf({ tried }: Claimed, reply: Reply): Settled {
    const outcome = outcomeOf(reply);
    if (isSuccess(reply)) return { status: "succeeded", outcome };
    const pauseMs = pauseAfter(this.#options.pauses, tried);
    if (pauseMs === undefined) return { status: "failed", outcome };
    const asked = "status" in reply ? retryAfterMs(reply.retryAfter) : 0;
    return { status: "pending", outcome, pauseMs: Math.max(pauseMs, asked) };
  }

  /** What an endpoint asks for: to be left alone for a while, or for good. */
  async #heed(claimed: Claimed, reply: Reply): Promise<void> {
    if (!("status" in reply)) return;
    if (reply.status === 410) await this.#giveUp(claimed, "gone");
    const asked = retryAfterMs(reply.retryAfter);
    if (asked > 0 && (reply.status === 429 || reply.status === 503)) {
      await this.#options.endpoints.pause(claimed.endpointId, asked);
    }
  }

  async #giveUp(claimed: Claimed, reason: "gone" | "failing", unlessSince?: Date): Promise<void> {
    const { endpoints, metrics, log } = this.#options;
    if (!(await endpoints.disable(claimed, reason, unlessSince))) return;
    metrics.disabled(reason);
    const fields = { "webhook.endpoint": claimed.endpointId, "webhook.reason": reason };
    log.warn("an endpoint is told no more until it is enabled again", fields);
  }
}

/** Only 2xx is. */
export function isSuccess(reply: Reply): boolean {
  return "status" in reply && reply.status >= 200 && reply.status < 300;
}

/** What is shown of a reply. */
export function outcomeOf(reply: Reply): string {
  return "status" in reply ? `status ${reply.status}` : reply.failure;
}

function countedAs(reply: Reply): AttemptOutcome {
  if ("status" in reply) return isSuccess(reply) ? "succeeded" : "refused";
  return reply.failure === "aborted" ? "connection" : reply.failure;
}
