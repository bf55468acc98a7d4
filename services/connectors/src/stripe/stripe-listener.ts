import { setTimeout as delay } from "node:timers/promises";
import type Stripe from "stripe";
import type { Logger } from "#platform/log/logger.ts";
import { NotNow } from "../webhook.ts";
import type { HappeningRepository } from "./happening.repository.ts";
import { disputed, type Hint, hintOf, holdEnded, refundFailed } from "./happening.ts";
import type { StripeMetrics } from "./metrics.ts";
import { type Lease, LeaseLost, type OperationRepository } from "./operation.repository.ts";
import { type Authorization, leftOf, type Operation } from "./operation.ts";
import { outsideCapture, outsideRefund } from "./outside.ts";
import type { Answer } from "./stripe-answer.ts";
import type { StripeRequests } from "./stripe-requests.ts";

/** What a listener works with. */
export interface StripeListenerOptions {
  readonly operations: OperationRepository;
  readonly happenings: HappeningRepository;
  readonly requests: StripeRequests;
  /** How long it waits for operations of the same authorization, in milliseconds. */
  readonly patienceMs: number;
  readonly metrics: Pick<StripeMetrics, "seen">;
  readonly log: Pick<Logger, "error">;
}

const pauseMs = 50;
/** So much of what was asked for before is asked for again: events are listed a little late. */
const overlapMs = 600_000;
/** So much is looked at before it is remembered that it was. */
const windowMs = 3_600_000;
/** So long Stripe lists an event. Source: its reference of events, 2026-11. */
const listedMs = 30 * 24 * 3_600_000;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Finds out what happened at Stripe by itself. What Stripe tells is taken as a hint: the thing itself says how it stands, whatever was told late, twice or in another order. */
export class StripeListener {
  readonly #options: StripeListenerOptions;

  constructor(options: StripeListenerOptions) {
    this.#options = options;
  }

  /** Looks at what a hint is about. @throws NotNow */
  async look(hint: Hint): Promise<void> {
    switch (hint.of) {
      case "refund":
        return await this.#lookAtRefund(hint.id);
      case "intent":
        return await this.#lookAtIntent(hint.id);
      case "capture":
        return await this.#lookAtCapture(hint);
      case "dispute":
        return await this.#lookAtDispute(hint.id);
    }
  }

