// The daily look at parcels that nobody reports: when it asks, and what keeps it from asking.
import assert from "node:assert/strict";
import { after, afterEach, before, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Client } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import type { Worker } from "@temporalio/worker";
import { TrackingOutcome } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { createLookKeeper, lookIdOf, startLook } from "../../src/api/shipment-look.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import type { lookAfterShipments } from "../../src/workflows/look-after-shipments.ts";
import { dataConverter } from "../stage/encryption.ts";
import { localEnvironment, taskQueue, workerFor } from "../stage/harness.ts";
import { patient } from "../stage/stage.ts";
import { type TrackedParcels, World } from "../world/world.ts";

const day = 86_400;
const hour = 3_600;
const last: TrackedParcels = { shipments: [{ outcome: TrackingOutcome.UNCHANGED }], nextPageToken: "" };
const unanswered: TrackedParcels = { shipments: [{ outcome: TrackingOutcome.UNANSWERED }], nextPageToken: "" };
const page = (nextPageToken: string): TrackedParcels => ({ ...last, nextPageToken });

const world = new World();
let environment: TestWorkflowEnvironment;
let calls: TemporalCalls;
let worker: Worker;
let running: Promise<void>;
before(async () => {
  environment = await localEnvironment();
  calls = new TemporalCalls(new Client({ connection: environment.nativeConnection, dataConverter }), 10_000);
  worker = await workerFor(environment, world);
  running = worker.run();
});
afterEach(() =>
  handle()
    .terminate()
    .catch(() => undefined),
);
after(async () => {
  worker?.shutdown();
  await running;
  await environment?.teardown();
});

const handle = () => environment.client.workflow.getHandle<typeof lookAfterShipments>(lookIdOf(taskQueue));

/** What is asked is answered in turn, the last answer again and again. @returns the tokens of the pages asked for */
function answerWith(...answers: (TrackedParcels | Error)[]): string[] {
  const asked: string[] = [];
  world.track = (token) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? last;
    asked.push(token);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return asked;
}

/** The run that waits for its time, once the one before it is over: after how many seconds it begins, and where. */
async function waiting(): Promise<{ runId: string; seconds: number; events: number }> {
  const look = async () => {
    const { events = [] } = await handle().fetchHistory();
    const started = events?.[0]?.workflowExecutionStartedEventAttributes;
    const seconds = Number(started?.firstWorkflowTaskBackoff?.seconds ?? 0);
    if (seconds === 0) return undefined;
    const { runId, status } = await handle().describe();
    assert.equal(status.name, "RUNNING");
    return { runId, seconds, events: events?.length ?? 0 };
  };
  return until(look, "it waits", patient);
}

it("begins at once, asks page after page, and waits for the next day with nothing but its beginning", async () => {
  const asked = answerWith(page("a"), page("b"), last);
  await startLook(calls, taskQueue);
  const { seconds, events } = await waiting();
  assert.deepEqual([asked, seconds, events], [["", "a", "b"], day, 1]);
});

it("looks again in an hour when the carrier answered for nothing", async () => {
  const asked = answerWith(unanswered);
  await startLook(calls, taskQueue);
  assert.equal((await waiting()).seconds, hour);
  assert.equal(asked.length, 1);
});

it("does not when it answered for some of it, on whatever page", async () => {
  answerWith({ ...unanswered, nextPageToken: "a" }, page("b"), unanswered);
  await startLook(calls, taskQueue);
  assert.equal((await waiting()).seconds, day);
});

it("goes on in an hour when shipping refuses what it is asked, and does not fail", async () => {
  const asked = answerWith(page("a"), new ConnectError("the page token is damaged", Code.InvalidArgument));
  await startLook(calls, taskQueue);
  assert.equal((await waiting()).seconds, hour);
  assert.deepEqual(asked, ["", "a"]);
});

it("asks again for a page while shipping is away", async () => {
  const asked = answerWith(page("a"), new ConnectError("away", Code.Unavailable), last);
  await startLook(calls, taskQueue);
  assert.equal((await waiting()).seconds, day);
  assert.deepEqual(asked, ["", "a", "a"]);
});

it("goes on in a new run where it left off when there are very many pages", async () => {
  const asked = answerWith(...Array.from({ length: 119 }, (_, index) => page(String(index + 1))), last);
  await startLook(calls, taskQueue);
  const { runId } = await waiting();
  assert.deepEqual(
    asked,
    Array.from({ length: 120 }, (_, index) => (index === 0 ? "" : String(index))),
  );
  assert.notEqual(runId, (await handle().describe()).raw.workflowExecutionInfo?.firstRunId);
});

it("is one, however many workers start it, and none begins beside one that waits", async () => {
  const asked = answerWith(last);
  await Promise.all(Array.from({ length: 5 }, () => startLook(calls, taskQueue)));
  const { runId } = await waiting();
  await startLook(calls, taskQueue);
  assert.deepEqual([(await waiting()).runId, asked.length], [runId, 1]);
});

const ends = {
  terminated: () => handle().terminate(),
  deleted: async () => {
    const { namespace = "default" } = environment;
    const workflowExecution = { workflowId: lookIdOf(taskQueue) };
    await environment.connection.workflowService.deleteWorkflowExecution({ namespace, workflowExecution });
  },
};
for (const [name, end] of Object.entries(ends)) {
  it(`is started again when it was ${name}, and looks at once`, async () => {
    const asked = answerWith(last);
    await startLook(calls, taskQueue);
    await waiting();
    await end();
    await until(isOver, `it is ${name}`, patient);
    await keptLooking(() => asked.length === 2);
  });
}

it("is started again when it was cancelled during a look", async () => {
  const gate = Promise.withResolvers<TrackedParcels>();
  let asked = 0;
  world.track = () => {
    asked += 1;
    return asked === 1 ? gate.promise : last;
  };
  await startLook(calls, taskQueue);
  await until(() => asked === 1, "it looks", patient);
  await handle().cancel();
  await until(isOver, "it is cancelled", patient);
  await keptLooking(() => asked === 2);
  gate.resolve(last);
});

async function isOver(): Promise<boolean> {
  const known = await handle()
    .describe()
    .catch(() => undefined);
  return known?.status.name !== "RUNNING";
}

/** Has somebody see to it that there is a look, until it has looked. */
async function keptLooking(looked: () => boolean): Promise<void> {
  const keeper = createLookKeeper(calls, taskQueue, quietLogger());
  keeper.start();
  try {
    await until(looked, "it looks", patient);
  } finally {
    await keeper.stop();
  }
}

it("looks day after day", async () => {
  const asked = answerWith(page("a"), last);
  const often = await workerFor(environment, world, { taskQueue: "often" }, { lookEveryMs: 200 });
  const oftenRunning = often.run();
  await startLook(calls, "often");
  await until(() => asked.length >= 6, "it has looked again and again", patient);
  assert.deepEqual(asked.slice(0, 3), ["", "a", ""]);
  await environment.client.workflow.getHandle(lookIdOf("often")).terminate();
  often.shutdown();
  await oftenRunning;
});
