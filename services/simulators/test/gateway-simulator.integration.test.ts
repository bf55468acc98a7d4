import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import type { Client } from "@connectrpc/connect";
import { type GatewayConnectorService, PartVoid } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { GatewayOperationKind, type GatewayOutcome } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { connectorClient } from "../src/connector-client.ts";
import { GatewaySimulator } from "../src/gateway/gateway-simulator.ts";
import { migrations } from "../src/migrations/list.ts";

interface Operation {
  readonly key: string;
  readonly kind: GatewayOperationKind;
  readonly cardToken?: string;
  readonly reference?: string;
  readonly amount: { readonly currency: string; readonly amount: bigint };
  readonly final?: boolean;
}

const slowMs = 200;
let outside: TestDatabase;
let connector: Client<typeof GatewayConnectorService>;

before(async () => {
  outside = await testDatabase("simulators", { entities: [], migrations });
  connector = connectorClient(new GatewaySimulator(outside.database, { slowMs, latencyMs: 0, partVoid: "now" }));
});
after(() => outside?.[Symbol.asyncDispose]());

const euros = (amount: bigint) => ({ currency: "EUR", amount });

function authorize(cardToken: string, given: Partial<Operation> = {}): Operation {
  return { key: randomUUID(), kind: GatewayOperationKind.AUTHORIZE, cardToken, amount: euros(1_000n), ...given };
}

const kinds = {
  capture: GatewayOperationKind.CAPTURE,
  void: GatewayOperationKind.VOID,
  refund: GatewayOperationKind.REFUND,
} as const;

function change(
  kind: keyof typeof kinds,
  reference: string,
  amount: bigint,
  given: Partial<Operation> = {},
): Operation {
  return { key: randomUUID(), kind: kinds[kind], reference, amount: euros(amount), ...given };
}

/** What one outcome says: the code of a refusal, else its case. */
function said(outcome: GatewayOutcome | undefined): string {
  const { result } = outcome ?? { result: { case: undefined } };
  return result.case === "declined" ? result.value.code : String(result.case);
}

async function execute(...operations: Operation[]): Promise<string[]> {
  return (await connector.executeOperations({ operations })).outcomes.map(said);
}

async function find(...operations: Operation[]): Promise<string[]> {
  return (await connector.findOperations({ operations })).outcomes.map(said);
}

/** An authorization that is approved, by its reference. */
async function held(cardToken = "tok_approve", given: Partial<Operation> = {}): Promise<string> {
  const { outcomes } = await connector.executeOperations({ operations: [authorize(cardToken, given)] });
  const [outcome] = outcomes;
  assert.ok(outcome?.result.case === "approved");
  return outcome.result.value.reference;
}

test("an authorization goes as its card says; the same key gives the same answer", async () => {
  const cases: [token: string, calls: string[], found: string][] = [
    ["tok_approve", ["approved", "approved"], "approved"],
    ["pm_anything", ["approved"], "approved"],
    ["tok_toString", ["approved"], "approved"],
    ["tok_decline", ["card_declined", "card_declined"], "card_declined"],
    ["tok_insufficient_funds", ["insufficient_funds", "insufficient_funds"], "insufficient_funds"],
    ["tok_timeout_after_success", ["undetermined", "approved"], "approved"],
    ["tok_error_500", ["undetermined", "undetermined", "approved"], "approved"],
    ["tok_error_500_forever", Array(4).fill("undetermined"), "notExecuted"],
    ["tok_capture_decline", ["approved"], "approved"],
  ];
  for (const [token, calls, found] of cases) {
    const operation = authorize(token);
    assert.deepEqual(await find(operation), ["notExecuted"], token);
    for (const expected of calls) assert.deepEqual(await execute(operation), [expected], token);
    assert.deepEqual(await find(operation), [found], token);
  }
});

test("captures, voids and refunds go as the card says", async () => {
  const cases: [token: string, kind: keyof typeof kinds, calls: string[]][] = [
    ["tok_approve", "capture", ["approved", "approved"]],
    ["tok_capture_timeout_after_success", "capture", ["undetermined", "approved"]],
    ["tok_capture_error", "capture", ["undetermined", "undetermined", "approved"]],
    ["tok_capture_decline", "capture", ["card_declined", "card_declined"]],
    ["tok_void_timeout_after_success", "void", ["undetermined", "approved"]],
    ["tok_void_error_500", "void", ["undetermined", "undetermined", "approved"]],
    ["tok_refund_decline", "refund", ["card_declined"]],
    ["tok_refund_timeout_after_success", "refund", ["undetermined", "approved"]],
  ];
  for (const [token, kind, calls] of cases) {
    const reference = await held(token);
    if (kind === "refund") await execute(change("capture", reference, 1_000n));
    const operation = change(kind, reference, 600n);
    for (const expected of calls) assert.deepEqual(await execute(operation), [expected], token);
  }
});

