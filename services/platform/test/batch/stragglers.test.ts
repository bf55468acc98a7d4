// Entries of a batch that take much longer than the others are answered as they stand, and hold nobody up.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { answerEachInTime } from "#platform/batch/batch-call.ts";
import { fired } from "#platform/wait.ts";

const about = { method: "AuthorizePayment", subjectOf: () => ({}) };

/** A batch whose entries end when they are told to, or are answered as pending. */
function batchOf(count: number, caller = new AbortController()) {
  const entries = Array.from({ length: count }, () => Promise.withResolvers<string>());
  const batch = { requests: entries, traceparents: [] };
  let answered = false;
  const outcomes = answerEachInTime(batch, { about, caller: caller.signal }, (entry, enough) =>
    Promise.race([entry.promise, fired(enough).then(() => "pending")]),
  ).then((all) => {
    answered = true;
    return all.map(({ outcome }) => outcome.value);
  });
  const end = async (from: number, to: number) => {
    for (const entry of entries.slice(from, to)) entry.resolve("done");
    await turns();
  };
  return { caller, outcomes, end, isAnswered: () => answered };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

async function pass(ms: number): Promise<void> {
  now += ms;
  mock.timers.tick(ms);
  await turns();
}

let now = 0;
beforeEach(() => {
  now = 1_000;
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(performance, "now", () => now);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test("the others have three times as long as half of the batch took", async () => {
  const { outcomes, end, isAnswered } = batchOf(4);
  await pass(400);
  await end(0, 2);
  await pass(700);
  await end(2, 3);
  await pass(99);
  assert.equal(isAnswered(), false);
  await pass(1);
  assert.deepEqual(await outcomes, ["done", "done", "done", "pending"]);
});

test("what half of a batch does in a moment the others may do in half a second", async () => {
  const { outcomes, end, isAnswered } = batchOf(64);
  await pass(5);
  await end(0, 63);
  await pass(494);
  assert.equal(isAnswered(), false);
  await pass(1);
  assert.deepEqual((await outcomes).slice(62), ["done", "pending"]);
});

test("until half of them have ended, and when there is one alone, nobody is hurried", async () => {
  const most = batchOf(3);
  const alone = batchOf(1);
  await most.end(0, 1);
  await pass(60_000);
  assert.deepEqual([most.isAnswered(), alone.isAnswered()], [false, false]);
  await most.end(1, 3);
  await alone.end(0, 1);
  assert.deepEqual([await most.outcomes, await alone.outcomes], [["done", "done", "done"], ["done"]]);
});

test("nobody waits for a caller that has gone", async () => {
  const { caller, outcomes } = batchOf(2);
  caller.abort();
  assert.deepEqual(await outcomes, ["pending", "pending"]);
});
