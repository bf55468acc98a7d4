import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Transaction } from "#platform/database/transaction.ts";
import { readBalance } from "../src/balance.ts";
import { type Gateway, GatewayUnavailableError } from "../src/gateway/gateway.ts";
import type { Payments } from "../src/move/money-mover.ts";
import { OperationRepository, type Transactions } from "../src/operation/operation.repository.ts";
import { recordDecisions } from "../src/operation/operation-statements.ts";
import { heldOf, type Payment, statusOf } from "../src/payment/payment.ts";
import { authorization, change, type Harness, openHarness, until } from "./harness.ts";

const slowMs = 1_500;
let harness: Harness;

before(async () => {
  harness = await openHarness({ slowMs });
});
after(() => harness[Symbol.asyncDispose]());

const soon = { answerWithinMs: 50, limits: { timeoutMs: 100, inflight: 16 } };

/** A gateway that is the simulator but for some calls. */
function gatewayWith(changed: Partial<Gateway>): Gateway {
  const { simulator } = harness;
  return {
    authorize: (key, request, call) => simulator.authorize(key, request, call),
    capture: (key, request, call) => simulator.capture(key, request, call),
    void: (key, request, call) => simulator.void(key, request, call),
    refund: (key, request, call) => simulator.refund(key, request, call),
    find: (key, call) => simulator.find(key, call),
    ...changed,
  };
}

const away = () => Promise.reject(new GatewayUnavailableError("no route to the gateway"));
const unreachable = (): Gateway => ({ authorize: away, capture: away, void: away, refund: away, find: away });

/** Runs the resolver as another replica would, until nothing is undecided. */
async function resolveAll(payments: Payments): Promise<void> {
  await until(async () => {
    await harness.expireLeases();
    await payments.resolve();
    return (await readBalance(harness.database)).undecided === 0;
  });
}

async function assertAgreement(): Promise<void> {
  const { problems, undecided } = await readBalance(harness.database);
  assert.deepEqual({ problems, undecided }, { problems: [], undecided: 0 });
}

async function stored(paymentId: string): Promise<Payment> {
  const payment = await harness.repository.get(paymentId);
  assert.ok(payment);
  return payment;
}

type Place = "before the gateway" | "after the gateway" | "while recording" | "after recording";

/** A database whose process dies at the statement that records decisions: before it, before its commit, or after it. */
function dyingDatabase(place: Place): Transactions {
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
    query: (sql, values) => database.query(sql, values),
    transaction: (work) => database.transaction((tx) => work(dying(tx))),
  };
}

function dyingProcess(place: Place): Payments {
  const repository = new OperationRepository(dyingDatabase(place), 60_000);
  return harness.payments({
    ...soon,
    repository,
    ...(place === "before the gateway" ? { gateway: unreachable() } : {}),
  });
}

for (const place of ["before the gateway", "after the gateway", "while recording", "after recording"] as const) {
  test(`a process that dies ${place} leaves nothing undone`, async () => {
    const healthy = harness.payments();
    const approved = authorization();
    const declined = authorization({ cardToken: "tok_decline" });
    const lost = authorization({ cardToken: "tok_timeout_after_success" });
    const [held, half] = [authorization(), authorization()];
    for (const input of [held, half]) await healthy.authorize(input);
    await healthy.change(change("capture", half.paymentId, { amount: 500n }));
    const victim = dyingProcess(place);
    const capture = change("capture", held.paymentId, { amount: 400n });
    const changes = [capture, change("refund", half.paymentId), change("void", half.paymentId)];
    const outcomes = await Promise.allSettled([
      ...[approved, declined, lost].map((input) => victim.authorize(input)),
      ...changes.map((asked) => victim.change(asked)),
    ]);
    const pending = outcomes.filter((outcome) => outcome.status === "fulfilled" && outcome.value.pending);
    if (place !== "after recording") assert.equal(pending.length, 6);
    await resolveAll(harness.payments());
    await assertAgreement();
    const statuses = await Promise.all(
      [approved, declined, lost, held, half].map(({ paymentId }) => stored(paymentId)),
    );
    assert.deepEqual(statuses.map(statusOf), ["authorized", "declined", "authorized", "authorized", "refunded"]);
    const again = await healthy.change(capture);
    assert.deepEqual([again.payment.captured, again.pending], [400n, false]);
    assert.equal((await healthy.authorize(lost)).pending, false);
  });
}

test("a gateway that cannot be reached decides nothing; what was asked goes on when it is back", async () => {
  const input = authorization();
  const cut = harness.payments({ ...soon, gateway: unreachable() });
  const { payment, pending } = await cut.authorize(input);
  assert.deepEqual([statusOf(payment), pending], ["pending", true]);
  for (let sweep = 0; sweep < 3; sweep += 1) {
    await harness.expireLeases();
    await cut.resolve();
    assert.equal(statusOf(await stored(input.paymentId)), "pending");
  }
  await resolveAll(harness.payments());
  assert.equal(statusOf(await stored(input.paymentId)), "authorized");
  await assertAgreement();
});

