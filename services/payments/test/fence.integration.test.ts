// A workflow that was taken for lost may wake: what it asks then is refused, and the money stays with whoever builds on it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { MoneyMover } from "../src/move/money-mover.ts";
import type { ChangeInput } from "../src/operation/operation-request.ts";
import { statusOf } from "../src/payment/payment.ts";
import { authorization, change, connect, type Harness, openHarness } from "./harness.ts";

type Kind = "authorize" | ChangeInput["kind"];

interface Asked {
  readonly kind: Kind;
  readonly amount?: bigint;
}

/** What was done before, the last of it in the later episode; what an earlier one asks then; and how the payment stands when the later one asks for it. */
const cases: { name: string; before: Asked[]; late: Asked; done: string }[] = [
  {
    name: "authorize of what was voided before",
    before: [{ kind: "void" }],
    late: { kind: "authorize" },
    done: "PAYMENT_VOIDED",
  },
  { name: "capture", before: [{ kind: "authorize" }], late: { kind: "capture" }, done: "captured 1000/0/0" },
  { name: "void", before: [{ kind: "authorize" }], late: { kind: "void" }, done: "voided 0/1000/0" },
  {
    name: "void of a part",
    before: [{ kind: "authorize" }],
    late: { kind: "void", amount: 400n },
    done: "authorized 0/400/0",
  },
  {
    name: "void of what was never authorized",
    before: [{ kind: "void" }],
    late: { kind: "void" },
    done: "voided 0/0/0",
  },
  {
    name: "refund",
    before: [{ kind: "authorize" }, { kind: "capture" }],
    late: { kind: "refund", amount: 300n },
    done: "captured 1000/0/300",
  },
];

