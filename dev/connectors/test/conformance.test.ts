// The simulated gateway keeps every promise, and a connector that breaks one is found out: as many as there are.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import {
  DoneOutsideSchema,
  ExecuteOperationsRequestSchema,
  GatewayConnectorService,
  PartVoid,
} from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import {
  type GatewayOperation,
  GatewayOperationKind,
  type GatewayOutcome,
  GatewayOutcomeSchema,
} from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { GatewayConnectorApi } from "../../../services/simulators/src/gateway/gateway-connector-api.ts";
import { GatewaySimulator } from "../../../services/simulators/src/gateway/gateway-simulator.ts";
import { migrations } from "../../../services/simulators/src/migrations/list.ts";
import { serveSimulators } from "../../../services/simulators/test/served-simulators.ts";
import { runConformance } from "../conformance.ts";
import type { TrialOptions } from "../trial.ts";

type Api = GatewayConnectorApi;
type Context = Parameters<Api["executeOperations"]>[1];
type Executed = Parameters<Api["executeOperations"]>[0];

let outside: TestDatabase;
let simulator: GatewaySimulator;
before(async () => {
  outside = await testDatabase("simulators", { entities: [], migrations });
  simulator = new GatewaySimulator(outside.database, { slowMs: 50, latencyMs: 0, partVoid: "now" });
});
after(() => outside?.[Symbol.asyncDispose]());

const wishes: Omit<TrialOptions, "connector"> = {
  cards: { approved: "tok_approve", declined: "tok_decline" },
  currency: "EUR",
  amount: 1_000n,
  patienceMs: 2_000,
};

function connectorOf(implementation: ServiceImpl<typeof GatewayConnectorService>): TrialOptions["connector"] {
  return createClient(
    GatewayConnectorService,
    createRouterTransport((router) => router.service(GatewayConnectorService, implementation)),
  );
}

/** What a connector with some calls of its own says, promise by promise. */
async function brokenOf(change: (api: Api) => Partial<ServiceImpl<typeof GatewayConnectorService>>, more = {}) {
  const api = new GatewayConnectorApi(simulator);
  const whole = {
    getCapabilities: () => api.getCapabilities(),
    executeOperations: (request: Executed, context: Context) => api.executeOperations(request, context),
    findOperations: (request: Parameters<Api["findOperations"]>[0], context: Context) =>
      api.findOperations(request, context),
    listOperations: (request: Parameters<Api["listOperations"]>[0]) => api.listOperations(request),
    listEvents: () => api.listEvents(),
  };
  const results = await runConformance({ ...wishes, connector: connectorOf({ ...whole, ...change(api) }), ...more });
  return results.filter(({ broken }) => broken !== undefined).map(({ promise }) => promise);
}

const outcome = (result: Parameters<typeof create<typeof GatewayOutcomeSchema>>[1]) =>
  create(GatewayOutcomeSchema, result);
const otherKey = (operation: GatewayOperation) => ({ ...operation, key: randomUUID() });

/** Does something else with operations, or with outcomes. */
function executing(
  api: Api,
  given: (operations: GatewayOperation[]) => GatewayOperation[],
  answered: (outcomes: GatewayOutcome[], operations: GatewayOperation[]) => GatewayOutcome[] = (outcomes) => outcomes,
) {
  return {
    async executeOperations(request: Executed, context: Context) {
      const { outcomes } = await api.executeOperations({ ...request, operations: given(request.operations) }, context);
      return { outcomes: answered(outcomes, request.operations) };
    },
  };
}

const asSent = (operations: GatewayOperation[]) => operations;

