// The connector keeps every promise of the contract, before the fake and, where a key of its test mode is given, before EasyPost itself.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { launch } from "#platform/process/runtime.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { runCarrierConformance } from "../../../../dev/connectors/conformance.ts";
import { easypost } from "../../src/easypost/easypost.ts";
import { openWorld, sender, settingsFor, type World } from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world?.[Symbol.asyncDispose]());

/** What is broken, and what was not tried, of a whole process on a port. */
async function tried(settings: Readonly<Record<string, string>>, taken = "90277", refused = "00000") {
  const env = {
    DATABASE_URL: world.test.url,
    PAGE_TOKEN_SECRET: pageTokenSecret.text,
    TOKEN_ISSUERS: "none",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    ...settings,
  };
  const service = await launch(easypost, env, new PassThrough().resume());
  const clients = new Clients({ defaultTimeoutMs: 30_000, maxMessageBytes: 4_000_000 });
  try {
    const results = await runCarrierConformance({
      connector: clients.client(CarrierConnectorService, `127.0.0.1:${service.grpcPort}`),
      addresses: { taken: { country: "US", postalCode: taken }, refused: { country: "US", postalCode: refused } },
      locationId: "SFO-1",
      serviceLevel: "standard",
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

const noWayBack = "what is said of turning a parcel back stays so: it does not turn parcels back";

test("every promise is kept", async () => {
  world.fake.refundStatus = "refunded";
  const settings = { ...settingsFor(world.fake.url), EASYPOST_TIMEOUT_MS: "1000", EASYPOST_SETTLE_MS: "1001" };
  assert.deepEqual(await tried(settings), [noWayBack]);
});

const { EASYPOST_API_KEY: key = "" } = process.env;
const skip = /^EZTK/.test(key) ? false : "EASYPOST_API_KEY is no key of a test mode: EasyPost itself is not asked";

test("every promise is kept before EasyPost itself", { skip }, async () => {
  const settings = { EASYPOST_API_KEY: key, EASYPOST_SENDERS: JSON.stringify({ "*": sender }) };
  const open = await tried({ ...settings, EASYPOST_REQUESTS_PER_SECOND: "5" });
  // Its test mode takes days to take a label back.
  const mayBe = new Set(["what is called off stays so", noWayBack.split(":")[0]]);
  assert.deepEqual(
    open.filter((line) => !mayBe.has(line.split(":")[0])),
    [],
  );
});
