// Workers of the version before and of this one on one task queue, as they are while the one replaces the other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from "@temporalio/worker";
import { Registry } from "prom-client";
import { until } from "#testing/until.ts";
import { createActivities } from "../src/activities/create-activities.ts";
import { createSagaMetrics } from "../src/activities/metrics.ts";
import { bundleSources, workflows } from "../src/temporal/bundle.ts";
import { workOf } from "../src/temporal/temporal-worker.ts";
import { parkedSteps, retryStep } from "../src/workflows/legacy/messages.ts";
import { dataConverter } from "./stage/encryption.ts";
import { anOrder, clientsOf, fastLong, startSaga, taskQueue } from "./stage/harness.ts";
import { patient, Stage } from "./stage/stage.ts";
import { on } from "./world/rules.ts";

/** Activities that the version before has not. */
const unknownBefore = ["createShipment", "requestBooking", "settleOrder"];

/** Half of all tasks come to a worker that cannot do them, and are done after a pause. */
const longPatience = { ...patient, deadlineMs: 120_000 };

let stage: Stage;
before(async () => {
  // Without eager starts, tasks go to either worker.
  stage = await Stage.open({ eagerStart: false, attempts: 3 });
});
after(() => stage?.close());

/** A worker that knows workflows of the kind before episodes and no other. */
async function startBefore(): Promise<AsyncDisposable> {
  const workflowsPath = fileURLToPath(new URL("legacy/process-orders.ts", workflows));
  const bundle = await bundleWorkflowCode({ ...bundleSources, workflowsPath, logger: new DefaultLogger("ERROR") });
  const all = createActivities(clientsOf(stage.world), fastLong, createSagaMetrics(new Registry()));
  const known = Object.fromEntries(Object.entries(all).filter(([name]) => !unknownBefore.includes(name)));
  const connection = await NativeConnection.connect({ address: stage.environment.address });
  const work = workOf(bundle, known as unknown as typeof all, dataConverter);
  const worker = await Worker.create({ connection, taskQueue, ...work, stickyQueueScheduleToStartTimeout: "1s" });
  const running = worker.run();
  return {
    async [Symbol.asyncDispose]() {
      worker.shutdown();
      await running;
      await connection.close();
    },
  };
}

test("a worker that knows no episodes beside one that does: orders of both kinds come to their ends", async () => {
  const [delivered, parked] = [anOrder(), anOrder()];
  const orders = Array.from({ length: 4 }, () => anOrder());
  stage.world.rules.push(on("capture", { kind: "unavailable" }, { orderId: parked.orderId, times: 100 }));
  const sagas: Awaited<ReturnType<typeof startSaga>>[] = [];
  {
    await using _ = await startBefore();
    for (const order of [delivered, parked])
      sagas.push(await startSaga(stage.environment, [order], { patienceMs: 300 }));
    for (const order of orders) {
      stage.place([order]);
      const { orderId } = order;
      await until(
        () => stage.rows.row(orderId).events.length === 0,
        "it is carried by an episode of its own",
        longPatience,
      );
    }
    const over = () => orders.every(({ orderId }) => stage.rows.isOver(orderId));
    await until(over, "the orders of episodes have ended", longPatience);
    assert.deepEqual(new Set(await stage.ends(orders)), new Set(["DELIVERED"]));
    await until(async () => (await sagas[1]?.query(parkedSteps))?.length === 1, "the step is parked", longPatience);
  }
  for (const { orderId } of orders) assert.deepEqual(stage.doubles(orderId), []);
  stage.world.rules.length = 0;
  await sagas[1]?.executeUpdate(retryStep, { args: [{ orderId: parked.orderId, step: "capture:BER" }] });
  const ends = await Promise.all(sagas.map((saga) => saga.result()));
  assert.deepEqual(
    ends.map((end) => end.orders.map((order) => order.stage)),
    [["DELIVERED"], ["DELIVERED"]],
  );
});
