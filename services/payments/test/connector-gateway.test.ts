// What payments makes of what connectors say, and do not say.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import {
  GatewayConnectorService,
  GetCapabilitiesResponseSchema,
  PartVoid,
} from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import {
  GatewayOutcomeSchema,
  type GatewayOperation as Sent,
} from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { loadConfig } from "#platform/config.ts";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { paymentsConfig } from "../src/config.ts";
import {
  type Gateway,
  GatewayAmbiguousError,
  type GatewayAnswer,
  GatewayKeyReusedError,
  type GatewayOperation,
  GatewayUnavailableError,
} from "../src/gateway/gateway.ts";
import { GatewayCaller, toGatewayOperation } from "../src/gateway/gateway-caller.ts";
import { OperationPace } from "../src/gateway/operation-pace.ts";
import type { Ticket } from "../src/operation/operation.ts";
import { newAuthorization } from "../src/operation/operation-request.ts";
import { authorization, gatewayBehind } from "./harness.ts";

type Thrown = new (message: string) => Error;
type Outcome = MessageInitShape<typeof GatewayOutcomeSchema>;

const able: MessageInitShape<typeof GetCapabilitiesResponseSchema> = {
  maxCaptures: 50,
  partVoid: PartVoid.NOW,
  maxOperations: 8,
};
const approved: Outcome = { result: { case: "approved", value: { reference: "R" } } };

/** A connector of this test, with what it was sent. */
function connectorOf({
  outcomeOf = () => approved,
  said = able,
  ...own
}: Partial<ServiceImpl<typeof GatewayConnectorService>> & {
  outcomeOf?: (operation: Sent) => Outcome;
  said?: typeof able;
} = {}) {
  const calls: Sent[][] = [];
  const answer = ({ operations }: { operations: Sent[] }) => {
    calls.push(operations);
    return { outcomes: operations.map((operation) => create(GatewayOutcomeSchema, outcomeOf(operation))) };
  };
  const transport = createRouterTransport((router) =>
    router.service(GatewayConnectorService, {
      getCapabilities: () => create(GetCapabilitiesResponseSchema, said),
      executeOperations: answer,
      findOperations: answer,
      ...own,
    }),
  );
  return { calls, connector: createClient(GatewayConnectorService, transport) };
}

function operation(given: Partial<GatewayOperation> = {}): GatewayOperation {
  return {
    key: randomUUID(),
    kind: "authorize",
    orderId: newId(),
    cardToken: "tok_approve",
    reference: "",
    currency: "EUR",
    amount: 1_000n,
    final: false,
    before: { captured: 0n, voided: 0n, refunded: 0n },
    createTime: new Date(),
    ...given,
  };
}

const call = { signal: AbortSignal.timeout(60_000) };

