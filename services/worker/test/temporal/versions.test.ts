// Two versions of the worker side by side: each carries what began with it, new sagas go where they are sent.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { Client, type WorkflowHandle } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { NativeConnection, type Worker, type WorkerOptions } from "@temporalio/worker";
import { until } from "#testing/until.ts";
import { startLook } from "../../src/api/shipment-look.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { beginsOwnSagas, deploymentOf, isCurrent, promote } from "../../src/temporal/deployment.ts";
import { newOrderState } from "../../src/workflows/legacy/order-state.ts";
import type { processOrders } from "../../src/workflows/legacy/process-orders.ts";
import { dataConverter } from "../stage/encryption.ts";
import { anOrder, fastOptions, localEnvironment, startSaga, taskQueue, workerFor } from "../stage/harness.ts";
import { on } from "../world/rules.ts";
import { World } from "../world/world.ts";

const deploymentName = "ordermesh";
/** How long a version may take to poll, and a saga to be on its way. */
const patienceMs = 60_000;

let environment: TestWorkflowEnvironment;
const world = new World();
const workers: { worker: Worker; running: Promise<void>; connection: NativeConnection }[] = [];
before(async () => {
  environment = await localEnvironment();
});
after(async () => {
  for (const { worker } of workers) worker.shutdown();
  for (const { running, connection } of workers) {
    await running;
    await connection.close();
  }
  await environment.teardown();
});

/** Starts a worker of a version, with a connection of its own as in a process of its own. */
async function startVersion(buildId: string): Promise<void> {
  const options = deploymentOf({ TEMPORAL_DEPLOYMENT: deploymentName, TEMPORAL_BUILD_ID: buildId });
  assert.ok(options);
  await startWorker({ workerDeploymentOptions: options });
}

async function startWorker(options: Partial<WorkerOptions> = {}, around = world): Promise<void> {
  const connection = await NativeConnection.connect({ address: environment.address });
  const worker = await workerFor(environment, around, { connection, ...options }, { lookEveryMs: 500 });
  workers.push({ worker, running: worker.run(), connection });
}

function send(buildId: string, timeoutMs = patienceMs): Promise<void> {
  const namespace = environment.namespace ?? "default";
  return promote(environment.nativeConnection, { namespace, deploymentName, buildId }, timeoutMs);
}

function startFrom(buildId: string, connection: NativeConnection | undefined) {
  const requestEagerStart = beginsOwnSagas({ TEMPORAL_DEPLOYMENT: deploymentName, TEMPORAL_BUILD_ID: buildId });
  const order = anOrder();
  const orders = [newOrderState(order)];
  return new Client({ ...(connection && { connection }), dataConverter }).workflow.start<typeof processOrders>(
    "processOrders",
    {
      taskQueue,
      workflowId: `saga-${order.orderId}`,
      requestEagerStart,
      args: [{ orders, options: fastOptions }],
    },
  );
}

async function versionOf(handle: WorkflowHandle<typeof processOrders>): Promise<string> {
  const look = async () => {
    const { raw } = await handle.describe();
    return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId || undefined;
  };
  return await until(look, "the saga is on a version", { deadlineMs: patienceMs });
}

it("a new version takes new orders while the old one carries its own to their end, and back", async () => {
  // Cards are not decided until the rule goes: the sagas are under way.
  world.rules.push(on("authorize", { kind: "pending" }));
  await startVersion("1.0.0");
  await send("1.0.0");
  const first = await startSaga(environment, [anOrder()]);
  assert.equal(await versionOf(first), "1.0.0");

  await startVersion("1.1.0");
  await send("1.1.0");
  const second = await startSaga(environment, [anOrder()]);
  assert.equal(await versionOf(second), "1.1.0");
  assert.equal(await versionOf(first), "1.0.0");

  await send("1.0.0");
  const third = await startSaga(environment, [anOrder()]);
  assert.equal(await versionOf(third), "1.0.0");

  // Started by a process of the old version, which serves the same calls as the new one.
  await send("1.1.0");
  const fourth = await startFrom("1.0.0", workers[0]?.connection);
  assert.equal(await versionOf(fourth), "1.1.0");

  world.rules.length = 0;
  for (const saga of [first, second, third, fourth]) {
    const { orders } = await saga.result();
    assert.deepEqual(
      orders.map(({ stage }) => stage),
      ["DELIVERED"],
    );
  }
  assert.deepEqual(await Promise.all([first, second, third].map(versionOf)), ["1.0.0", "1.1.0", "1.0.0"]);
});

