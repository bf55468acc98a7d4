// Who is away is not called, and who is back is, whatever the clock says meanwhile.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { Breaker, BreakerOpenError, isAway, NoAnswerError } from "#platform/grpc/breaker.ts";
import { addProcessMetrics, connectorCalls } from "#platform/metrics/process-metrics.ts";
import { keptLog, quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";

let names = 0;

/** Somebody outside who does what the test says, behind a breaker of a name of its own. */
function outside(log = quietLogger()) {
  names += 1;
  const name = `test-${names}`;
  const breaker = new Breaker({ name, log });
  let calls = 0;
  let answer: () => Promise<string> = async () => "yes";
  return {
    name,
    calls: () => calls,
    answers(how: () => Promise<string>) {
      answer = how;
    },
    ask: (mostWaitMs = 1_000) =>
      breaker.run(() => {
        calls += 1;
        return answer();
      }, mostWaitMs),
  };
}

const fails = (error: Error) => () => Promise.reject(error);
const unavailable = fails(new ConnectError("connection refused", Code.Unavailable));

/** Asks until nothing is sent any more. @returns how many calls that took */
async function untilOpen({ ask, calls }: ReturnType<typeof outside>): Promise<number> {
  await until(async () => {
    const before = calls();
    await ask().catch(() => undefined);
    return calls() === before;
  }, "nobody is called");
  return calls();
}

const registry = new Registry();
addProcessMetrics(registry);

async function stateOf(connector: string): Promise<string[]> {
  const text = await registry.getSingleMetricAsString("connector_breaker_state");
  const ones = text.matchAll(/connector="([^"]+)",state="([^"]+)"\} 1$/gm);
  return [...ones].flatMap(([, name, state = ""]) => (name === connector ? [state] : []));
}

async function countOf(connector: string): Promise<Record<string, number>> {
  const { values } = await connectorCalls.get();
  const own = values.filter(({ labels }) => labels.connector === connector);
  return Object.fromEntries(own.map(({ labels, value }) => [labels.outcome, value]));
}

describe("a breaker", () => {
  it("calls nobody after five calls in a row without an answer, and says why and what was not done", async () => {
    const them = outside();
    them.answers(unavailable);
    for (let asked = 0; asked < 5; asked += 1) await assert.rejects(them.ask(), ConnectError);
    const begun = performance.now();
    await assert.rejects(them.ask(), (error) => {
      assert.ok(error instanceof BreakerOpenError);
      assert.match(error.message, /does not answer, and was not called: .*connection refused/);
      return true;
    });
    assert.ok(performance.now() - begun < 200);
    assert.equal(them.calls(), 5);
    assert.deepEqual(await stateOf(them.name), ["open"]);
    assert.deepEqual(await countOf(them.name), { answered: 0, failed: 5, held_back: 1 });
  });

  it("calls again soon after they are back", async () => {
    const them = outside();
    them.answers(unavailable);
    await untilOpen(them);
    // Away for so long that pauses would have become long.
    const end = performance.now() + 3_000;
    while (performance.now() < end) {
      await them.ask().catch(() => undefined);
      await pause(20);
    }
    assert.ok(them.calls() < 40, `${them.calls()} calls were made`);
    them.answers(async () => "back");
    const back = performance.now();
    assert.equal(await until(() => them.ask(), "they are called", { everyMs: 20 }), "back");
    assert.ok(performance.now() - back < 2_500);
    assert.deepEqual(await stateOf(them.name), ["closed"]);
  });

  for (const code of [Code.InvalidArgument, Code.Internal, Code.NotFound, Code.Unknown, Code.FailedPrecondition]) {
    it(`goes on calling whom a call does not please: ${Code[code]}`, async () => {
      const them = outside();
      them.answers(fails(new ConnectError("not like this", code)));
      for (let asked = 0; asked < 20; asked += 1) await assert.rejects(them.ask(), ConnectError);
      assert.equal(them.calls(), 20);
      assert.deepEqual(await countOf(them.name), { answered: 20, failed: 0, held_back: 0 });
    });
  }

  for (const code of [Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted, Code.Unimplemented]) {
    it(`knows who is away: ${Code[code]}`, () => assert.ok(isAway(new ConnectError("no", code))));
  }

  it("counts answers that are none, and forgets failures at the first answer", async () => {
    const them = outside();
    for (let round = 0; round < 4; round += 1) {
      them.answers(fails(new NoAnswerError("two of three")));
      for (let asked = 0; asked < 4; asked += 1) await assert.rejects(them.ask(), NoAnswerError);
      them.answers(async () => "yes");
      await them.ask();
    }
    assert.equal(them.calls(), 20);
  });

  it("lets one call try, and the others wait for what comes of it", async () => {
    const them = outside();
    them.answers(unavailable);
    const opened = await untilOpen(them);
    const answer = Promise.withResolvers<string>();
    them.answers(() => answer.promise);
    const asked: Promise<string>[] = [];
    await until(
      () => {
        asked.push(them.ask(5_000).catch(() => "held back"));
        return them.calls() > opened;
      },
      "one tries",
      { everyMs: 20 },
    );
    const waiting = Array.from({ length: 10 }, () => them.ask(5_000));
    await pause(100);
    assert.equal(them.calls(), opened + 1);
    assert.deepEqual(await stateOf(them.name), ["half_open"]);
    answer.resolve("back");
    assert.deepEqual(
      await Promise.all(waiting),
      waiting.map(() => "back"),
    );
    assert.equal(them.calls(), opened + 11);
  });

  it("has nobody wait longer than he wants to, and makes no call for him later", async () => {
    const them = outside();
    them.answers(unavailable);
    const opened = await untilOpen(them);
    const answer = Promise.withResolvers<string>();
    them.answers(() => answer.promise);
    await until(
      () => {
        void them.ask().catch(() => undefined);
        return them.calls() > opened;
      },
      "one tries",
      { everyMs: 20 },
    );
    const before = await countOf(them.name);
    await assert.rejects(them.ask(50), BreakerOpenError);
    answer.resolve("back");
    await pause(20);
    assert.equal(them.calls(), opened + 1);
    assert.equal((await countOf(them.name)).held_back, (before.held_back ?? 0) + 1);
  });

  it("does not wait for a clock that was set back", async (context) => {
    const them = outside();
    them.answers(unavailable);
    await untilOpen(them);
    them.answers(async () => "back");
    const hour = 3_600_000;
    context.mock.timers.enable({ apis: ["Date"], now: Date.now() - hour });
    assert.equal(await them.ask(), "back");
  });

  it("says once that somebody is away, and once that he is back", async () => {
    const kept = keptLog();
    const them = outside(kept.logger);
    them.answers(unavailable);
    const end = performance.now() + 1_500;
    while (performance.now() < end) {
      await them.ask().catch(() => undefined);
      await pause(10);
    }
    them.answers(async () => "back");
    await until(() => them.ask(), "they are called", { everyMs: 20 });
    const said = kept.lines().filter(({ connector }) => connector === them.name);
    assert.deepEqual(
      said.map(({ message }) => message.split(/[:;]/)[0]),
      ["nobody answers", "answers again"],
    );
  });
});