describe("what a connector says", () => {
  const cases: readonly [
    outcome: Outcome,
    executed: GatewayAnswer | Thrown,
    found: GatewayAnswer | Thrown | undefined,
  ][] = [
    [
      approved,
      { state: "approved", reference: "R", holdExpireTime: undefined },
      { state: "approved", reference: "R", holdExpireTime: undefined },
    ],
    [
      { result: { case: "declined", value: { code: "card_declined" } } },
      { state: "declined", code: "card_declined" },
      { state: "declined", code: "card_declined" },
    ],
    [
      { result: { case: "requiresAction", value: {} } },
      { state: "declined", code: "requires_action" },
      { state: "declined", code: "requires_action" },
    ],
    [{ result: { case: "processing", value: {} } }, { state: "processing" }, { state: "processing" }],
    [{ result: { case: "notExecuted", value: {} } }, GatewayUnavailableError, undefined],
    [{ result: { case: "undetermined", value: {} } }, GatewayAmbiguousError, GatewayAmbiguousError],
    [{ result: { case: "keyReused", value: {} } }, GatewayKeyReusedError, GatewayKeyReusedError],
    [{}, GatewayAmbiguousError, GatewayAmbiguousError],
    // Nothing could ever be done with it.
    [{ result: { case: "approved", value: { reference: "" } } }, GatewayAmbiguousError, GatewayAmbiguousError],
  ];
  for (const [outcome, executed, found] of cases) {
    it(`is taken as what it is: ${outcome.result?.case ?? "nothing"}`, async () => {
      const gateway = gatewayBehind(connectorOf({ outcomeOf: () => outcome }).connector);
      for (const [asked, expected] of [
        [gateway.execute(operation(), call), executed],
        [gateway.find(operation(), call), found],
      ] as const) {
        if (typeof expected === "function") await assert.rejects(asked, expected);
        else assert.deepEqual(await asked, expected);
      }
    });
  }

  it("may be a time that nobody can keep, which is none", async () => {
    const second = { year: 253_402_214_400n, beyond: 9_999_999_999_999n, before: -1n };
    const times: [bigint, boolean][] = [
      [second.year, true],
      [second.beyond, false],
      [second.before, false],
    ];
    for (const [seconds, isTime] of times) {
      const value = { reference: "R", holdExpireTime: { seconds, nanos: 0 } };
      const gateway = gatewayBehind(
        connectorOf({ outcomeOf: () => ({ result: { case: "approved", value } }) }).connector,
      );
      const answer = await gateway.execute(operation(), call);
      assert.equal(answer.state === "approved" && answer.holdExpireTime !== undefined, isTime, String(seconds));
    }
  });

  for (const code of Object.values(Code).filter((one) => typeof one === "number")) {
    it(`by an error leaves open what happened: ${Code[code]}`, async () => {
      const fail = () => {
        throw new ConnectError("no", code);
      };
      const gateway = gatewayBehind(connectorOf({ executeOperations: fail, findOperations: fail }).connector);
      await assert.rejects(gateway.execute(operation(), call), GatewayAmbiguousError);
      await assert.rejects(gateway.find(operation(), call), GatewayAmbiguousError);
    });
  }

  it("too late, or about another number of operations, leaves open what happened", async () => {
    const late = connectorOf({
      executeOperations: async (_, { signal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return {};
      },
    });
    await assert.rejects(
      gatewayBehind(late.connector, { timeoutMs: 50 }).execute(operation(), call),
      GatewayAmbiguousError,
    );
    const few = connectorOf({ executeOperations: () => ({ outcomes: [] }) });
    await assert.rejects(gatewayBehind(few.connector).execute(operation(), call), GatewayAmbiguousError);
  });
});

describe("what is sent", () => {
  it("goes together, as far as the connector takes it", async () => {
    const { calls, connector } = connectorOf();
    const gateway = gatewayBehind(connector, { inflight: 16 });
    await Promise.all(Array.from({ length: 40 }, () => gateway.execute(operation(), call)));
    assert.deepEqual(
      calls.map(({ length }) => length),
      [8, 8, 8, 8, 8],
    );
  });

  it("says the whole operation, and nothing of a card but for an authorization", async () => {
    const { calls, connector } = connectorOf();
    const payment = { ...newAuthorization(asked(), newId(), { createTime: new Date() }).payment };
    const ticket = newAuthorization(asked(), newId(), { createTime: new Date() });
    await gatewayBehind(connector).execute(toGatewayOperation(ticket), call);
    const captured = {
      ...payment,
      decision: "approved" as const,
      captured: 300n,
      gatewayReference: "R",
      capturing: 700n,
    };
    const capture: Ticket = { payment: captured, operation: { ...ticket.operation, kind: "capture", amount: 700n } };
    await gatewayBehind(connector).find(toGatewayOperation(capture), call);
    const [authorized, change] = calls.flat();
    assert.deepEqual(
      [authorized?.cardToken, authorized?.reference, authorized?.final, authorized?.before],
      ["tok_approve", "", false, undefined],
    );
    assert.deepEqual([change?.cardToken, change?.reference, change?.final], ["", "R", true]);
    assert.deepEqual([change?.before?.captured, change?.amount?.amount], [300n, 700n]);
  });

  it("is the last of its authorization only when nothing is left, and nothing else is undecided", () => {
    const ticket = newAuthorization(asked(), newId(), { createTime: new Date() });
    const held = { ...ticket.payment, decision: "approved" as const };
    const cases: [kind: "capture" | "void" | "refund", amount: bigint, payment: typeof held, final: boolean][] = [
      ["capture", 1_000n, { ...held, capturing: 1_000n }, true],
      ["capture", 999n, { ...held, capturing: 999n }, false],
      ["capture", 999n, { ...held, holds: 1, capturing: 999n }, true],
      ["void", 999n, { ...held, holds: 1, voiding: 999n }, false],
      ["capture", 400n, { ...held, capturing: 1_000n }, false],
      ["void", 600n, { ...held, captured: 400n, voiding: 600n }, true],
      ["void", 600n, { ...held, voiding: 600n, capturing: 400n }, false],
      ["refund", 1_000n, { ...held, captured: 1_000n, refunding: 1_000n }, false],
      // What of a credit is void goes back to the card.
      ["void", 1_000n, { ...held, sourceId: newId(), voiding: 1_000n }, false],
    ];
    for (const [kind, amount, payment, final] of cases) {
      const given = toGatewayOperation({ payment, operation: { ...ticket.operation, kind, amount } });
      assert.equal(given.final, final, `${kind} ${amount}`);
    }
  });

  it("leaves no other without an answer when the connector stumbles over it", async () => {
    const poison = operation();
    const gateway = gatewayBehind(
      connectorOf({
        outcomeOf: ({ key }) => {
          if (key === poison.key) throw new ConnectError("cannot read it", Code.InvalidArgument);
          return approved;
        },
      }).connector,
    );
    const all = [operation(), poison, operation(), operation(), operation()];
    const settled = await Promise.allSettled(all.map((each) => gateway.execute(each, call)));
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"],
    );
  });

  it("is not sent again once the gateway has forgotten its key, and may be asked for", async () => {
    const { calls, connector } = connectorOf({ said: { ...able, keyLifetime: { seconds: 60n, nanos: 0 } } });
    const gateway = gatewayBehind(connector);
    const old = operation({ createTime: new Date(Date.now() - 61_000) });
    await assert.rejects(gateway.execute(old, call), /is not sent any more/);
    assert.equal((await gateway.find(old, call))?.state, "approved");
    assert.equal(calls.length, 1);
  });

  it("waits for its turn at a gateway that takes so many in a second, and is left when that is too late", async () => {
    const { calls, connector } = connectorOf({ said: { ...able, maxOperations: 1, maxOperationsPerSecond: 20 } });
    const gateway = gatewayBehind(connector, { timeoutMs: 200, inflight: 1_000 });
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => gateway.execute(operation(), call)));
    const refused = settled.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    assert.deepEqual([calls.length, refused.length], [3, 7]);
    assert.ok(refused.every((reason) => reason instanceof GatewayUnavailableError));
  });
});

