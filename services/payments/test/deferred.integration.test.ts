// A gateway that gives free what is voided with the last operation of an authorization, as Stripe does: it is told which one that is, whatever happens.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeId } from "#platform/id.ts";
import type { Gateway, GatewayOperation } from "../src/gateway/gateway.ts";
import type { MoneyMover } from "../src/move/money-mover.ts";
import type { ChangeInput } from "../src/operation/operation-request.ts";
import { heldOf } from "../src/payment/payment.ts";
import { authorization, change, gatewayWith, type Harness, openHarness, unreachable } from "./harness.ts";

let harness: Harness;
before(async () => {
  harness = await openHarness({ partVoid: "deferred", slowMs: 100 });
});
after(() => harness?.[Symbol.asyncDispose]());

const soon = { PAYMENTS_ANSWER_WITHIN_MS: 50, GATEWAY_TIMEOUT_MS: 200 };

type Parcel = readonly [kind: "capture" | "void", amount: bigint];

const toChange = (paymentId: string, [kind, amount]: Parcel) => change(kind, paymentId, { amount });

/** What the gateway has of a payment's authorization. */
async function record(paymentId: string) {
  const [row] = await harness.admin<{ operation_id: string }>(
    "select operation_id from payment_operation where payment_id = $1 and kind = 'authorize'",
    [decodeId(paymentId)],
  );
  const [found] = await harness.outside.database.query(
    "select captured, voided, refunded, deferred from gateway_record where key = $1",
    [row?.operation_id],
  );
  return found;
}

/** Asks for all of it at the same time, of several processes, and lets it be resolved. */
async function settle(movers: readonly MoneyMover[], changes: readonly ChangeInput[]): Promise<void> {
  const asked = changes.map((each, index) => movers[index % movers.length]?.change(each));
  await Promise.allSettled(asked);
  await harness.resolveAll(harness.mover());
}

test("nothing stays held, whichever parcel is decided last", async () => {
  const splits: Parcel[][] = [
    [
      ["capture", 300n],
      ["void", 700n],
    ],
    [
      ["void", 700n],
      ["capture", 300n],
    ],
    [
      ["capture", 300n],
      ["void", 250n],
      ["capture", 450n],
    ],
    [
      ["void", 333n],
      ["void", 333n],
      ["capture", 334n],
    ],
    [
      ["void", 999n],
      ["void", 1n],
    ],
    [
      ["capture", 1n],
      ["void", 998n],
      ["void", 1n],
    ],
  ];
  const movers = [harness.mover(), harness.mover()];
  const cards = [
    "tok_approve",
    "tok_capture_timeout_after_success",
    "tok_void_timeout_after_success",
    "tok_void_error_500",
  ];
  for (const cardToken of cards) {
    for (const parcels of splits) {
      const input = authorization({ cardToken });
      await harness.mover().authorize(input);
      await settle(
        movers,
        parcels.map((parcel) => toChange(input.paymentId, parcel)),
      );
      const sum = (kind: string) => parcels.reduce((all, [each, amount]) => all + (each === kind ? amount : 0n), 0n);
      const expected = { captured: sum("capture"), voided: sum("void"), refunded: 0n, deferred: 0n };
      assert.deepEqual(await record(input.paymentId), expected, `${cardToken} ${parcels.join("; ")}`);
    }
  }
  await harness.assertBalance();
});

test("captures and voids of a payment go one after the other, refunds beside them, those of other payments too", async () => {
  const underWay = new Map<string, number>();
  let most = 0;
  let mostOfOne = 0;
  const execute: Gateway["execute"] = async (operation: GatewayOperation, call) => {
    if (operation.kind !== "capture" && operation.kind !== "void")
      return await harness.gateway.execute(operation, call);
    const { reference } = operation;
    underWay.set(reference, (underWay.get(reference) ?? 0) + 1);
    mostOfOne = Math.max(mostOfOne, underWay.get(reference) ?? 0);
    most = Math.max(
      most,
      [...underWay.values()].reduce((sum, count) => sum + count, 0),
    );
    try {
      return await harness.gateway.execute(operation, call);
    } finally {
      underWay.set(reference, (underWay.get(reference) ?? 0) - 1);
    }
  };
  const movers = [1, 2].map(() => harness.mover({ gateway: gatewayWith(harness, { execute }) }));
  const inputs = [1, 2, 3].map(() => authorization());
  await Promise.all(inputs.map((input) => harness.mover().authorize(input)));
  const changes = inputs.flatMap(({ paymentId }) =>
    [100n, 200n, 300n, 400n].map((amount, index) =>
      toChange(paymentId, [index % 2 === 0 ? "capture" : "void", amount]),
    ),
  );
  await settle(movers, changes);
  assert.equal(mostOfOne, 1);
  assert.ok(most > 1);
  await harness.assertBalance();
});

