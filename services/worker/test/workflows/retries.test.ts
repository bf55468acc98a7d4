// How steps are tried again, as a worker without any configuration does it: not as the other tests, which have no time to wait.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { loadConfig } from "#platform/config.ts";
import { episodeOptions, workerConfig } from "../../src/config.ts";
import { retriesOf } from "../../src/workflows/engine/retries.ts";
import { type StepName, type StepSpec, steps } from "../../src/workflows/step-table.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { on, type Rule } from "../world/rules.ts";

const options = episodeOptions(loadConfig(workerConfig, {}));
const [second, minute] = [1_000, 60_000];

describe("the policy of", () => {
  for (const name of Object.keys(steps) as StepName[]) {
    const step: StepSpec = steps[name];
    test(name, () => {
      const { all, rest, part } = retriesOf(step, options);
      const doubling = { initialInterval: second, backoffCoefficient: 2 };
      assert.deepEqual(part, { ...doubling, maximumInterval: minute, maximumAttempts: 2 });
      if (name === "settleOrder") {
        const patient = { ...doubling, maximumInterval: 10 * second, maximumAttempts: Number.POSITIVE_INFINITY };
        assert.deepEqual([all, rest], [patient, patient]);
        return;
      }
      assert.deepEqual(all, { ...doubling, maximumInterval: minute, maximumAttempts: 5 });
      // After one attempt in the first workflow task, and its pause of a second.
      assert.deepEqual(rest, { ...all, initialInterval: 2 * second, maximumAttempts: 4 });
    });
  }
});

describe("with Temporal", () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open(options);
  });
  after(() => stage?.close());

  /** Notes when a step of an order is asked for. */
  function watched(step: string, orderId: string): { times: number[]; rule: Rule } {
    const times: number[] = [];
    return {
      times,
      rule: (call) => {
        if (call.step === step && call.orderId === orderId) times.push(performance.now());
        return undefined;
      },
    };
  }

  test("a service that is away is asked five times, after 1, 2, 4 and 8 s; then the order rests, and its workflow is over", async () => {
    const order = anOrder();
    const { orderId } = order;
    const { times, rule } = watched("authorize", orderId);
    const away = on("authorize", { kind: "unavailable" }, { orderId });
    stage.place([order], [rule, away]);
    await stage.rests(orderId, () => times.length > 0);
    assert.equal(times.length, 5);
    const pauses = times.slice(1).map((time, index) => (time - (times[index] ?? 0)) / second);
    for (const [index, wanted] of [1, 2, 4, 8].entries()) {
      const pause = pauses[index] ?? 0;
      assert.ok(pause > wanted - 0.1 && pause < wanted + 1, `pauses of ${pauses.join(", ")} s`);
    }
    assert.equal(stage.rows.row(orderId).waitsFor, "payments");

    const [first] = stage.starter.started.filter(({ orderIds }) => orderIds.includes(orderId));
    const handle = stage.workflow(first?.episodeId ?? "");
    await handle.result();
    const { events = [] } = await handle.fetchHistory();
    const scheduled = events?.flatMap(({ activityTaskScheduledEventAttributes: each }) =>
      each?.activityType?.name === "authorizePayment" ? [each] : [],
    );
    const { initialInterval, backoffCoefficient, maximumInterval, maximumAttempts } = scheduled?.[0]?.retryPolicy ?? {};
    assert.deepEqual(
      [initialInterval?.seconds, backoffCoefficient, maximumInterval?.seconds, maximumAttempts].map(Number),
      [2, 2, 60, 4],
    );
    const started = events?.flatMap(({ activityTaskStartedEventAttributes: each }) => (each ? [each.attempt] : []));
    assert.deepEqual([scheduled?.length, started?.[0]], [1, 4]);

    stage.world.rules.length = 0;
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.deepEqual(stage.doubles(orderId), []);
  });

  test("a compensation is tried as often, and again in the episodes that follow", async () => {
    const order = anOrder();
    const { orderId } = order;
    const { times, rule } = watched("void", orderId);
    const declined = on("confirm", { kind: "refuse", reason: "HOLD_EXPIRED" }, { orderId });
    stage.place([order], [rule, declined, on("void", { kind: "unavailable" }, { orderId, times: 6 })]);
    await stage.rests(orderId, () => times.length > 0);
    assert.equal(times.length, 5);
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
    assert.equal(times.length, 7);
    assert.deepEqual(stage.doubles(orderId), []);
  });

  test("a refusal is not repeated", async () => {
    const order = anOrder();
    const { orderId } = order;
    const { times, rule } = watched("authorize", orderId);
    const declined = on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
    assert.deepEqual(await stage.run([order], [rule, declined]), ["REJECTED"]);
    assert.equal(times.length, 1);
  });

  test("a batch in which one order makes a service stumble is taken apart after two attempts", async () => {
    const orders = Array.from({ length: 4 }, () => anOrder());
    const [bad, ...others] = orders;
    const orderId = bad?.orderId ?? "";
    const { times, rule } = watched("authorize", orderId);
    const fault = on("authorize", { kind: "fault" }, { orderId });
    const began = performance.now();
    stage.place(orders, [rule, fault]);
    assert.ok((await stage.ends(others)).every((end) => end === "DELIVERED"));
    const seconds = (performance.now() - began) / second;
    // Of four, of two, alone: two attempts each, a second apart.
    assert.ok(seconds < 8, `the others took ${seconds} s`);
    await stage.rests(orderId, () => times.length >= 6);
    stage.world.rules.length = 0;
    assert.deepEqual(
      await stage.ends(orders),
      orders.map(() => "DELIVERED"),
    );
  });
});
