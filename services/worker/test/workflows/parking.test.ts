import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import { parkedSteps, resolveStep, retryStep } from "../../src/workflows/legacy/messages.ts";
import { anOrder } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { type Behaviour, type Call, on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

const checkout = ["reserve", "authorize", "confirm", "CONFIRMED"];
const fulfilment = ["PREPARING", "prepare:BER", "ship:BER", "capture:BER", "commit:BER", "SHIPPED", "DELIVERED"];
const away: Behaviour = { kind: "unavailable" };
/** So that a step is parked after parts of a second. */
const impatient = { patienceMs: 1_000 };

async function parkedOrders(orderId: string): Promise<string[]> {
  const found: string[] = [];
  const query = `ParkedOrderIds = "${orderId}"`;
  for await (const { workflowId } of stage.environment.client.workflow.list({ query })) found.push(workflowId);
  return found;
}

/** Until when a rule holds. */
function switchable() {
  let broken = true;
  return { heal: () => (broken = false), broken: () => broken };
}

describe("a step that keeps failing is parked and goes on when an operator has it tried again", {
  concurrency: true,
}, () => {
  const steps: Record<string, string> = {
    reserve: "reserve",
    authorize: "authorize",
    confirm: "confirm",
    prepare: "prepare:BER",
    ship: "ship:BER",
    capture: "capture:BER",
    commit: "commit:BER",
  };
  for (const [step, parkedStep] of Object.entries(steps)) {
    test(step, async () => {
      const order = anOrder();
      const { orderId } = order;
      const fault = switchable();
      const rule = on(step, away, { orderId });
      const handle = await stage.start([order], [(call) => (fault.broken() ? rule(call) : undefined)], impatient);
      assert.match(await stage.parked(handle, parkedStep), /the service is away/);
      await until(async () => (await parkedOrders(orderId)).length === 1, "the order is found as parked", patient);
      fault.heal();
      await handle.executeUpdate(retryStep, { args: [{ orderId, step: parkedStep }] });
      assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "DELIVERED" }]);
      assert.deepEqual(stage.world.trace(orderId), [...checkout, ...fulfilment]);
      await until(async () => (await parkedOrders(orderId)).length === 0, "the order is not parked any more", patient);
    });
  }

  for (const step of ["void", "release"]) {
    test(`the compensation ${step}`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const fault = switchable();
      const rule = on(step, away, { orderId });
      const declined = on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
      const rules = [declined, (call: Parameters<typeof rule>[0]) => (fault.broken() ? rule(call) : undefined)];
      const handle = await stage.start([order], rules, impatient);
      await stage.parked(handle, step);
      fault.heal();
      await handle.executeUpdate(retryStep, { args: [{ orderId, step }] });
      assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "REJECTED" }]);
      assert.deepEqual(stage.world.trace(orderId), ["reserve", "void", "release", "REJECTED"]);
    });
  }
});