/** Each breaks a promise, besides others perhaps. */
const broken: readonly [promise: string, change: Parameters<typeof brokenOf>[0], more?: object][] = [
  [
    "it says what it can",
    (api) => ({ getCapabilities: () => ({ ...api.getCapabilities(), partVoid: PartVoid.UNSPECIFIED }) }),
  ],
  [
    "a refusal has a code, and stays one",
    (api) => executing(api, (all) => all.map((each) => ({ ...each, cardToken: each.cardToken && "tok_approve" }))),
  ],
  [
    "a key has the same answer each time",
    (api) => executing(api, (all) => all.map((each) => (each.cardToken === "" ? each : otherKey(each)))),
  ],
  [
    "what was never sent is not executed, and can be sent afterwards",
    () => ({
      findOperations: ({ operations }) => ({
        outcomes: operations.map(() => outcome({ result: { case: "declined", value: { code: "unknown" } } })),
      }),
    }),
  ],
  [
    "asking has no effect",
    (api) => ({
      async findOperations({ operations }, context) {
        const { outcomes } = await api.executeOperations(
          create(ExecuteOperationsRequestSchema, { operations }),
          context,
        );
        return { outcomes };
      },
    }),
  ],
  [
    "what is sent several times at once has one effect",
    (api) =>
      executing(api, (all) => all.map((each) => (each.kind === GatewayOperationKind.CAPTURE ? otherKey(each) : each))),
  ],
  [
    "an answer that is lost can be asked for, and what is sent again has no second effect",
    (api) => {
      const seen = new Set<string>();
      const again = (operation: GatewayOperation) => {
        if (operation.kind !== GatewayOperationKind.CAPTURE) return operation;
        if (!seen.has(operation.key)) {
          seen.add(operation.key);
          return operation;
        }
        return otherKey(operation);
      };
      return executing(api, (all) => all.map(again));
    },
  ],
  [
    "a key that was used for something else is refused",
    (api) =>
      executing(api, asSent, (outcomes) =>
        outcomes.map((each) =>
          each.result.case === "keyReused"
            ? outcome({ result: { case: "approved", value: { reference: "x" } } })
            : each,
        ),
      ),
  ],
  [
    "operations of one call have their own outcomes, in their order",
    (api) => executing(api, asSent, (outcomes) => outcomes.toReversed()),
  ],
  [
    "what belongs to no authorization is declined",
    (api) =>
      executing(api, asSent, (outcomes, operations) =>
        outcomes.map((each, index) =>
          operations[index]?.reference === "no-such-authorization"
            ? outcome({ result: { case: "approved", value: { reference: "x" } } })
            : each,
        ),
      ),
  ],
  [
    "parts are captured, and no more than is held",
    (api) =>
      executing(api, (all) =>
        all.map((each) => (each.kind === GatewayOperationKind.CAPTURE ? { ...each, final: true } : each)),
      ),
  ],
  [
    "after the last operation nothing is held",
    (api) => executing(api, (all) => all.map((each) => ({ ...each, final: false }))),
  ],
  [
    "parts are voided as it says",
    (api) => ({ getCapabilities: () => ({ ...api.getCapabilities(), partVoid: PartVoid.NONE }) }),
  ],
  [
    "what is voided cannot be captured",
    (api) =>
      executing(api, (all) =>
        all.map((each) =>
          each.kind === GatewayOperationKind.VOID && each.amount
            ? { ...each, final: false, amount: { ...each.amount, amount: 1n } }
            : each,
        ),
      ),
  ],
  [
    "no more is refunded than was captured",
    (api) =>
      executing(api, asSent, (outcomes, operations) =>
        outcomes.map((each, index) =>
          operations[index]?.kind === GatewayOperationKind.REFUND
            ? outcome({ result: { case: "approved", value: { reference: "x" } } })
            : each,
        ),
      ),
  ],
  [
    "less than the smallest amount is declined",
    (api) => ({
      getCapabilities: () => ({
        ...api.getCapabilities(),
        currencies: [{ $typeName: "ordermesh.connectors.v1.CurrencyCapability", currency: "EUR", minAmount: 50n }],
      }),
    }),
  ],
  [
    "all that was done is listed, as it was sent, in the order of keys",
    (api) => ({
      async listOperations(request) {
        const { operations, more } = await api.listOperations(request);
        return { operations: operations.filter(({ kind }) => kind !== GatewayOperationKind.CAPTURE), more };
      },
    }),
  ],
];

describe("the conformance of connectors", () => {
  it("is that of the simulated gateway, over the wire", async () => {
    await using served = await serveSimulators(outside.url);
    const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 4_000_000 });
    const connector = clients.client(GatewayConnectorService, served.address);
    const results = await runConformance({ ...wishes, connector });
    clients.close();
    assert.deepEqual(
      results.filter(({ broken, without }) => broken ?? without),
      [],
    );
    assert.deepEqual(
      results.map(({ promise }) => promise),
      broken.map(([promise]) => promise).toSorted((a, b) => order(results, a) - order(results, b)),
    );
  });

  it("is that of a gateway that is slow, or loses answers by itself", async () => {
    for (const approved of ["tok_slow", "tok_timeout_after_success", "tok_error_500", "tok_capture_error"]) {
      assert.deepEqual(
        await brokenOf(() => ({}), { cards: { approved, declined: "tok_decline" }, patienceMs: 20_000 }),
        [],
        approved,
      );
    }
  });

  for (const [promise, change] of broken) {
    it(`misses when it is not so that ${promise}`, async () => {
      const found = await brokenOf(change);
      assert.ok(found.includes(promise), `found: ${found.join("; ")}`);
    });
  }

  it("misses when what was asked for is listed as somebody else's", async () => {
    const found = await brokenOf((api) => ({
      async listOperations(request) {
        const { operations, more } = await api.listOperations(request);
        return { operations: operations.map((each) => ({ ...each, outside: create(DoneOutsideSchema) })), more };
      },
    }));
    assert.deepEqual(found, ["all that was done is listed, as it was sent, in the order of keys"]);
  });

  it("tries nothing of a gateway that cannot do it, and says why", async () => {
    const api = new GatewayConnectorApi(simulator);
    const once = connectorOf({
      ...api,
      executeOperations: (request, context) => api.executeOperations(request, context),
      findOperations: (request, context) => api.findOperations(request, context),
      listOperations: (request) => api.listOperations(request),
      listEvents: () => api.listEvents(),
      getCapabilities: () => ({ ...api.getCapabilities(), maxCaptures: 1, maxOperations: 1 }),
    });
    const results = await runConformance({ ...wishes, connector: once });
    const without = results.filter((result) => result.without !== undefined);
    assert.equal(without.length, 7);
    assert.deepEqual(
      results.filter((result) => result.broken !== undefined),
      [],
    );
  });

  it("ends with what keeps it from asking", async () => {
    const away = connectorOf({
      getCapabilities: () => {
        throw new ConnectError("not today", Code.Unavailable);
      },
    } as unknown as ServiceImpl<typeof GatewayConnectorService>);
    await assert.rejects(runConformance({ ...wishes, connector: away }), /not today/);
  });
});

function order(results: readonly { readonly promise: string }[], promise: string): number {
  return results.findIndex((result) => result.promise === promise);
}
