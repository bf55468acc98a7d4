import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { anOrder, localEnvironment, startSaga, workerFor } from "./harness.ts";
import { World } from "./world.ts";

let environment: TestWorkflowEnvironment;
before(async () => {
  environment = await localEnvironment();
});
after(() => environment?.teardown());

test("an order is delivered", async () => {
  const world = new World();
  const worker = await workerFor(environment, world);
  const order = anOrder();
  await worker.runUntil(async () => {
    const handle = await startSaga(environment, [order]);
    console.time("result");
    const result = await handle.result();
    console.timeEnd("result");
    const { events } = await handle.fetchHistory();
    console.log(
      events
        ?.map((e) => `${e.eventId} ${e.eventType} ${Number(e.eventTime?.seconds) % 1000}.${e.eventTime?.nanos}`)
        .join("\n"),
    );
    assert.deepEqual(result, { orders: [{ orderId: order.orderId, stage: "DELIVERED" }] });
  });
  assert.deepEqual(world.trace(order.orderId), [
    ...["reserve", "authorize", "confirm", "CONFIRMED", "PREPARING", "prepare:BER", "ship:BER"],
    ...["capture:BER", "commit:BER", "SHIPPED", "DELIVERED"],
  ]);
});
