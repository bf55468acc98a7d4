import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { Worker } from "@temporalio/worker";
import { until } from "#testing/until.ts";
import { done } from "../../src/activities/batch-call.ts";
import { withLeanThreads } from "../../src/temporal/workflow-threads.ts";
import { dataConverter } from "../stage/encryption.ts";
import { localEnvironment, taskQueue } from "../stage/harness.ts";
import type * as workflows from "./engine-workflows.ts";

let environment: TestWorkflowEnvironment;
let worker: Worker;
let running: Promise<void>;

before(async () => {
  environment = await localEnvironment();
  worker = await withLeanThreads(() =>
    Worker.create({
      connection: environment.nativeConnection,
      taskQueue,
      dataConverter,
      workflowsPath,
      bundlerOptions: {
        webpackConfigHook: (config) => ({ ...config, infrastructureLogging: { level: "error" } }),
        preloadModules: [workflowsPath],
      },
      activities: {
        double: async (numbers: number[]) => numbers.map((number) => done(2 * number)),
        usual: () => fail("usual"),
        stubborn: () => fail("stubborn"),
      },
      // Every workflow task begins with a replay.
      maxCachedWorkflows: 0,
    }),
  );
  running = worker.run();
});

after(async () => {
  worker?.shutdown();
  await running;
  await environment?.teardown();
});

const workflowsPath = fileURLToPath(new URL("./engine-workflows.ts", import.meta.url));
const tries = { usual: 0, stubborn: 0 };

async function fail(step: keyof typeof tries): Promise<never> {
  tries[step]++;
  throw new Error("no");
}

/** Runs a workflow to its end. */
function execute(name: keyof typeof workflows, ...args: number[]): Promise<unknown> {
  return environment.client.workflow.execute(name, { taskQueue, workflowId: name, args });
}

test("nobody remembers where the promises of a workflow were made", async () => {
  const handle = await environment.client.workflow.start("waits", { taskQueue, workflowId: "waits" });
  assert.equal(await handle.query("__stack_trace"), "");
  await handle.terminate();
});

test("a workflow that does not come to rest fails its task, and others of its thread go on", async () => {
  const { client } = environment;
  const handle = await client.workflow.start("spins", { taskQueue, workflowId: "spins" });
  assert.deepEqual(await execute("crowd", 2), { sum: 2, sizes: [2] });
  const failed = await until(
    async () => (await handle.fetchHistory()).events?.find((event) => event.workflowTaskFailedEventAttributes),
    "its task has failed",
  );
  const { failure } = failed.workflowTaskFailedEventAttributes ?? {};
  const [said] = (await dataConverter.payloadCodecs?.[0]?.decode([failure?.encodedAttributes ?? {}])) ?? [];
  assert.match(Buffer.from(said?.data ?? []).toString(), /timed out after 5000ms/);
  await handle.terminate();
});

test("a local call is seen by its own workflow, and by none that shares its thread", async () => {
  assert.equal(await execute("asksLocally"), true);
  assert.equal(await execute("seesLocalCall"), false);
});

describe("a coalescing call", () => {
  test("gathers callers at any depth of an activation", async () => {
    assert.deepEqual(await execute("depths"), { outputs: [0, 2, 14, 80], sizes: [4] });
  });

  test("takes 64 callers into a batch", async () => {
    assert.deepEqual(await execute("crowd", 150), { sum: 149 * 150, sizes: [64, 64, 22] });
  });

  test("takes of what is bulky as much as a call carries", async () => {
    assert.deepEqual(await execute("heavyCrowd"), [2, 2, 1, 2]);
  });

  test("lets cancelled callers go at once, and the others have their answers", async () => {
    assert.deepEqual(await execute("cancelledCallers"), { outcomes: ["cancelled", "4", "6"], sizes: [2] });
  });
});

test("a step is tried as often as all are, unless its row says otherwise", async () => {
  assert.deepEqual(await execute("ownAttempts"), ["rejected", "rejected"]);
  assert.deepEqual(tries, { usual: 3, stubborn: 5 });
});

test("a saga registers an undo before its step and undoes in reverse, when all that began has come to rest", async () => {
  assert.deepEqual(await execute("undoing"), [
    ...["one RUNNING", "one DONE", "two RUNNING", "refused RUNNING", "three RUNNING", "refused REFUSED"],
    ...["two DONE", "three DONE", "compensating"],
    ...["undo refused RUNNING", "undo refused DONE", "undo two RUNNING", "undo two DONE"],
    ...["undo one RUNNING", "undo one DONE", "all is undone"],
  ]);
});

test("a saga that rests undoes nothing, and goes on undoing later what was parked", async () => {
  assert.deepEqual(await execute("resting"), [
    ["one RUNNING", "one RUNNING", "waits for them", "StepAway"],
    ["one RUNNING", "one REFUSED", "one PARKED", "one waits: NO", "StepParked"],
    [
      ...["one RUNNING", "one DONE", "two RUNNING", "two REFUSED", "compensating", "undo two RUNNING", "undo two DONE"],
      ...["undo one RUNNING", "undo one REFUSED", "undo one PARKED", "undo one waits: NO", "StepParked"],
    ],
    ["resolved DONE", "done"],
  ]);
});
