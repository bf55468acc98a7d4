import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import {
  LabelOutcomeSchema,
  type ParcelOutcome,
  ParcelOutcomeSchema,
  TurnBackOutcomeSchema,
} from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { newId } from "#platform/id.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { CarrierConnectorApi } from "../../../services/simulators/src/carrier/carrier-connector-api.ts";
import { CarrierSimulator } from "../../../services/simulators/src/carrier/carrier-simulator.ts";
import { migrations } from "../../../services/simulators/src/migrations/list.ts";
import { serveSimulators } from "../../../services/simulators/test/served-simulators.ts";
import type { CarrierTrialOptions } from "../carrier-trial.ts";
import { runCarrierConformance } from "../conformance.ts";

type Api = CarrierConnectorApi;
type Impl = ServiceImpl<typeof CarrierConnectorService>;

let outside: TestDatabase;
let simulator: CarrierSimulator;
before(async () => {
  outside = await testDatabase("simulators", { entities: [], migrations });
  simulator = new CarrierSimulator({ store: outside.database, transitMs: 60_000, slowMs: 50, refusedLocations: [] });
});
after(() => outside?.[Symbol.asyncDispose]());

const wishes: Omit<CarrierTrialOptions, "connector"> = {
  addresses: { taken: { country: "GB", postalCode: "SW1Y 4LB" }, refused: { country: "GB", postalCode: "SIM-REFUSE" } },
  locationId: "BER-1",
  serviceLevel: "standard",
  patienceMs: 1_000,
};

function connectorOf(implementation: Partial<Impl>): CarrierTrialOptions["connector"] {
  const transport = createRouterTransport((router) => router.service(CarrierConnectorService, implementation));
  return createClient(CarrierConnectorService, transport);
}

/** What a connector does by itself. */
function usual(api: Api): Impl {
  return {
    getCarrierCapabilities: () => api.getCarrierCapabilities(),
    bookParcels: (request, context) => api.bookParcels(request, context),
    findParcels: (request, context) => api.findParcels(request, context),
    cancelParcels: (request, context) => api.cancelParcels(request, context),
    turnBackParcels: (request, context) => api.turnBackParcels(request, context),
    makeLabels: (request, context) => api.makeLabels(request, context),
    findLabels: (request, context) => api.findLabels(request, context),
    trackParcels: (request, context) => api.trackParcels(request, context),
    listParcels: (request) => api.listParcels(request),
  };
}

/** The promises that a connector breaks, of which some calls are other ones. */
async function brokenOf(change: (api: Api) => Partial<Impl>, more: Partial<CarrierTrialOptions> = {}) {
  const api = new CarrierConnectorApi(simulator);
  const connector = connectorOf({ ...usual(api), ...change(api) });
  const results = await runCarrierConformance({ ...wishes, connector, ...more });
  return results.filter(({ broken }) => broken !== undefined).map(({ promise }) => promise);
}

type Booking = Parameters<Api["bookParcels"]>[0];

/** Books something else, or says something else of it. */
function booking(
  api: Api,
  given: (request: Booking) => Booking,
  answered: (outcomes: ParcelOutcome[]) => ParcelOutcome[] = (outcomes) => outcomes,
): Partial<Impl> {
  return {
    async bookParcels(request, context) {
      const { outcomes } = await api.bookParcels(given(request), context);
      return { outcomes: answered(outcomes) };
    },
  };
}

const parcelsOf = (request: Booking, change: (parcel: Booking["parcels"][number]) => object) =>
  ({ ...request, parcels: request.parcels.map((parcel) => ({ ...parcel, ...change(parcel) })) }) as Booking;
const later = timestampFromMs(4_000_000_000_000);
const bookedAs = (trackingNumber: string) =>
  create(ParcelOutcomeSchema, { result: { case: "booked", value: { trackingNumber, carrier: "x" } } });
let count = 0;
function another(what: string): string {
  count += 1;
  return `${what} ${count}`;
}