describe("a gateway", () => {
  it("has to be named by its connector: payments does not start without, and says what to do", () => {
    const start = () => loadConfig(paymentsConfig, { DATABASE_URL: "postgres://a:b@c/d" });
    assert.throws(
      start,
      /GATEWAY_CONNECTOR_ADDRESS: is not set: it names the connector of the card gateway as host:port/,
    );
  });

  it("is not asked what it would certainly refuse, unless it may have it already", async () => {
    const { calls, connector } = connectorOf({
      said: { ...able, currencies: [{ currency: "EUR", minAmount: 1_001n }] },
    });
    const gateway = gatewayBehind(connector);
    await gateway.find(operation(), call);
    const cases: [GatewayOperation, string | undefined][] = [
      [operation(), "amount_too_small"],
      [operation({ amount: 1_001n }), undefined],
      [operation({ currency: "JPY" }), "currency_not_supported"],
      [operation({ kind: "capture", amount: 1n }), undefined],
    ];
    for (const [given, refusal] of cases) assert.equal(gateway.refusal(given), refusal);
    const limits = { timeoutMs: 1_000, inflight: 2 };
    const caller = new GatewayCaller({
      gateway,
      limits,
      log: { warn: () => undefined, error: () => undefined } as never,
    });
    const ticket = newAuthorization(asked(), newId(), { createTime: new Date() });
    assert.deepEqual(await caller.decide(ticket, false), { approved: false, code: "amount_too_small" });
    assert.equal(calls.length, 1);
    assert.equal((await caller.decide(ticket, true))?.approved, true);
  });

  for (const [said, why] of [
    [{ maxCaptures: 0 }, /cannot capture what it has authorized/],
    [{ partVoid: PartVoid.NONE }, /cannot void a part of an authorization/],
  ] as const) {
    it(`is not worked with when ${why.source}`, async () => {
      const { calls, connector } = connectorOf({ said: { ...able, ...said } });
      const gateway = gatewayBehind(connector);
      await assert.rejects(gateway.execute(operation(), call), (error) => {
        assert.ok(error instanceof GatewayUnavailableError);
        assert.match(error.message, why);
        return true;
      });
      assert.equal(calls.length, 0);
    });
  }

  it("is worked with when it captures once, whatever it does with parts; so it is said as long as nobody knows", async () => {
    for (const partVoid of [PartVoid.NONE, PartVoid.NOW]) {
      const gateway = gatewayBehind(connectorOf({ said: { ...able, maxCaptures: 1, partVoid } }).connector);
      assert.equal((await gateway.execute(operation(), call)).state, "approved");
      assert.equal(await gateway.capturesOnce(), true);
    }
    assert.equal(await gatewayBehind(connectorOf().connector).capturesOnce(), false);
    const getCapabilities = () => {
      throw new ConnectError("away", Code.Unavailable);
    };
    assert.equal(await gatewayBehind(connectorOf({ getCapabilities }).connector).capturesOnce(), true);
  });

  it("has captures and voids sent one after the other where it gives free with the last, and as long as nobody knows", async () => {
    for (const [partVoid, inTurn] of [
      [PartVoid.NOW, false],
      [PartVoid.DEFERRED, true],
    ] as const) {
      const gateway = gatewayBehind(connectorOf({ said: { ...able, partVoid } }).connector);
      assert.equal(gateway.inTurn, true);
      await gateway.execute(operation(), call);
      assert.equal(gateway.inTurn, inTurn);
    }
  });

  it("is away while its connector does not say what it can, and is worked with once it does", async () => {
    let isAway = true;
    const { connector } = connectorOf({
      getCapabilities: () => {
        if (isAway) throw new ConnectError("away", Code.Unavailable);
        return create(GetCapabilitiesResponseSchema, able);
      },
    });
    const gateway = gatewayBehind(connector);
    await assert.rejects(gateway.execute(operation(), call), GatewayUnavailableError);
    isAway = false;
    assert.equal((await gateway.execute(operation(), call)).state, "approved");
  });
});