test("an answer that is lost is asked for, and an effect that is known is not sent again", async () => {
  const sent: string[] = [];
  const gateway = gatewayWith({
    authorize: (key, request, call) => {
      sent.push(key);
      return harness.simulator.authorize(key, request, call);
    },
  });
  const payments = harness.payments({ gateway });
  const input = authorization({ cardToken: "tok_timeout_after_success" });
  assert.equal((await payments.authorize(input)).pending, false);
  assert.equal(sent.length, 1);
  await payments.authorize(authorization({ cardToken: "tok_error_500" }));
  assert.deepEqual([sent.length, new Set(sent).size], [4, 2]);
});

test("replicas share what is undecided and do each thing once", async () => {
  const inputs = Array.from({ length: 40 }, () => authorization());
  const cut = harness.payments({ ...soon, gateway: unreachable() });
  await Promise.all(inputs.map((input) => cut.authorize(input)));
  await cut.drain(0);
  await harness.expireLeases();
  const replicas = [harness.payments(), harness.payments(), harness.payments()];
  const taken = await Promise.all(replicas.map((replica) => replica.resolve()));
  assert.equal(
    taken.reduce((sum, count) => sum + count, 0),
    40,
  );
  await resolveAll(harness.payments());
  for (const { paymentId } of inputs) assert.equal(statusOf(await stored(paymentId)), "authorized");
  await assertAgreement();
});

test("a void overtakes an authorization that is undecided: the money is free in the end", async () => {
  const payments = harness.payments(soon);
  const input = authorization({ cardToken: "tok_slow" });
  const [whole, part] = [change("void", input.paymentId), change("void", input.paymentId, { amount: 300n })];
  assert.equal((await payments.authorize(input)).pending, true);
  assert.equal((await payments.change(part)).pending, true);
  assert.equal((await payments.change(whole)).pending, true);
  await resolveAll(payments);
  const payment = await stored(input.paymentId);
  assert.deepEqual([statusOf(payment), payment.voided, heldOf(payment)], ["voided", 1000n, 0n]);
  await assertAgreement();
  const answers = [await payments.change(part), await payments.change(whole)];
  assert.deepEqual(
    answers.map((answer) => [answer.pending, answer.payment.voided]),
    [
      [false, 300n],
      [false, 1000n],
    ],
  );
  await assert.rejects(payments.authorize(input), { reasonName: "PAYMENT_VOIDED" });
});

test("a void of an authorization that turns out declined succeeds", async () => {
  const input = authorization({ cardToken: "tok_decline" });
  const cut = harness.payments({ ...soon, gateway: unreachable() });
  const asked = change("void", input.paymentId);
  await cut.authorize(input);
  assert.equal((await cut.change(asked)).pending, true);
  const payments = harness.payments();
  await resolveAll(payments);
  const { payment, pending } = await payments.change(asked);
  assert.deepEqual([statusOf(payment), payment.voided, pending], ["declined", 0n, false]);
  await assertAgreement();
});

test("a void that comes first refuses the authorization, and the gateway never hears of it", async () => {
  const payments = harness.payments({
    gateway: gatewayWith({ authorize: () => assert.fail("the gateway was asked") }),
  });
  const input = authorization();
  const asked = change("void", input.paymentId);
  for (let round = 0; round < 2; round += 1) {
    const { payment, pending } = await payments.change(asked);
    assert.deepEqual([statusOf(payment), pending], ["voided", false]);
    await assert.rejects(payments.authorize(input), { reasonName: "PAYMENT_VOIDED" });
  }
  await assertAgreement();
});

test("a void and an authorization at the same moment on two replicas: nothing stays held", async () => {
  const [one, two] = [harness.payments(), harness.payments()];
  for (let round = 0; round < 20; round += 1) {
    const input = authorization();
    await Promise.allSettled([one.authorize(input), two.change(change("void", input.paymentId))]);
    assert.equal(heldOf(await stored(input.paymentId)), 0n);
  }
  await assertAgreement();
});

test("a process that is told to stop ends its calls and leaves them to others", async () => {
  const payments = harness.payments({ answerWithinMs: 20 });
  const input = authorization({ cardToken: "tok_slow" });
  assert.equal((await payments.authorize(input)).pending, true);
  await payments.drain(0);
  await resolveAll(harness.payments());
  assert.equal(statusOf(await stored(input.paymentId)), "authorized");
  await assertAgreement();
});
