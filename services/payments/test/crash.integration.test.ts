import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Transaction } from "#platform/database/transaction.ts";
import type { MoneyMover } from "../src/move/money-mover.ts";
import { recordDecisions } from "../src/operation/operation-statements.ts";
import { heldOf, type Payment, statusOf } from "../src/payment/payment.ts";
import type { PaymentsParts } from "../src/payments.ts";
import { authorization, change, gatewayWith, type Harness, openHarness, unreachable } from "./harness.ts";

const slowMs = 1_500;
let harness: Harness;

before(async () => {
  harness = await openHarness({ slowMs });
});
after(() => harness[Symbol.asyncDispose]());

const soon = {
  config: { PAYMENTS_ANSWER_WITHIN_MS: 50, GATEWAY_TIMEOUT_MS: 100, GATEWAY_MAX_INFLIGHT: 16 },
};

async function stored(paymentId: string): Promise<Payment> {
  const payment = await harness.payments.get(paymentId);
  assert.ok(payment);
  return payment;
}

type Place = "before the gateway" | "after the gateway" | "while recording" | "after recording";

/** A database whose process dies at the statement that records decisions: before it, before its commit, or after it. */
function dyingDatabase(place: Place): PaymentsParts["database"] {
  const { database } = harness;
  const dead = new Error("the process is dead");
  const dying = (tx: Transaction): Transaction => ({
    query: (sql, values) => tx.query(sql, values),
    async commitWith(sql, values) {
      if (typeof sql === "string" || sql.name !== recordDecisions.name) return await tx.commitWith(sql, values);
      if (place === "while recording") await tx.query(sql, values);
      if (place === "after recording") await tx.commitWith(sql, values);
      throw dead;
    },
  });
  return {
    em: () => database.em(),
    query: (sql, values) => database.query(sql, values),
    transaction: (work) => database.transaction((tx) => work(dying(tx))),
  };
}

function dyingProcess(place: Place): MoneyMover {
  return harness.mover({
    ...soon,
    database: dyingDatabase(place),
    ...(place === "before the gateway" ? { gateway: unreachable() } : {}),
  });
}

for (const place of ["before the gateway", "after the gateway", "while recording", "after recording"] as const) {
  test(`a process that dies ${place} leaves nothing undone`, async () => {
    const healthy = harness.mover();
    const approved = authorization();
    const declined = authorization({ cardToken: "tok_decline" });
    const lost = authorization({ cardToken: "tok_timeout_after_success" });
    const [held, half, single] = [authorization(), authorization(), authorization({ singleCapture: true })];
    for (const input of [held, half, single]) await healthy.authorize(input);
    await healthy.change(change("capture", half.paymentId, { amount: 500n }));
    const victim = dyingProcess(place);
    const capture = change("capture", held.paymentId, { amount: 400n });
    const once = change("capture", single.paymentId, { amount: 400n });
    const changes = [capture, change("refund", half.paymentId), change("void", half.paymentId), once];
    const outcomes = await Promise.allSettled([
      ...[approved, declined, lost].map((input) => victim.authorize(input)),
      ...changes.map((asked) => victim.change(asked)),
    ]);
    const pending = outcomes.filter((outcome) => outcome.status === "fulfilled" && outcome.value.pending);
    if (place !== "after recording") assert.equal(pending.length, 7);
    await harness.resolveAll(harness.mover());
    await harness.assertBalance();
    const statuses = await Promise.all(
      [approved, declined, lost, held, half].map(({ paymentId }) => stored(paymentId)),
    );
    assert.deepEqual(statuses.map(statusOf), ["authorized", "declined", "authorized", "authorized", "refunded"]);
    const again = await healthy.change(capture);
    assert.deepEqual([again.payment.captured, again.pending], [400n, false]);
    assert.equal((await healthy.authorize(lost)).pending, false);
    const { captured, voided } = (await healthy.change(once)).payment;
    assert.deepEqual([captured, voided], [400n, 600n]);
  });
}

test("a gateway that cannot be reached decides nothing; what was asked goes on when it is back", async () => {
  const input = authorization();
  const cut = harness.mover({ ...soon, gateway: unreachable() });
  const { payment, pending } = await cut.authorize(input);
  assert.deepEqual([statusOf(payment), pending], ["pending", true]);
  for (let sweep = 0; sweep < 3; sweep += 1) {
    await harness.expireLeases();
    await cut.resolve();
    assert.equal(statusOf(await stored(input.paymentId)), "pending");
  }
  await harness.resolveAll(harness.mover());
  assert.equal(statusOf(await stored(input.paymentId)), "authorized");
  await harness.assertBalance();
});