test("a parcel that is refused gives its share back, and the one behind it is the last all the same", async () => {
  const input = authorization({ cardToken: "tok_capture_decline" });
  const mover = harness.mover();
  await mover.authorize(input);
  const void_ = toChange(input.paymentId, ["void", 400n]);
  await settle([mover, harness.mover()], [toChange(input.paymentId, ["capture", 600n]), void_]);
  const rest = await mover.change(change("void", input.paymentId));
  assert.equal(heldOf(rest.payment), 0n);
  assert.deepEqual(await record(input.paymentId), { captured: 0n, voided: 1_000n, refunded: 0n, deferred: 0n });
  await harness.assertBalance();
});

test("what waits behind an operation of a process that died goes on when that is resolved", async () => {
  const input = authorization();
  await harness.mover().authorize(input);
  const cut = harness.mover({ config: soon, gateway: { ...unreachable(), inTurn: true } });
  const parcels: Parcel[] = [
    ["capture", 300n],
    ["void", 200n],
    ["capture", 100n],
  ];
  const changes = parcels.map((parcel) => toChange(input.paymentId, parcel));
  const outcomes = await Promise.all(changes.map((each) => cut.change(each)));
  assert.ok(outcomes.every(({ pending }) => pending));
  const states = await harness.admin<{ state: string }>(
    "select state from payment_operation where payment_id = $1 and kind <> 'authorize' order by create_time, operation_id",
    [decodeId(input.paymentId)],
  );
  assert.deepEqual(states.map(({ state }) => state).toSorted(), ["pending", "waiting", "waiting"]);
  await cut.drain(0);
  await harness.resolveAll(harness.mover());
  await settle([harness.mover()], [change("void", input.paymentId)]);
  assert.deepEqual(await record(input.paymentId), { captured: 400n, voided: 600n, refunded: 0n, deferred: 0n });
  for (const each of changes) assert.equal((await harness.mover().change(each)).pending, false);
  await harness.assertBalance();
});

test("an order that is amended, loses a parcel and gets one back is exact to the minor unit", async () => {
  const mover = harness.mover();
  const input = authorization({ amount: 1_003n });
  await mover.authorize(input);
  const { paymentId } = input;
  // It is amended to less, one parcel leaves and gets lost, one cannot leave, one arrives and comes back in part.
  await settle([mover], [toChange(paymentId, ["void", 101n])]);
  assert.deepEqual(await record(paymentId), { captured: 0n, voided: 0n, refunded: 0n, deferred: 101n });
  await harness.assertBalance();
  await settle([mover], [toChange(paymentId, ["capture", 301n])]);
  await settle(
    [mover, harness.mover()],
    [change("refund", paymentId, { amount: 301n }), toChange(paymentId, ["void", 200n])],
  );
  assert.deepEqual(await record(paymentId), { captured: 301n, voided: 0n, refunded: 301n, deferred: 301n });
  await harness.assertBalance();
  await settle([mover], [toChange(paymentId, ["capture", 401n])]);
  await settle([mover], [change("refund", paymentId, { amount: 33n })]);
  assert.deepEqual(await record(paymentId), { captured: 702n, voided: 301n, refunded: 334n, deferred: 0n });
  await harness.assertBalance();
});

test("all that is left is given free, while something is under way", async () => {
  const mover = harness.mover({ config: soon });
  for (const cardToken of ["tok_capture_slow", "tok_approve"]) {
    const input = authorization({ cardToken });
    await mover.authorize(input);
    const parts = [toChange(input.paymentId, ["capture", 300n]), toChange(input.paymentId, ["void", 100n])];
    for (const each of [...parts, change("void", input.paymentId)]) await mover.change(each);
    await harness.resolveAll(harness.mover());
    const found = await record(input.paymentId);
    assert.equal(found?.deferred, 0n);
    assert.equal(BigInt(String(found?.captured)) + BigInt(String(found?.voided)), 1_000n);
  }
  await harness.assertBalance();
});
