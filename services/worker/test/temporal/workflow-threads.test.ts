// The threads in which workflows run have no hooks of promises; others are as they always are.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import threads from "node:worker_threads";
import { withLeanThreads } from "../../src/temporal/workflow-threads.ts";

const countsPromises = `
  import v8 from "node:v8";
  import { parentPort } from "node:worker_threads";
  let made = 0;
  v8.promiseHooks.createHook({ init: () => (made += 1) });
  for (let each = 0; each < 3; each += 1) Promise.resolve();
  parentPort.postMessage(made);
`;
const program = new URL(`data:text/javascript,${encodeURIComponent(countsPromises)}`);

async function promisesSeen(): Promise<number> {
  const thread = new threads.Worker(program);
  const [made] = await once(thread, "message");
  await thread.terminate();
  return made;
}

test("a thread that is started in it sees no promise, one after it sees all", async () => {
  const { Worker } = threads;
  assert.equal(await withLeanThreads(promisesSeen), 0);
  assert.equal(threads.Worker, Worker);
  assert.ok((await promisesSeen()) >= 3);
});

test("what fails to start leaves threads as they are", async () => {
  const { Worker } = threads;
  await assert.rejects(
    withLeanThreads(() => Promise.reject(new Error("no server"))),
    /no server/,
  );
  assert.equal(threads.Worker, Worker);
});
