// The connector keeps every promise of the contract, before the fake and, where a key of a sandbox is given, before Stripe itself.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { launch } from "#platform/process/runtime.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { runConformance } from "../../../../dev/connectors/conformance.ts";
import { stripe } from "../../src/stripe/stripe.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world?.[Symbol.asyncDispose]());

/** What is broken, and what was not tried, of a whole process on a port. */
async function tried(settings: Readonly<Record<string, string>>) {
  const env = {
    DATABASE_URL: world.test.url,
    PAGE_TOKEN_SECRET: pageTokenSecret.text,
    TOKEN_ISSUERS: "none",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    ...settings,
  };
  const service = await launch(stripe, env, new PassThrough().resume());
  const clients = new Clients({ defaultTimeoutMs: 30_000, maxMessageBytes: 4_000_000 });
  try {
    const results = await runConformance({
      connector: clients.client(GatewayConnectorService, `127.0.0.1:${service.grpcPort}`),
      cards: { approved: "pm_card_visa", declined: "pm_card_chargeDeclined" },
      currency: "EUR",
      amount: 1_000n,
      patienceMs: 60_000,
    });
    return results.flatMap(({ promise, broken, without }) =>
      (broken ?? without) ? [`${promise}: ${broken ?? without}`] : [],
    );
  } finally {
    clients.close();
    await service.drain();
  }
}

const fake = () => ({
  STRIPE_SECRET_KEY: "sk_test_of_a_fake",
  STRIPE_API_URL: world.fake.url,
  STRIPE_TIMEOUT_MS: "1000",
  STRIPE_SETTLE_MS: "1001",
  STRIPE_REQUESTS_PER_SECOND: "10000",
  STRIPE_ENDPOINT_REQUESTS_PER_SECOND: "10000",
});

test("every promise is kept", async () => {
  assert.deepEqual(await tried({ ...fake(), STRIPE_MULTICAPTURE: "true" }), []);
});

test("every promise is kept that an account makes which captures once", async () => {
  const open = await tried(fake());
  assert.equal(open.length, 6);
  for (const line of open) assert.match(line, /does not capture in parts$/);
});

const { STRIPE_SECRET_KEY: key = "", STRIPE_MULTICAPTURE: parts = "false" } = process.env;
const skip = /^[sr]k_test_/.test(key) ? false : "STRIPE_SECRET_KEY is no key of a sandbox: Stripe itself is not asked";

test("every promise is kept before Stripe itself", { skip }, async () => {
  const settings = { STRIPE_REQUESTS_PER_SECOND: "20", STRIPE_ENDPOINT_REQUESTS_PER_SECOND: "10" };
  const open = await tried({ STRIPE_SECRET_KEY: key, STRIPE_MULTICAPTURE: parts, ...settings });
  assert.deepEqual(
    open.filter((line) => !line.endsWith("does not capture in parts")),
    [],
  );
});
