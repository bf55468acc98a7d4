import Stripe from "stripe";
import type { Secret } from "#platform/secret.ts";
import { inTurn, type PaceLimits, RequestPace } from "../request-pace.ts";
import { listenedTypes } from "./happening.ts";
import type { StripeMetrics } from "./metrics.ts";
import { type Answer, failureOf } from "./stripe-answer.ts";

/** How Stripe is reached. */
export interface StripeRequestsOptions {
  /** May become another one while the process runs. */
  readonly secretKey: Pick<Secret, "text">;
  /** `https://api.stripe.com`. */
  readonly url: string;
  /** For one request, in milliseconds. One that has waited for half of it is not sent. */
  readonly timeoutMs: number;
  readonly pace: PaceLimits;
  readonly metrics: Pick<StripeMetrics, "asked" | "waited" | "held">;
}

/** A piece of what happened. */
export interface EventPage {
  readonly since: Date;
  readonly until: Date;
  /** The last event before it; undefined: from the latest one on. */
  readonly after: string | undefined;
}

/** How old a webhook may be, and how far its clock may be ahead. Source: what Stripe's client takes by default. */
const toleranceSeconds = 300;
/** Events of a page. */
const eventsListed = 100;
/** Refunds of a page. */
const refundsListed = 100;

/** The requests that the connector makes, each with an answer of one of a few kinds. Amounts are as Stripe counts them. */
export class StripeRequests {
  readonly #options: StripeRequestsOptions;
  readonly #stripe: Stripe;
  readonly #pace: RequestPace;

  constructor(options: StripeRequestsOptions) {
    const { hostname: host, port, protocol } = new URL(options.url);
    this.#options = options;
    this.#pace = new RequestPace(options.pace);
    this.#stripe = new Stripe(options.secretKey.text, {
      host,
      port: port || (protocol === "https:" ? 443 : 80),
      protocol: protocol === "https:" ? "https" : "http",
      timeout: options.timeoutMs,
      // What is sent again, and when, is for us to say.
      maxNetworkRetries: 0,
      telemetry: false,
    });
  }

  /** Makes a customer with a payment method attached: both or neither. It bears the payment method's id, and nothing else. */
  createCustomer(cardToken: string, key: string): Promise<Answer<Stripe.Customer>> {
    const params = { payment_method: cardToken, metadata: { payment_method: cardToken } };
    return this.#ask("customer", (options) => this.#stripe.customers.create(params, options), key);
  }

  /** A payment method, with the customer that it is attached to. */
  retrieveCard(cardToken: string): Promise<Answer<Stripe.PaymentMethod>> {
    const params = { expand: ["customer"] };
    return this.#ask("retrieve card", (options) => this.#stripe.paymentMethods.retrieve(cardToken, params, options));
  }

  /** Makes a payment that is not confirmed: nothing is held. */
  create(params: Stripe.PaymentIntentCreateParams, key: string): Promise<Answer<Stripe.PaymentIntent>> {
    return this.#ask("create", (options) => this.#stripe.paymentIntents.create(params, options), key);
  }

  /** Has the amount held. */
  confirm(id: string, key: string): Promise<Answer<Stripe.PaymentIntent>> {
    const params = { expand: ["latest_charge"] };
    return this.#ask("confirm", (options) => this.#stripe.paymentIntents.confirm(id, params, options), key);
  }

  capture(id: string, params: Stripe.PaymentIntentCaptureParams, key: string): Promise<Answer<Stripe.PaymentIntent>> {
    return this.#ask("capture", (options) => this.#stripe.paymentIntents.capture(id, params, options), key);
  }

  /** Gives free all that is held. */
  cancel(id: string, params: Stripe.PaymentIntentCancelParams, key: string): Promise<Answer<Stripe.PaymentIntent>> {
    return this.#ask("cancel", (options) => this.#stripe.paymentIntents.cancel(id, params, options), key);
  }

  retrieve(id: string): Promise<Answer<Stripe.PaymentIntent>> {
    const params = { expand: ["latest_charge"] };
    return this.#ask("retrieve", (options) => this.#stripe.paymentIntents.retrieve(id, params, options));
  }

  refund(params: Stripe.RefundCreateParams, key: string): Promise<Answer<Stripe.Refund>> {
    return this.#ask("refund", (options) => this.#stripe.refunds.create(params, options), key);
  }

  retrieveRefund(id: string): Promise<Answer<Stripe.Refund>> {
    return this.#ask("retrieve refund", (options) => this.#stripe.refunds.retrieve(id, {}, options));
  }

  /** The refund of a payment that was made for a key, the value undefined when there is none among all of them. */
  async findRefund(intentId: string, key: string): Promise<Answer<Stripe.Refund | undefined>> {
    let after: string | undefined;
    for (;;) {
      const params = { payment_intent: intentId, limit: refundsListed, ...(after && { starting_after: after }) };
      const page = await this.#ask("list refunds", (options) => this.#stripe.refunds.list(params, options));
      if (page.said !== "done") return page;
      const { data, has_more: more } = page.value;
      const found = data.find(({ metadata }) => metadata?.key === key);
      after = data.at(-1)?.id;
      if (found || !more || !after) return { said: "done", value: found };
    }
  }

  retrieveDispute(id: string): Promise<Answer<Stripe.Dispute>> {
    return this.#ask("retrieve dispute", (options) => this.#stripe.disputes.retrieve(id, {}, options));
  }

  /** A page of what happened from one time to another, the latest first; behind an event, if one is named. */
  events({ since, until, after }: EventPage): Promise<Answer<Stripe.ApiList<Stripe.Event>>> {
    const created = { gte: Math.floor(since.getTime() / 1_000), lte: Math.ceil(until.getTime() / 1_000) };
    const params = { types: [...listenedTypes], created, limit: eventsListed, ...(after && { starting_after: after }) };
    return this.#ask("list events", (options) => this.#stripe.events.list(params, options));
  }

  /** What a webhook tells, signed with one of these secrets, and not long ago; undefined for another text. */
  verified(body: Buffer, signature: string, secrets: readonly string[]): Stripe.Event | undefined {
    // The client does not mind a time to come.
    const time = Number(/(?:^|,)t=(\d{1,12})(?:,|$)/.exec(signature)?.[1] ?? Number.NaN);
    if (!(time - Date.now() / 1_000 < toleranceSeconds)) return undefined;
    for (const secret of secrets) {
      try {
        return this.#stripe.webhooks.constructEvent(body, signature, secret, toleranceSeconds);
      } catch (error) {
        if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) throw error;
      }
    }
    return undefined;
  }

  #ask<T>(
    endpoint: string,
    request: (options: Stripe.RequestOptions) => Promise<T>,
    idempotencyKey?: string,
  ): Promise<Answer<T>> {
    const { metrics, timeoutMs } = this.#options;
    const turn = { pace: this.#pace, metrics, timeoutMs };
    return inTurn<Answer<T>>(endpoint, turn, () => this.#send(request, idempotencyKey));
  }

  async #send<T>(
    request: (options: Stripe.RequestOptions) => Promise<T>,
    idempotencyKey: string | undefined,
  ): Promise<Answer<T>> {
    try {
      const apiKey = this.#options.secretKey.text;
      return { said: "done", value: await request({ apiKey, ...(idempotencyKey && { idempotencyKey }) }) };
    } catch (error) {
      return failureOf(error);
    }
  }
}