test("the gateway itself refuses more than there is, and keeps count once for each key", async () => {
  const key = randomUUID();
  const reference = await held("tok_approve", { key });
  const capture = change("capture", reference, 600n);
  assert.deepEqual(await execute(capture), ["approved"]);
  assert.deepEqual(await execute(capture), ["approved"]);
  const cases: [Operation, string][] = [
    [change("capture", reference, 600n), "amount_exceeds_authorization"],
    [change("refund", reference, 601n), "amount_exceeds_capture"],
    [change("void", reference, 400n), "approved"],
    [change("refund", reference, 600n), "approved"],
    [change("refund", reference, 1n), "amount_exceeds_capture"],
    [change("capture", "sim_nothing", 1n), "no_such_authorization"],
    [change("capture", reference, 1n, { amount: { currency: "USD", amount: 1n } }), "currency_mismatch"],
  ];
  for (const [operation, expected] of cases) assert.deepEqual(await execute(operation), [expected], expected);
  const [row] = await outside.database.query("select captured, voided, refunded from gateway_record where key = $1", [
    key,
  ]);
  assert.deepEqual(row, { captured: 600n, voided: 400n, refunded: 600n });
});

test("the last operation of an authorization leaves nothing held", async () => {
  for (const kind of ["capture", "void"] as const) {
    const reference = await held();
    assert.deepEqual(await execute(change(kind, reference, 300n, { final: true })), ["approved"]);
    assert.deepEqual(await execute(change("capture", reference, 1n)), ["amount_exceeds_authorization"]);
  }
});

test("another body under a key that was used is refused, and one beside it is not affected", async () => {
  const first = authorize("tok_approve");
  await execute(first);
  const other = authorize("tok_approve");
  assert.deepEqual(await execute({ ...first, amount: euros(999n) }, other), ["keyReused", "approved"]);
  const reference = await held();
  assert.deepEqual(await execute({ ...change("void", reference, 1_000n), key: first.key }), ["keyReused"]);
});

test("a slow decision is processing until it is made, and holds up nobody", async () => {
  const slow = authorize("tok_slow");
  assert.deepEqual(await execute(slow, authorize("tok_approve")), ["processing", "approved"]);
  assert.deepEqual(await find(slow), ["processing"]);
  assert.deepEqual(await execute(slow), ["processing"]);
  await until(async () => (await find(slow))[0] === "approved", "it is decided");
  assert.deepEqual(await execute(slow), ["approved"]);
});

test("what was done is listed in the order of keys, page after page, with what became of it", async () => {
  const before = await connector.listOperations({});
  const key = randomUUID();
  const reference = await held("tok_approve", { key });
  const capture = change("capture", reference, 600n);
  const declined = authorize("tok_decline");
  await execute(capture, declined);
  const keys: string[] = [];
  let afterKey = "";
  for (;;) {
    const { operations, more } = await connector.listOperations({ afterKey, limit: 2 });
    keys.push(...operations.map((operation) => operation.key));
    afterKey = operations.at(-1)?.key ?? "";
    if (!more) break;
    assert.equal(operations.length, 2);
  }
  assert.deepEqual(keys, keys.toSorted());
  const made = [key, capture.key, declined.key];
  assert.deepEqual(new Set(keys), new Set([...before.operations.map((operation) => operation.key), ...made]));
  const only = async (one = "") => {
    const { operations } = await connector.listOperations({ toKey: one });
    return operations.at(-1);
  };
  const authorized = await only(key);
  assert.equal(authorized?.amounts?.captured, 600n);
  const captured = await only(capture.key);
  assert.deepEqual([captured?.authorizationKey, captured?.amount?.amount, captured?.amounts], [key, 600n, undefined]);
  assert.equal(said((await only(declined.key))?.outcome), "card_declined");
});

test("a call that takes time has its effect afterwards", async () => {
  const latencyMs = 50;
  const slow = connectorClient(new GatewaySimulator(outside.database, { slowMs, latencyMs, partVoid: "now" }));
  const begun = performance.now();
  const { outcomes } = await slow.executeOperations({ operations: [authorize("tok_approve")] });
  assert.deepEqual(outcomes.map(said), ["approved"]);
  assert.ok(performance.now() - begun >= latencyMs - 1);
});

test("a gateway that defers gives free what was voided with the operation that says that it is the last", async () => {
  const settings = { slowMs, latencyMs: 0, partVoid: "deferred" } as const;
  const deferring = connectorClient(new GatewaySimulator(outside.database, settings));
  assert.equal((await deferring.getCapabilities({})).partVoid, PartVoid.DEFERRED);
  for (const final of [false, true]) {
    const key = randomUUID();
    const reference = await held("tok_approve", { key });
    const amounts = async () => {
      const { operations } = await deferring.listOperations({ toKey: key });
      const { captured, voided, deferred } = operations.at(-1)?.amounts ?? {};
      return [captured, voided, deferred];
    };
    const { outcomes } = await deferring.executeOperations({ operations: [change("void", reference, 400n)] });
    assert.deepEqual([outcomes.map(said), await amounts()], [["approved"], [0n, 0n, 400n]]);
    const tooMuch = await deferring.executeOperations({ operations: [change("capture", reference, 601n)] });
    assert.deepEqual(tooMuch.outcomes.map(said), ["amount_exceeds_authorization"]);
    await deferring.executeOperations({ operations: [change("capture", reference, 600n, { final })] });
    assert.deepEqual(await amounts(), final ? [600n, 400n, 0n] : [600n, 0n, 400n]);
  }
});
