import { randomUUID } from "node:crypto";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { loadConfig } from "#platform/config.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { quietLogger } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { stripeConfig } from "../../src/stripe/config.ts";
import { StripeMetrics } from "../../src/stripe/metrics.ts";
import { migrations } from "../../src/stripe/migrations/list.ts";
import type { Asked, Outcome } from "../../src/stripe/operation.ts";
import { type ComposedStripe, composeStripe, type StripeConfig } from "../../src/stripe/stripe.ts";
import { FakeStripe } from "./fake-stripe.ts";

/** A fake of Stripe, and processes of the connector before it. */
export interface World extends AsyncDisposable {
  readonly fake: FakeStripe;
  readonly test: TestDatabase;
  process(settings?: Readonly<Record<string, string>>, registry?: Registry): ComposedStripe;
}

/** Settings of the connector for tests: what waits in the world, hardly waits here. */
export function settingsOf(url: string, stripeUrl: string, given: Readonly<Record<string, string>> = {}): StripeConfig {
  return loadConfig(stripeConfig, {
    DATABASE_URL: url,
    STRIPE_SECRET_KEY: "sk_test_of_a_fake",
    STRIPE_API_URL: stripeUrl,
    STRIPE_MULTICAPTURE: "true",
    STRIPE_TIMEOUT_MS: "200",
    STRIPE_SETTLE_MS: "0",
    STRIPE_REQUESTS_PER_SECOND: "100000",
    STRIPE_ENDPOINT_REQUESTS_PER_SECOND: "100000",
    ...given,
  });
}

/** Opens a fresh one. */
export async function openWorld(): Promise<World> {
  const test = await testDatabase("stripe", { entities: [], migrations });
  const fake = await FakeStripe.start();
  const made: ComposedStripe[] = [];
  return {
    fake,
    test,
    process(settings, registry = new Registry()) {
      const context = { log: quietLogger(), metrics: new StripeMetrics(registry) };
      const process = composeStripe(settingsOf(test.url, fake.url, settings), test.database, context);
      made.push(process);
      return process;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(made.map(({ gateway }) => gateway.drain()));
      await fake[Symbol.asyncDispose]();
      await test[Symbol.asyncDispose]();
    },
  };
}

/** The connector as payments sees it, without a process between. */
export function clientOf({ api }: ComposedStripe) {
  const interceptors = [errorInterceptor(), validationInterceptor([GatewayConnectorService])];
  const transport = createRouterTransport((router) => router.service(GatewayConnectorService, api), {
    router: { interceptors },
  });
  return createClient(GatewayConnectorService, transport);
}

/** An authorization of 10 EUR, if nothing else is said. */
export function authorization(given: Partial<Asked> = {}): Asked {
  const asked = { cardToken: "pm_card_visa", reference: "", currency: "EUR", amount: 1_000n, final: false };
  return { key: randomUUID(), kind: "authorize", orderId: "", ...asked, ...given };
}

/** A payment method that nobody has used, which behaves as a test card of Stripe's. */
export function aCard(card = "visa"): string {
  return `pm_${randomUUID().replaceAll("-", "")}_card_${card}`;
}

/** The customers that were made for a payment method, by Stripe's ids. */
export function customersOf({ cards }: FakeStripe, cardToken: string): string[] {
  const all = [...cards.customers.values()].filter(({ metadata }) => metadata.payment_method === cardToken);
  return all.map(({ id }) => id);
}

/** A capture, void or refund. */
export function change(
  kind: "capture" | "void" | "refund",
  reference: string,
  amount: bigint,
  given: Partial<Asked> = {},
): Asked {
  return { ...authorization(), kind, cardToken: "", reference, amount, ...given };
}

/** One outcome in a word: the code of a refusal, else its state. */
export function said(outcome: Outcome): string {
  return outcome.state === "declined" ? outcome.code : outcome.state;
}

/** What payments does until an operation is decided: after the first time it asks before it sends. */
export async function settle(
  { gateway }: Pick<ComposedStripe, "gateway">,
  asked: Asked,
  sent = false,
): Promise<Outcome> {
  const until = performance.now() + 20_000;
  for (let ask = sent; performance.now() < until; ask = true) {
    const found = ask ? await gateway.find(asked) : undefined;
    if (found && !open.has(found.state)) return found;
    if (!found || found.state === "not_executed") {
      const outcome = await gateway.execute(asked);
      if (!open.has(outcome.state)) return outcome;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${asked.kind} ${asked.key} is not decided`);
}

const open: ReadonlySet<string> = new Set(["processing", "undetermined", "not_executed"]);
