import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  CallOffOutcomeSchema,
  type CancelShipmentsRequest,
  CancelShipmentsResponseSchema,
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

type Change = (outcomes: PackingOutcome[], call: number) => PackingOutcome[];
type CallOff = (request: CancelShipmentsRequest, asked: ReadonlySet<string>) => ReturnType<typeof api.cancelShipments>;

const asItIs: Change = (outcomes) => outcomes;

/** What comes of trying a warehouse that says something else, or does something else with what is called off. */
async function resultsOf(change: Change, callOff: CallOff = (request) => api.cancelShipments(request)) {
  let calls = 0;
  const asked = new Set<string>();
  const transport = createRouterTransport(({ service }) =>
    service(WarehouseConnectorService, {
      async packShipments(request) {
        calls += 1;
        for (const { key } of request.shipments) asked.add(key);
        return { outcomes: change((await api.packShipments(request)).outcomes, calls) };
      },
      cancelShipments: (request) => callOff(request, asked),
    }),
  );
  return await runWarehouseConformance({ ...wishes, connector: createClient(WarehouseConnectorService, transport) });
}

/** The promises that it breaks. */
async function brokenOf(...given: Parameters<typeof resultsOf>): Promise<string[]> {
  const results = await resultsOf(...given);
  return results.flatMap(({ promise, broken }) => (broken === undefined ? [] : [promise]));
}

const failed = (code: string) =>
  create(PackingOutcomeSchema, { result: { case: "failed", value: { code, message: "" } } });
const late = create(PackingOutcomeSchema, {
  result: { case: "packing", value: { askAfter: { seconds: 1_000_000n } } },
});

const calledOff = (keys: readonly string[]) =>
  create(CancelShipmentsResponseSchema, {
    outcomes: keys.map(() => create(CallOffOutcomeSchema, { result: { case: "calledOff", value: {} } })),
  });

/** Each breaks a promise, besides others perhaps. */
const broken: readonly [promise: string, change: Change, callOff?: CallOff][] = [
  ["what is sent several times at once is packed, and stays so", (outcomes) => outcomes.map(() => failed("NO"))],
  [
    "what cannot be packed says why, and stays so",
    (outcomes, call) => outcomes.map((outcome) => (outcome.result.case === "failed" ? failed(`NO-${call}`) : outcome)),
  ],
  ["shipments of one call have their own outcomes, in their order", (outcomes) => outcomes.slice(0, 1)],
  [
    "what is called off is not packed on, and stays called off",
    asItIs,
    async ({ keys, ...request }, asked) => {
      await api.cancelShipments({ ...request, keys: keys.filter((key) => !asked.has(key)) });
      return calledOff(keys);
    },
  ],
  [
    "what is called off before it is asked for is not begun",
    asItIs,
    async ({ keys, ...request }, asked) => {
      await api.cancelShipments({ ...request, keys: keys.filter((key) => asked.has(key)) });
      return calledOff(keys);
    },
  ],
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

  for (const [promise, change, callOff] of broken) {
    it(`misses when it is not so that ${promise}`, async () => {
      const found = await brokenOf(change, callOff);
      assert.ok(found.includes(promise), `found: ${found.join("; ")}`);
    });
  }

  it("tries nothing that is called off of a warehouse that cannot be told", async () => {
    const results = await resultsOf(asItIs, () => Promise.reject(new ConnectError("no such call", Code.Unimplemented)));
    assert.deepEqual(
      results.filter(({ broken, without }) => broken ?? without).map(({ without }) => without),
      Array(2).fill("it cannot be told of what is called off"),
    );
  });

  it("misses one that never says whether it has called off", async () => {
    const undecided: CallOff = async ({ keys }) =>
      create(CancelShipmentsResponseSchema, { outcomes: keys.map(() => create(CallOffOutcomeSchema, {})) });
    const found = await brokenOf(asItIs, undecided);
    assert.equal(found.length, 2, found.join("; "));
  });
});