describe("a connector that is away", () => {
  const undetermined: Outcome = { result: { case: "undetermined", value: {} } };
  const send = (gateway: ReturnType<typeof gatewayBehind>, count: number) =>
    Promise.allSettled(Array.from({ length: count }, () => gateway.execute(operation(), call)));
  const isHeldBack = (settled: PromiseSettledResult<GatewayAnswer>[]) =>
    settled.every((each) => each.status === "rejected" && /was not called/.test(String(each.reason)));

  it("has sent nothing after five calls without an answer: what is held back certainly had no effect", async () => {
    let sent = 0;
    const away = () => {
      sent += 1;
      throw new ConnectError("away", Code.Unavailable);
    };
    const gateway = gatewayBehind(connectorOf({ executeOperations: away }).connector);
    for (let round = 0; round < 5; round += 1) {
      const [lost] = await send(gateway, 1);
      assert.ok(lost?.status === "rejected" && lost.reason instanceof GatewayAmbiguousError);
    }
    const [held] = await send(gateway, 1);
    assert.ok(held?.status === "rejected" && held.reason instanceof GatewayUnavailableError);
    assert.ok(isHeldBack([held]));
    assert.equal(sent, 5);
  });

  it("is one that knows nothing of any of several operations; the same of one is its own trouble", async () => {
    const { calls, connector } = connectorOf({ outcomeOf: () => undetermined });
    const one = gatewayBehind(connector, { inflight: 16 });
    for (let round = 0; round < 20; round += 1) await send(one, 1);
    assert.equal(calls.length, 20);
    const several = gatewayBehind(connector, { inflight: 16 });
    for (let round = 0; round < 5; round += 1) assert.ok(!isHeldBack(await send(several, 3)));
    assert.ok(isHeldBack(await send(several, 3)));
    assert.equal(calls.length, 25);
  });

  it("is not one that refuses, or cannot read what it is sent", async () => {
    for (const outcomeOf of [
      () => ({ result: { case: "declined", value: { code: "no" } } }) as const,
      () => ({ result: { case: "notExecuted", value: {} } }) as const,
      () => {
        throw new ConnectError("cannot read it", Code.InvalidArgument);
      },
    ]) {
      const { connector } = connectorOf({ outcomeOf });
      const gateway = gatewayBehind(connector);
      for (let round = 0; round < 12; round += 1) assert.ok(!isHeldBack(await send(gateway, 2)));
    }
  });

  it("may have done what an error came of before it went away, though the halves of that are held back", async () => {
    const taken = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const gateway = gatewayBehind(
      connectorOf({
        executeOperations: async ({ operations }) => {
          if (operations.length === 1) throw new ConnectError("away", Code.Unavailable);
          taken.resolve();
          await gate.promise;
          throw new ConnectError("what now?", Code.Internal);
        },
      }).connector,
      { inflight: 16 },
    );
    const several = send(gateway, 3);
    await taken.promise;
    for (let round = 0; round < 5; round += 1) await send(gateway, 1);
    assert.ok(isHeldBack(await send(gateway, 1)));
    gate.resolve();
    for (const each of await several) {
      assert.ok(each.status === "rejected" && each.reason instanceof GatewayAmbiguousError, JSON.stringify(each));
    }
  });

  it("is not asked for what it certainly has not got", async () => {
    const calls: string[] = [];
    const gateway: Gateway = {
      inTurn: false,
      capturesOnce: async () => false,
      refusal: () => undefined,
      execute: () => {
        calls.push("execute");
        return Promise.reject(new GatewayUnavailableError("held back"));
      },
      find: () => {
        calls.push("find");
        return Promise.reject(new GatewayUnavailableError("held back"));
      },
    };
    const limits = { timeoutMs: 1_000, inflight: 2 };
    const caller = new GatewayCaller({ gateway, limits, log: quietLogger() });
    const ticket = newAuthorization(asked(), newId(), { createTime: new Date() });
    assert.equal(await caller.decide(ticket, false), undefined);
    assert.deepEqual(calls, ["execute", "execute", "execute"]);
    calls.length = 0;
    assert.equal(await caller.decide(ticket, true), undefined);
    assert.deepEqual(calls, ["find", "find", "find"]);
  });
});

it("a pace lets as many go in a second as it is told, and none when they would wait too long", () => {
  const pace = new OperationPace();
  const bounds = { perSecond: 10, mostMs: 250 };
  const waits = Array.from({ length: 5 }, () => pace.take(1, bounds));
  assert.deepEqual(
    waits.map((wait) => wait === undefined || Math.round(wait / 100)),
    [0, 1, 2, true, true],
  );
  assert.equal(pace.take(1_000, { perSecond: 0, mostMs: 0 }), 0);
});

function asked() {
  const source = { actor: "", requestId: "", traceparent: "" };
  return { ...authorization(), source, asker: undefined };
}