describe("an operator", { concurrency: true }, () => {
  test("resolves a compensation by other means", async () => {
    const order = anOrder();
    const { orderId } = order;
    const rules = [
      on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }),
      on("release", { kind: "refuse", reason: "NOT_NOW" }, { orderId }),
    ];
    const handle = await stage.start([order], rules, impatient);
    assert.match(await stage.parked(handle, "release"), /NOT_NOW/);
    await handle.executeUpdate(resolveStep, { args: [{ orderId, step: "release", note: "put back by hand" }] });
    assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "REJECTED" }]);
  });

  test("resolves a capture that was refused after the parcel left", async () => {
    const order = anOrder();
    const { orderId } = order;
    const rule = on("capture", { kind: "refuse", reason: "NOT_AUTHORIZED" }, { orderId });
    const handle = await stage.start([order], [rule], impatient);
    await stage.parked(handle, "capture:BER");
    await handle.executeUpdate(resolveStep, { args: [{ orderId, step: "capture:BER", note: "paid in cash" }] });
    assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "DELIVERED" }]);
  });

  for (const { step, parkedStep, rules } of [
    { step: "capture", parkedStep: "capture:BER", rules: [] },
    { step: "commit", parkedStep: "commit:BER", rules: [] },
    { step: "void", parkedStep: "void", rules: [on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" })] },
  ]) {
    test(`has a refused ${step} asked anew: the callee remembers its refusal by the request id`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const own = rules.map((rule) => (call: Call) => (call.orderId === orderId ? rule(call) : undefined));
      const asked: string[] = [];
      const remembers = (call: Call): Behaviour | undefined => {
        if (call.orderId !== orderId || call.step !== step) return undefined;
        asked.push(call.id);
        return call.id === `${orderId}:${parkedStep}` ? { kind: "refuse", reason: "GATEWAY_REFUSED" } : undefined;
      };
      const handle = await stage.start([order], [...own, remembers], impatient);
      await stage.parked(handle, parkedStep);
      await handle.executeUpdate(retryStep, { args: [{ orderId, step: parkedStep }] });
      const [end] = (await handle.result()).orders;
      assert.equal(end?.stage, step === "void" ? "REJECTED" : "DELIVERED");
      assert.deepEqual(asked, [`${orderId}:${parkedStep}`, `${orderId}:${parkedStep}#1`]);
    });
  }

  test("does not have a step that failed asked by another name: it may have had its effect", async () => {
    const order = anOrder();
    const { orderId } = order;
    const fault = switchable();
    const lost = on("capture", { kind: "lost" }, { orderId });
    const asked = new Set<string>();
    const rule = (call: Call) => {
      if (call.orderId === orderId && call.step === "capture") asked.add(call.id);
      return fault.broken() ? lost(call) : undefined;
    };
    const handle = await stage.start([order], [rule], impatient);
    await stage.parked(handle, "capture:BER");
    fault.heal();
    await handle.executeUpdate(retryStep, { args: [{ orderId, step: "capture:BER" }] });
    assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "DELIVERED" }]);
    assert.deepEqual([...asked], [`${orderId}:capture:BER`]);
    assert.equal(stage.world.order(orderId).captured, 2_500n);
  });

  test("gives up a checkout step by resolving it: nothing can stand in for its answer", async () => {
    const order = anOrder();
    const { orderId } = order;
    const handle = await stage.start([order], [on("authorize", away, { orderId })], impatient);
    await stage.parked(handle, "authorize");
    await handle.executeUpdate(resolveStep, { args: [{ orderId, step: "authorize", note: "no hope" }] });
    assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "REJECTED" }]);
    assert.deepEqual(stage.world.trace(orderId), ["reserve", "void", "release", "REJECTED"]);
    assert.equal(stage.world.order(orderId).failure, "SERVICE_UNAVAILABLE");
  });

  test("is refused for a step that does not wait", async () => {
    const order = anOrder();
    const { orderId } = order;
    const handle = await stage.start([order], [on("authorize", away, { orderId })], impatient);
    await stage.parked(handle, "authorize");
    const update = handle.executeUpdate(retryStep, { args: [{ orderId, step: "release" }] });
    await assert.rejects(update, (error: Error) => /does not wait/.test(String(error.cause)));
    assert.equal((await handle.query(parkedSteps)).length, 1);
    await handle.terminate();
  });

  test("who does not come in time loses an order that is not confirmed", async () => {
    const order = anOrder();
    const { orderId } = order;
    const options = { ...impatient, checkoutPatienceMs: 500 };
    assert.deepEqual(await stage.run([order], [on("reserve", away, { orderId })], options), ["REJECTED"]);
    assert.deepEqual(stage.world.trace(orderId), ["void", "release", "REJECTED"]);
    assert.equal(stage.world.order(orderId).failure, "SERVICE_UNAVAILABLE");
  });

  test("who does not come in time fails an order that a lost task had confirmed", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.world.order(orderId).status = "CONFIRMED";
    const options = { ...impatient, checkoutPatienceMs: 500 };
    assert.deepEqual(await stage.run([order], [on("reserve", away, { orderId })], options), ["FAILED"]);
    assert.deepEqual(stage.world.trace(orderId), ["void", "release", "FAILED"]);
  });
});