it("workers that are no version take new orders again while a version carries its own to their end", async () => {
  world.rules.push(on("authorize", { kind: "pending" }));
  await send("1.1.0");
  const versioned = await startSaga(environment, [anOrder()]);
  assert.equal(await versionOf(versioned), "1.1.0");

  await startWorker();
  await send("");
  world.rules.length = 0;
  const plain = await startSaga(environment, [anOrder()]);
  await Promise.all([plain, versioned].map((saga) => saga.result()));
  const { raw } = await plain.describe();
  assert.equal(raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion ?? undefined, undefined);
  assert.equal(await versionOf(versioned), "1.1.0");
});

it("the look at silent parcels goes on with the version that is current, and with workers that are none", async () => {
  const [looks, namespace] = ["looks", environment.namespace ?? "default"];
  const asked: string[] = [];
  for (const buildId of ["1.0.0", "1.1.0", ""]) {
    const own = new World();
    own.track = () => {
      asked.push(buildId);
      return { shipments: [], nextPageToken: "" };
    };
    const options = buildId ? deploymentOf({ TEMPORAL_DEPLOYMENT: looks, TEMPORAL_BUILD_ID: buildId }) : undefined;
    await startWorker({ taskQueue: looks, ...(options && { workerDeploymentOptions: options }) }, own);
  }
  const go = (buildId: string) =>
    promote(environment.nativeConnection, { namespace, deploymentName: looks, buildId }, patienceMs);
  await go("1.0.0");
  await startLook(
    new TemporalCalls(new Client({ connection: environment.nativeConnection, dataConverter }), patienceMs),
    looks,
  );
  for (const buildId of ["1.0.0", "1.1.0", "1.0.0", ""]) {
    await go(buildId);
    const before = asked.length;
    const looked = () => asked.slice(before).includes(buildId);
    await until(looked, `it looks with "${buildId}"`, { deadlineMs: patienceMs });
  }
});

it("of several versions the current one decides for all, and where none is the workers that are no version do", async () => {
  const TEMPORAL_NAMESPACE = environment.namespace ?? "default";
  const decides = (buildId?: string, deployment = deploymentName) => {
    const version = buildId === undefined ? {} : { TEMPORAL_DEPLOYMENT: deployment, TEMPORAL_BUILD_ID: buildId };
    return isCurrent(environment.nativeConnection, { TEMPORAL_NAMESPACE, ...version });
  };
  await send("1.1.0");
  assert.deepEqual([await decides("1.0.0"), await decides("1.1.0")], [false, true]);
  await send("1.0.0");
  assert.deepEqual([await decides("1.0.0"), await decides("1.1.0")], [true, false]);
  await send("");
  assert.deepEqual([await decides("1.0.0"), await decides("1.1.0"), await decides()], [false, false, true]);
  assert.equal(await decides("1.0.0", "has not polled yet"), false);
});

it("a deployment that never had a version needs nothing to have none", async () => {
  const never = { namespace: environment.namespace ?? "default", deploymentName: "never", buildId: "" };
  await promote(environment.nativeConnection, never, patienceMs);
});

it("new orders are not sent to a version that nobody runs", async () => {
  await assert.rejects(send("9.9.9", 1_000), { message: "no worker of version 9.9.9 polls after 1000 ms" });
});

/** A connection whose Temporal answers with these codes before it takes a version. */
function reluctant(...codes: number[]): NativeConnection {
  const workflowService = {
    describeWorkerDeploymentVersion: async () => ({ versionTaskQueues: [{}] }),
    async setWorkerDeploymentCurrentVersion() {
      const code = codes.shift();
      if (code !== undefined) throw Object.assign(new Error("not now"), { code });
    },
  };
  return { workflowService, withDeadline: (_: number, call: () => unknown) => call() } as unknown as NativeConnection;
}

it("a Temporal that is slow or away for a moment is asked again, and one that refuses is not", async () => {
  const version = { namespace: "default", deploymentName, buildId: "1.0.0" };
  const [deadlineExceeded, permissionDenied, unavailable] = [4, 7, 14];
  await promote(reluctant(deadlineExceeded, unavailable), version, patienceMs);
  await assert.rejects(promote(reluctant(unavailable), version, 0), { message: "not now after 0 ms" });
  await assert.rejects(promote(reluctant(permissionDenied), version, patienceMs), { message: "not now" });
});

it("a version has a deployment, and a deployment a version", () => {
  assert.equal(deploymentOf({}), undefined);
  assert.equal(beginsOwnSagas({}), true);
  assert.throws(() => deploymentOf({ TEMPORAL_BUILD_ID: "1.0.0" }), { message: /set together or not at all/ });
});
