import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import type { Gateway } from "../src/gateway/gateway.ts";
import type { GatewayCallOutcome } from "../src/gateway/gateway-call.ts";
import { GatewayCaller } from "../src/gateway/gateway-caller.ts";
import type { Ticket } from "../src/operation/operation.ts";
import { newAuthorization } from "../src/operation/operation-request.ts";
import { authorization } from "./harness.ts";

const log = quietLogger();
const plain = { inTurn: false, capturesOnce: async () => false, refusal: () => undefined };

/** A gateway whose calls do not end, whatever their signal says, until they are let go. */
function deaf() {
  const gate = Promise.withResolvers<{ state: "approved"; reference: string }>();
  let running = 0;
  const call = () => {
    running += 1;
    return gate.promise;
  };
  const gateway: Gateway = { ...plain, execute: call, find: call };
  const letGo = () => gate.resolve({ state: "approved", reference: "R" });
  return { gateway, running: () => running, letGo };
}

function ticket(): Ticket {
  const source = { actor: "", requestId: "", traceparent: "" };
  return newAuthorization({ ...authorization(), source, asker: undefined }, newId(), { createTime: new Date() });
}

test("a call that does not end when it is told to leaves the operation undecided, in time", async () => {
  const { gateway, letGo } = deaf();
  const outcomes: GatewayCallOutcome[] = [];
  const limits = { timeoutMs: 50, inflight: 4 };
  const caller = new GatewayCaller({ gateway, limits, log, onCall: ({ outcome }) => outcomes.push(outcome) });
  const begun = performance.now();
  assert.equal(await caller.decide(ticket(), false), undefined);
  assert.ok(performance.now() - begun < 20_000);
  assert.deepEqual([...new Set(outcomes)], ["ambiguous"]);
  letGo();
});

test("calls that are left behind are bounded, and once they end the gateway is called again", async () => {
  const { gateway, running, letGo } = deaf();
  const outcomes: GatewayCallOutcome[] = [];
  const limits = { timeoutMs: 20, inflight: 2 };
  const caller = new GatewayCaller({ gateway, limits, log, onCall: ({ outcome }) => outcomes.push(outcome) });
  for (let round = 0; round < 6; round += 1) {
    await Promise.all([ticket(), ticket(), ticket()].map((each) => caller.decide(each, false)));
  }
  assert.ok(running() <= 4, `${running()} calls run`);
  assert.ok(outcomes.includes("unavailable"));
  letGo();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await caller.decide(ticket(), false), {
    approved: true,
    reference: "R",
    holdExpireTime: undefined,
  });
});

test("a stop ends calls that do not listen", async () => {
  const { gateway, running, letGo } = deaf();
  const caller = new GatewayCaller({ gateway, limits: { timeoutMs: 60_000, inflight: 2 }, log });
  const decided = caller.decide(ticket(), false);
  await until(() => running() === 1, "a call runs");
  const begun = performance.now();
  caller.stop();
  assert.equal(await decided, undefined);
  assert.ok(performance.now() - begun < 5_000);
  letGo();
});

test("a code that shows a card number is taken without it", async () => {
  const decline = async () => ({ state: "declined", code: "stolen: 4111 1111 1111 1111" }) as const;
  const gateway: Gateway = { ...plain, execute: decline, find: decline };
  const caller = new GatewayCaller({ gateway, limits: { timeoutMs: 1_000, inflight: 2 }, log });
  assert.deepEqual(await caller.decide(ticket(), false), { approved: false, code: "stolen: [card number]" });
});
