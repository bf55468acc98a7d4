import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { sendTogether } from "#platform/batch/send-together.ts";

/** Stumbles over 3, and counts its calls. */
function stumbling(code: Code) {
  const calls: number[][] = [];
  const send = async (entries: readonly number[]) => {
    calls.push([...entries]);
    if (entries.includes(3)) throw new ConnectError("3 is too much", code);
    return entries.map((entry) => entry * 10);
  };
  return { calls, send };
}

test("entries go in one call, each with its own answer", async () => {
  const { calls, send } = stumbling(Code.Internal);
  assert.deepEqual(await sendTogether([1, 2], send), [10, 20]);
  assert.deepEqual(calls, [[1, 2]]);
});

test("an entry over which the other side stumbles leaves no other without an answer", async () => {
  const { calls, send } = stumbling(Code.InvalidArgument);
  const answers = await sendTogether([1, 2, 3, 4, 5], send);
  assert.deepEqual(
    answers.map((answer) => (answer instanceof ConnectError ? answer.code : answer)),
    [10, 20, Code.InvalidArgument, 40, 50],
  );
  assert.ok(calls.length <= 7, `${calls.length} calls`);
});

test("what says nothing of any entry is not sent apart", async () => {
  for (const code of [Code.Unavailable, Code.DeadlineExceeded, Code.PermissionDenied]) {
    const { calls, send } = stumbling(code);
    const answers = await sendTogether([1, 2, 3], send);
    assert.ok(answers.every((answer) => answer instanceof ConnectError && answer.code === code));
    assert.equal(calls.length, 1);
  }
});

test("answers that are too few are none", async () => {
  const answers = await sendTogether([1, 2], async () => [10]);
  assert.ok(answers.every((answer) => answer instanceof ConnectError && /1 of 2 entries/.test(answer.message)));
});