describe("what an episode asks that is over", () => {
  let harness: Harness;
  let mover: MoneyMover;
  before(async () => {
    harness = await openHarness();
    mover = harness.mover();
  });
  after(() => harness[Symbol.asyncDispose]());

  /** Asks for something of the payment of an order, which has the order's id. */
  async function ask(
    id: string,
    { kind, amount }: Asked,
    given: { fence: number; requestId?: string; by?: MoneyMover },
  ): Promise<string> {
    const { by = mover, ...rest } = given;
    const call =
      kind === "authorize"
        ? by.authorize(authorization({ paymentId: id, orderId: id, customerId: id, ...rest }))
        : by.change(change(kind, id, { ...rest, ...(amount && { amount }) }));
    return call.then(
      ({ payment }) => `${statusOf(payment)} ${payment.captured}/${payment.voided}/${payment.refunded}`,
      ({ reasonName, message }) => reasonName ?? message,
    );
  }
  const fenceOf = async (id: string) => (await harness.payments.get(id))?.fence;
  const everything = async (id: string) => [
    await harness.database.query("select * from payment where payment_id = $1", [decodeId(id)]),
    await harness.database.query("select * from payment_operation where payment_id = $1 order by operation_id", [
      decodeId(id),
    ]),
    await harness.database.query("select * from ledger_entry where payment_id = $1", [decodeId(id)]),
    await harness.database.query("select * from idempotency_key where method like '%' || $1", [id]),
    (await readAuditLog(harness.database)).filter(({ orderId }) => orderId === id),
  ];
  const prepared = async (steps: Asked[], last: number) => {
    const id = newId();
    for (const [index, step] of steps.entries()) await ask(id, step, { fence: index === steps.length - 1 ? last : 1 });
    return id;
  };

  for (const { name, before: steps, late, done } of cases) {
    it(`is refused and moves nothing, and is done for the later one: ${name}`, async () => {
      const id = await prepared(steps, 5);
      const standing = await everything(id);
      assert.equal(await ask(id, late, { fence: 4 }), "EPISODE_OVER");
      assert.deepEqual(await everything(id), standing);
      assert.equal(await ask(id, late, { fence: 5 }), done);
      await harness.assertBalance();
    });

    it(`is done for an episode after it, and for whoever says none: ${name}`, async () => {
      const [later, none] = [await prepared(steps, 5), await prepared(steps, 5)];
      assert.equal(await ask(later, late, { fence: 6 }), done);
      assert.equal(await ask(none, late, { fence: 0 }), done);
      assert.deepEqual([await fenceOf(later), await fenceOf(none)], [done === "PAYMENT_VOIDED" ? 5 : 6, 5]);
    });
  }

  it("is refused also when the later one was answered with what this one had done", async () => {
    const id = newId();
    const requestId = `${id}:authorize`;
    const authorized = await ask(id, { kind: "authorize" }, { fence: 1, requestId });
    assert.equal(await ask(id, { kind: "authorize" }, { fence: 2, requestId }), authorized);
    assert.equal(await fenceOf(id), 2);
    assert.equal(await ask(id, { kind: "void" }, { fence: 1 }), "EPISODE_OVER");
    assert.equal(await ask(id, { kind: "authorize" }, { fence: 1, requestId }), "EPISODE_OVER", "its own repetition");
    assert.equal(await ask(id, { kind: "capture" }, { fence: 2 }), "captured 1000/0/0");
  });

  it("is refused also of another payment of the order: of one that it has, and of one that it would get", async () => {
    const id = newId();
    const [more, another] = [newId(), newId()];
    await ask(id, { kind: "authorize" }, { fence: 1 });
    const further = (paymentId: string, fence: number) =>
      mover.authorize(authorization({ paymentId, orderId: id, fence })).then(
        () => "done",
        ({ reasonName }) => reasonName,
      );
    assert.equal(await further(more, 2), "done");
    assert.equal(await ask(id, { kind: "void" }, { fence: 1 }), "EPISODE_OVER");
    assert.equal(await further(another, 1), "EPISODE_OVER");
    assert.equal(await harness.payments.get(another), undefined);
    assert.equal(await further(another, 2), "done");
    assert.equal(await ask(id, { kind: "capture" }, { fence: 2 }), "captured 1000/0/0");
  });

  it("is not taken back by what the gateway says later", async () => {
    const id = newId();
    const slow = authorization({ paymentId: id, orderId: id, cardToken: "tok_timeout", fence: 1 });
    const begun = harness.mover({ config: { PAYMENTS_ANSWER_WITHIN_MS: 50 } });
    await begun.authorize(slow);
    await begun.authorize({ ...slow, fence: 3 });
    await harness.resolveAll(mover);
    assert.equal(await fenceOf(id), 3);
    assert.equal(await ask(id, { kind: "void" }, { fence: 2 }), "EPISODE_OVER");
  });

  it("is looked at when the saga says it, and nobody else; the same request is the same from any episode", async () => {
    const id = newId();
    const payments = connect(harness.process(), "worker");
    const ada = connect(harness.process(), "ada");
    const amount = { currency: "EUR", amount: 1000n };
    const request = {
      requestId: `${id}:authorize`,
      paymentId: id,
      orderId: id,
      customerId: id,
      amount,
      cardToken: "tok_approve",
    };
    for (const fence of [1, 2]) {
      const { outcomes } = await payments.batchAuthorizePayments({ requests: [{ ...request, fence }] });
      assert.equal(outcomes[0]?.outcome.case, "response");
    }
    assert.equal(await fenceOf(id), 2);
    const part = { paymentId: id, amount: { currency: "EUR", amount: 1n } };
    await ada.capturePayment({ ...part, requestId: newId(), fence: 2_147_483_647 });
    await ada.capturePayment({ ...part, requestId: newId(), fence: 1 });
    assert.equal(await fenceOf(id), 2);
    const capture = (fence: number) => ({ ...part, requestId: `${id}:${fence}`, fence });
    const { outcomes } = await payments.batchCapturePayments({ requests: [capture(1), capture(2)] });
    assert.deepEqual(
      outcomes.map(({ outcome }) => (outcome.case === "failure" ? outcome.value.reason : outcome.case)),
      ["EPISODE_OVER", "response"],
    );
    const failure = outcomes[0]?.outcome.case === "failure" ? outcomes[0].outcome.value.metadata : {};
    assert.deepEqual(failure, { payment_id: id, fence: "1", highest: "2" });
  });

  it("never voids what the other one goes on with, in whichever order both come from two processes", async () => {
    const other = harness.mover();
    for (let round = 0; round < 20; round += 1) {
      const id = newId();
      const requestId = `${id}:authorize`;
      await ask(id, { kind: "authorize" }, { fence: 1, requestId });
      const [late, again] = await Promise.all([
        ask(id, { kind: "void" }, { fence: 1, by: other }),
        ask(id, { kind: "authorize" }, { fence: 2, requestId }),
      ]);
      assert.match(again, /^authorized|^voided/);
      const captured = await ask(id, { kind: "capture" }, { fence: 2 });
      assert.equal(captured, late === "EPISODE_OVER" ? "captured 1000/0/0" : "NOT_AUTHORIZED");
    }
    await harness.assertBalance();
  });
});