/** Each breaks a promise, besides others perhaps. */
const broken: readonly [promise: string, change: Parameters<typeof brokenOf>[0]][] = [
  [
    "it says what it can",
    (api) => ({ getCarrierCapabilities: () => ({ ...api.getCarrierCapabilities(), maxEntries: 0 }) }),
  ],
  [
    "a key is one parcel, with the same number each time",
    (api) =>
      booking(
        api,
        (request) => request,
        (outcomes) => outcomes.map(() => bookedAs("always the same")),
      ),
  ],
  [
    "what was never sent is unknown, also when it is called off, and can be sent afterwards",
    (api) => ({
      async cancelParcels({ keys }, context) {
        const parcels = keys.map(parcelFor);
        const $typeName = "ordermesh.connectors.v1.BookParcelsRequest";
        return { outcomes: (await api.bookParcels({ $typeName, traceparents: [], parcels }, context)).outcomes };
      },
    }),
  ],
  [
    "what is sent several times at once is one parcel",
    (api) =>
      booking(
        api,
        (request) => request,
        (outcomes) =>
          outcomes.map((outcome) => (outcome.result.case === "booked" ? bookedAs(another("number")) : outcome)),
      ),
  ],
  [
    "an answer that is lost can be asked for, and what is sent again is no second parcel",
    (api) => booking(api, (request) => parcelsOf(request, () => ({ key: newId() }))),
  ],
  [
    "a refusal has a code, and stays one",
    (api) =>
      booking(api, (request) =>
        parcelsOf(request, ({ recipient }) => ({ recipient: { ...recipient, postalCode: "T1" } })),
      ),
  ],
  [
    "parcels of one call have their own outcomes, in their order",
    (api) =>
      booking(api, (request) =>
        parcelsOf(request, () => ({ recipient: request.parcels[request.parcels.length > 1 ? 1 : 0]?.recipient })),
      ),
  ],
  [
    "what comes too late is not booked",
    (api) => booking(api, (request) => parcelsOf(request, () => ({ expireTime: later }))),
  ],
  [
    "what is called off stays so",
    (api) => ({
      cancelParcels: ({ keys }) => ({
        outcomes: keys.map(() => create(ParcelOutcomeSchema, { result: { case: "cancelled", value: {} } })),
      }),
      findParcels: (request, context) => api.findParcels(request, context),
    }),
  ],
  [
    "what is said of turning a parcel back stays so",
    () => ({
      turnBackParcels: ({ keys }) => ({
        outcomes: keys.map(() => {
          const value = { code: another("NO"), message: "" };
          return create(TurnBackOutcomeSchema, { result: { case: "refused", value } });
        }),
      }),
    }),
  ],
  [
    "a key is one label, with the same number each time",
    () => ({
      makeLabels: ({ labels }) => ({
        outcomes: labels.map(() => {
          const value = { trackingNumber: another("R"), label: "x" };
          return create(LabelOutcomeSchema, { result: { case: "made", value } });
        }),
      }),
    }),
  ],
  [
    "it says what has happened to parcels, and which it does not have",
    () => ({ trackParcels: ({ keys }) => ({ ways: keys.map(() => ({ result: { case: "known", value: {} } })) }) }),
  ],
  [
    "all that was booked is listed, in the order of keys",
    (api) => ({
      async listParcels(request) {
        const { parcels, more } = await api.listParcels(request);
        return { parcels: parcels.toReversed(), more };
      },
    }),
  ],
];

function parcelFor(key: string): Booking["parcels"][number] {
  const address = { recipient: "Ada", lines: ["1"], city: "London", postalCode: "T1", country: "GB" };
  return { key, locationId: "BER-1", recipient: address, expireTime: later } as unknown as Booking["parcels"][number];
}

describe("the conformance of a carrier's connector", () => {
  it("is that of the simulated carrier, over the wire", async () => {
    await using served = await serveSimulators(outside.url);
    const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 4_000_000 });
    const connector = clients.client(CarrierConnectorService, served.address);
    const results = await runCarrierConformance({ ...wishes, connector, patienceMs: 20_000 });
    clients.close();
    assert.deepEqual(
      results.filter(({ broken, without }) => broken ?? without),
      [],
    );
    assert.deepEqual(
      results.map(({ promise }) => promise),
      broken.map(([promise]) => promise),
    );
  });

  it("is that of a carrier that is slow, or loses answers by itself", async () => {
    for (const postalCode of [
      "SIM-SLOW",
      "SIM-TIMEOUT",
      "SIM-ERROR",
      "SIM-BACK-SLOW",
      "SIM-BACK-TIMEOUT",
      "SIM-LABEL-SLOW",
      "SIM-LABEL-TIMEOUT",
    ]) {
      const addresses = { ...wishes.addresses, taken: { country: "GB", postalCode } };
      assert.deepEqual(await brokenOf(() => ({}), { addresses, patienceMs: 20_000 }), [], postalCode);
    }
  });

  for (const [promise, change] of broken) {
    it(`misses when it is not so that ${promise}`, async () => {
      const found = await brokenOf(change);
      assert.ok(found.includes(promise), `found: ${found.join("; ")}`);
    });
  }

  it("tries nothing of a carrier that cannot do it, and says why", async () => {
    const api = new CarrierConnectorApi(simulator);
    const poor = { turnsBack: false, makesLabels: false, maxEntries: 1 };
    const connector = connectorOf({ ...usual(api), getCarrierCapabilities: () => poor });
    const results = await runCarrierConformance({ ...wishes, connector });
    assert.deepEqual(
      results.filter(({ broken: why }) => why !== undefined),
      [],
    );
    assert.equal(results.filter(({ without }) => without !== undefined).length, 4);
  });
});
