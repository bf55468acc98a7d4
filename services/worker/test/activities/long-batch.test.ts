import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MockActivityEnvironment } from "@temporalio/testing";
import { keyOf } from "../../src/activities/entry-key.ts";
import { type LongBatchPolicy, untilDecided } from "../../src/activities/long-batch.ts";
import type { Outcome } from "../../src/workflows/engine/step-batch.ts";

const parcels = ["a", "b"].map((locationId) => ({ orderId: "order", locationId }));

/** Waits for parcels of which the given number is decided at once. */
async function waitFor(policy: LongBatchPolicy, { decided = 0, ageMs = 0, heartbeatTimeoutMs = 10_000 }) {
  const environment = new MockActivityEnvironment({ heartbeatTimeoutMs });
  let heartbeats = 0;
  environment.on("heartbeat", () => {
    heartbeats++;
  });
  let looks = 0;
  const start = Date.now();
  const look = async () => {
    looks++;
    const outcomes = parcels.map((parcel, index): [string, Outcome<null>] => [
      keyOf(parcel),
      index < decided ? { kind: "done", value: null } : { kind: "pending" },
    ]);
    return new Map(outcomes);
  };
  const wait = () => untilDecided(parcels, look, policy, () => start - ageMs);
  const outcomes = await environment.run<[], Outcome<null>[], typeof wait>(wait);
  return { kinds: outcomes.map(({ kind }) => kind), looks, heartbeats, tookMs: Date.now() - start };
}

describe("waiting for the outside world", () => {
  test("is rarer the longer it has taken already", async () => {
    const { looks, kinds } = await waitFor({ boundMs: 1_000, graceMs: 0, firstLookMs: 10 }, {});
    assert.deepEqual(kinds, ["pending", "pending"]);
    // 10, 20, 30 ms, and then half as much again each time.
    assert.ok(looks >= 4 && looks <= 12, `${looks} looks`);
  });

  test("is left to the workflow when it takes longer than the activity may", async () => {
    const { looks, tookMs } = await waitFor({ boundMs: 20_000, graceMs: 0, firstLookMs: 10 }, { ageMs: 60_000 });
    assert.equal(looks, 1);
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
  });

  test("heartbeats in long pauses", async () => {
    const { heartbeats, looks } = await waitFor(
      { boundMs: 500, graceMs: 0, firstLookMs: 400 },
      { heartbeatTimeoutMs: 120 },
    );
    assert.equal(looks, 2);
    assert.ok(heartbeats >= 8, `${heartbeats} heartbeats`);
  });

  test("does not keep what is decided longer than its grace, however old the others are", async () => {
    const policy = { boundMs: 60_000, graceMs: 50, firstLookMs: 10 };
    const { kinds, looks, tookMs } = await waitFor(policy, { decided: 1, ageMs: 60_000 });
    assert.deepEqual(kinds, ["done", "pending"]);
    assert.equal(looks, 2);
    assert.ok(tookMs < 20_000, `${tookMs} ms`);
  });
});