test("an answer that is lost is asked for, and an effect that is known is not sent again", async () => {
  const sent: string[] = [];
  const gateway = gatewayWith(harness, {
    execute: (operation, call) => {
      sent.push(operation.key);
      return harness.gateway.execute(operation, call);
    },
  });
  const mover = harness.mover({ gateway });
  const input = authorization({ cardToken: "tok_timeout_after_success" });
  assert.equal((await mover.authorize(input)).pending, false);
  assert.equal(sent.length, 1);
  await mover.authorize(authorization({ cardToken: "tok_error_500" }));
  assert.deepEqual([sent.length, new Set(sent).size], [4, 2]);
});

test("replicas share what is undecided and do each thing once", async () => {
  const inputs = Array.from({ length: 40 }, () => authorization());
  const cut = harness.mover({ ...soon, gateway: unreachable() });
  await Promise.all(inputs.map((input) => cut.authorize(input)));
  await cut.drain(0);
  await harness.expireLeases();
  const replicas = [harness.mover(), harness.mover(), harness.mover()];
  const taken = await Promise.all(replicas.map((replica) => replica.resolve()));
  assert.equal(
    taken.reduce((sum, count) => sum + count, 0),
    40,
  );
  await harness.resolveAll(harness.mover());
  for (const { paymentId } of inputs) assert.equal(statusOf(await stored(paymentId)), "authorized");
  await harness.assertBalance();
});

test("a void overtakes an authorization that is undecided: the money is free in the end", async () => {
  const mover = harness.mover(soon);
  const input = authorization({ cardToken: "tok_slow" });
  const [whole, part] = [change("void", input.paymentId), change("void", input.paymentId, { amount: 300n })];
  assert.equal((await mover.authorize(input)).pending, true);
  assert.equal((await mover.change(part)).pending, true);
  assert.equal((await mover.change(whole)).pending, true);
  await harness.resolveAll(mover);
  const payment = await stored(input.paymentId);
  assert.deepEqual([statusOf(payment), payment.voided, heldOf(payment)], ["voided", 1000n, 0n]);
  await harness.assertBalance();
  const answers = [await mover.change(part), await mover.change(whole)];
  assert.deepEqual(
    answers.map((answer) => [answer.pending, answer.payment.voided]),
    [
      [false, 300n],
      [false, 1000n],
    ],
  );
  await assert.rejects(mover.authorize(input), { reasonName: "PAYMENT_VOIDED" });
});

test("a void of an authorization that turns out declined succeeds", async () => {
  const input = authorization({ cardToken: "tok_decline" });
  const cut = harness.mover({ ...soon, gateway: unreachable() });
  const asked = change("void", input.paymentId);
  await cut.authorize(input);
  assert.equal((await cut.change(asked)).pending, true);
  const mover = harness.mover();
  await harness.resolveAll(mover);
  const { payment, pending } = await mover.change(asked);
  assert.deepEqual([statusOf(payment), payment.voided, pending], ["declined", 0n, false]);
  await harness.assertBalance();
});

test("a void that comes first refuses the authorization, and the gateway never hears of it", async () => {
  const mover = harness.mover({
    gateway: gatewayWith(harness, { execute: () => assert.fail("the gateway was asked") }),
  });
  const input = authorization();
  const asked = change("void", input.paymentId);
  for (let round = 0; round < 2; round += 1) {
    const { payment, pending } = await mover.change(asked);
    assert.deepEqual([statusOf(payment), pending], ["voided", false]);
    await assert.rejects(mover.authorize(input), { reasonName: "PAYMENT_VOIDED" });
  }
  await harness.assertBalance();
});

test("a void and an authorization at the same moment on two replicas: nothing stays held", async () => {
  const [one, two] = [harness.mover(), harness.mover()];
  for (let round = 0; round < 20; round += 1) {
    const input = authorization();
    await Promise.allSettled([one.authorize(input), two.change(change("void", input.paymentId))]);
    assert.equal(heldOf(await stored(input.paymentId)), 0n);
  }
  await harness.assertBalance();
});

test("a process that is told to stop ends its calls and leaves them to others", async () => {
  const mover = harness.mover({ config: { PAYMENTS_ANSWER_WITHIN_MS: 20 } });
  const input = authorization({ cardToken: "tok_slow" });
  assert.equal((await mover.authorize(input)).pending, true);
  await mover.drain(0);
  await harness.resolveAll(harness.mover());
  assert.equal(statusOf(await stored(input.paymentId)), "authorized");
  await harness.assertBalance();
});
