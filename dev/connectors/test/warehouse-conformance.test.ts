import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import {
  type PackingOutcome,
  PackingOutcomeSchema,
  WarehouseConnectorService,
} from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { migrations } from "../../../services/simulators/src/migrations/list.ts";
import { WarehouseConnectorApi } from "../../../services/simulators/src/warehouse/warehouse-connector-api.ts";
import { WarehouseSimulator } from "../../../services/simulators/src/warehouse/warehouse-simulator.ts";
import { serveSimulators } from "../../../services/simulators/test/served-simulators.ts";
import { runWarehouseConformance } from "../conformance.ts";
import type { WarehouseTrialOptions } from "../warehouse-promises.ts";

let outside: TestDatabase;
let api: WarehouseConnectorApi;
before(async () => {
  outside = await testDatabase("simulators", { entities: [], migrations });
  api = new WarehouseConnectorApi(new WarehouseSimulator({ store: outside.database, packingMs: 50 }));
});
after(() => outside?.[Symbol.asyncDispose]());

const wishes: Omit<WarehouseTrialOptions, "connector"> = {
  addresses: { taken: { country: "GB", postalCode: "T1" }, refused: { country: "GB", postalCode: "SIM-UNPACKABLE" } },
  locationId: "BER-1",
  sku: "MUG",
  patienceMs: 1_000,
};

/** The promises that a warehouse breaks which says something else. */
async function brokenOf(change: (outcomes: PackingOutcome[], call: number) => PackingOutcome[]): Promise<string[]> {
  let calls = 0;
  const transport = createRouterTransport(({ service }) =>
    service(WarehouseConnectorService, {
      async packShipments(request) {
        calls += 1;
        return { outcomes: change((await api.packShipments(request)).outcomes, calls) };
      },
    }),
  );
  const connector = createClient(WarehouseConnectorService, transport);
  const results = await runWarehouseConformance({ ...wishes, connector });
  return results.flatMap(({ promise, broken }) => (broken === undefined ? [] : [promise]));
}

const failed = (code: string) =>
  create(PackingOutcomeSchema, { result: { case: "failed", value: { code, message: "" } } });
const late = create(PackingOutcomeSchema, {
  result: { case: "packing", value: { askAfter: { seconds: 1_000_000n } } },
});

/** Each breaks a promise, besides others perhaps. */
const broken: readonly [promise: string, change: Parameters<typeof brokenOf>[0]][] = [
  ["what is sent several times at once is packed, and stays so", (outcomes) => outcomes.map(() => failed("NO"))],
  [
    "what cannot be packed says why, and stays so",
    (outcomes, call) => outcomes.map((outcome) => (outcome.result.case === "failed" ? failed(`NO-${call}`) : outcome)),
  ],
  ["shipments of one call have their own outcomes, in their order", (outcomes) => outcomes.slice(0, 1)],
  [
    "it says when it wants to be asked again, within a day",
    (outcomes) => outcomes.map((outcome) => (outcome.result.case === "packing" ? late : outcome)),
  ],
];

describe("the conformance of a warehouse's connector", () => {
  it("is that of the simulated warehouse, over the wire", async () => {
    await using served = await serveSimulators(outside.url);
    const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 4_000_000 });
    const connector = clients.client(WarehouseConnectorService, served.address);
    const results = await runWarehouseConformance({ ...wishes, connector, patienceMs: 20_000 });
    clients.close();
    assert.deepEqual(
      [...results],
      broken.map(([promise]) => ({ promise })),
    );
  });

  for (const [promise, change] of broken) {
    it(`misses when it is not so that ${promise}`, async () => {
      const found = await brokenOf(change);
      assert.ok(found.includes(promise), `found: ${found.join("; ")}`);
    });
  }
});