  /**
   * Looks at all that Stripe has told since it was last asked, an hour of it at a time, and remembers up to where nothing was left. What cannot be seen
   * now keeps nothing behind it from being looked at, and is looked at again the next time. For a `Relay`.
   *
   * @throws NotNow when something could not be seen
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { happenings, metrics } = this.#options;
    const { lookTime, now } = await happenings.lookTime();
    const begun = now.getTime();
    metrics.seen(lookTime);
    let from = Math.max(lookTime.getTime(), begun - listedMs);
    let late: NotNow | undefined;
    while (from < begun) {
      const to = Math.min(from + windowMs, begun);
      for (const hint of await this.#hintsOf(new Date(from - overlapMs), new Date(to))) {
        signal.throwIfAborted();
        late = (await this.#lookLater(hint)) ?? late;
      }
      if (!late) {
        await happenings.setLookTime(new Date(to));
        metrics.seen(new Date(to));
      }
      from = to;
    }
    if (late) throw late;
    return 0;
  }

  /** Looks at what a hint is about; returns why that cannot be seen now. */
  async #lookLater(hint: Hint): Promise<NotNow | undefined> {
    try {
      await this.look(hint);
      return undefined;
    } catch (error) {
      if (error instanceof NotNow) return error;
      throw error;
    }
  }

  async #hintsOf(since: Date, until: Date): Promise<readonly Hint[]> {
    const hints = new Map<string, Hint>();
    for (let after: string | undefined, more = true; more; ) {
      const page = seen(await this.#options.requests.events({ since, until, after }));
      if (!page) throw new NotNow("Stripe does not list what happened");
      for (const event of page.data) {
        const hint = hintOf(event);
        if (hint) hints.set(nameOf(hint), hint);
      }
      after = page.data.at(-1)?.id;
      more = page.has_more && after !== undefined;
    }
    return [...hints.values()];
  }

  async #lookAtRefund(id: string): Promise<void> {
    const { requests, operations, happenings } = this.#options;
    const refund = seen(await requests.retrieveRefund(id));
    if (!refund) return;
    const operation = await this.#askedFor(refund);
    if (!operation) return await this.#keepRefund(refund);
    const { key } = operation;
    const hasFailed = refund.status === "failed" || refund.status === "canceled";
    if (!hasFailed) return;
    const code = refund.failure_reason ?? `refund_${refund.status}`;
    const happening = refundFailed(id, operation.authorizationKey, { key, code });
    await this.#alone(operation.authorizationKey, async (lease) => {
      // Of one that is not decided payments asks, and whoever looks then sees that it has failed.
      const now = await operations.find(key);
      if (now?.state === "approved") await happenings.revoke(lease, now, happening);
    });
  }

  /** What a refund came of; undefined where nobody asked for it. */
  async #askedFor({ id, metadata }: Stripe.Refund): Promise<Operation | undefined> {
    const key = metadata?.key ?? "";
    const asked = uuid.test(key) ? await this.#options.operations.find(key) : undefined;
    return asked?.kind === "refund" && (asked.stripeId === "" || asked.stripeId === id) ? asked : undefined;
  }

  /** Somebody has made it at Stripe. While it is not decided, Stripe will tell of it again. */
  async #keepRefund({ id, payment_intent: intent }: Stripe.Refund): Promise<void> {
    const { requests, operations } = this.#options;
    const known = await operations.findByIntent(idOf(intent));
    if (!known) return;
    // Who saw it earlier has written it down before it is seen again.
    await this.#alone(known.key, async (lease) => {
      const refund = seen(await requests.retrieveRefund(id));
      const done = refund && outsideRefund(refund, known);
      if (done) await operations.keepOutside(lease, done);
    });
  }

  /** What was captured beyond what was asked for, somebody has captured at Stripe. What an open capture of ours has to do with it, whoever asks for that finds out. */
  async #lookAtCapture({ id, received }: Hint & { readonly of: "capture" }): Promise<void> {
    const { requests, operations } = this.#options;
    const known = await operations.findByIntent(id);
    if (!known || received <= known.received) return;
    await this.#alone(known.key, async (lease, authorization) => {
      if (received <= authorization.received) return;
      if (await operations.hasOpenCapture(known.key)) return;
      const intent = seen(await requests.retrieve(id));
      const done = intent && outsideCapture(intent, authorization);
      if (done) await operations.keepOutside(lease, done);
    });
  }

  /** A hold that ends with its last operation, or with one that is under way, has not ended by itself. */
  async #lookAtIntent(id: string): Promise<void> {
    const { requests, operations, happenings } = this.#options;
    const known = await operations.findByIntent(id);
    // Of most there is nothing left that could end, since it was captured or given free for us.
    if (!known || leftOf(known) === 0n) return;
    await this.#alone(known.key, async (_, authorization) => {
      const authorized = await operations.find(known.key);
      if (authorized?.state !== "approved" || leftOf(authorization) === 0n) return;
      const status = seen(await requests.retrieve(id))?.status;
      if (status !== "canceled" && status !== "succeeded") return;
      const open = await operations.others({ authorizationKey: known.key, key: known.key });
      if (open.length > 0) throw new NotNow("an operation of the authorization is under way");
      await happenings.add(holdEnded(id, known.key));
    });
  }

  async #lookAtDispute(id: string): Promise<void> {
    const { requests, operations, happenings } = this.#options;
    const intent = seen(await requests.retrieveDispute(id))?.payment_intent;
    const known = await operations.findByIntent(idOf(intent));
    if (!known) return;
    // Who saw it earlier has written it down before it is seen again, so that what was told last is how it stands.
    await this.#alone(known.key, async (lease) => {
      const dispute = seen(await requests.retrieveDispute(id));
      if (dispute) await happenings.tellDispute(lease, disputed(dispute, known.key));
    });
  }

  /** @throws NotNow while somebody else is at it */
  async #alone(key: string, work: (lease: Lease, authorization: Authorization) => Promise<void>): Promise<void> {
    const { operations, patienceMs, log } = this.#options;
    const until = performance.now() + patienceMs;
    for (;;) {
      const taken = await operations.take(key);
      if (taken) {
        try {
          return await work(taken.lease, taken.authorization);
        } catch (error) {
          throw error instanceof LeaseLost ? new NotNow(error.message) : error;
        } finally {
          await operations
            .release(taken.lease)
            .catch((err: unknown) => log.error("an authorization stays taken for a while", { err }));
        }
      }
      if (performance.now() >= until) throw new NotNow("somebody works at the authorization");
      await delay(pauseMs);
    }
  }
}

/** What Stripe shows; undefined where it has no such thing, which is another account's. @throws NotNow for what it does not say */
function seen<T>(answer: Answer<T>): T | undefined {
  if (answer.said === "done") return answer.value;
  if (answer.said === "refused" && answer.code === "resource_missing") return undefined;
  throw new NotNow(`Stripe does not say it (${answer.said})`);
}

/** What a thing of Stripe's names, which is shown or not; empty where it names none. */
function idOf(named: string | { readonly id: string } | null | undefined): string {
  return (typeof named === "string" ? named : named?.id) ?? "";
}

/** What is looked at once, however often Stripe told of it. */
function nameOf(hint: Hint): string {
  return hint.of === "capture" ? `${hint.id} ${hint.received}` : hint.id;
}
