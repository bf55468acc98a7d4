// Faults in the workflow's code: they keep their own order from being settled, and nobody else's.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { EpisodeState } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { toCarriedOrder } from "../../src/api/episode-proto.ts";
import type { EpisodeLook } from "../../src/api/episodes.ts";
import type { CarriedOrder, SagaState } from "../../src/workflows/order-state.ts";
import { anOrder, taskQueue } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

/** How an episode has ended. */
async function ended(episodeId: string): Promise<EpisodeLook> {
  const look = async () => {
    const [found] = await stage.starter.episodes.look([episodeId]);
    return found?.state === EpisodeState.CLOSED ? found : undefined;
  };
  return await until(look, "the episode has ended", patient);
}

const broken: [string, (order: CarriedOrder) => CarriedOrder][] = [
  ["whose memory nobody can take", (order) => ({ ...order, saga: { stage: "FULFILLMENT" } as SagaState })],
  ["whose process fails", ({ checkout: _, ...order }) => order],
];

describe("a fault in the code of a workflow", () => {
  for (const [which, spoil] of broken) {
    test(`with an order ${which} is told of that order, and the others are carried to their rest`, async () => {
      const [sound, poisonous] = [anOrder(), anOrder()];
      for (const order of [sound, poisonous]) stage.rows.place(order);
      const claimed = stage.rows.claim();
      assert.ok(claimed);
      const { episodeId } = claimed;
      const orders = claimed.orders.map(toCarriedOrder);
      const spoiled = orders.map((order) => (order.orderId === poisonous.orderId ? spoil(order) : order));
      await stage.starter.episodes.start(episodeId, spoiled);
      const { faults } = await ended(episodeId);
      assert.deepEqual(
        faults.map(({ orderId }) => orderId),
        [poisonous.orderId],
      );
      assert.match(faults[0]?.error ?? "", /^TypeError: /);
      assert.ok(stage.rows.row(sound.orderId).settlements.some((settled) => settled.episodeId === episodeId));
      // What is right again is carried to its end: nothing has happened twice.
      assert.deepEqual(await stage.ends([sound, poisonous]), ["DELIVERED", "DELIVERED"]);
      assert.deepEqual(
        [sound, poisonous].flatMap(({ orderId }) => stage.doubles(orderId)),
        [],
      );
    });
  }

  test("that fails its tasks until it is terminated may be any of its orders'", async () => {
    const episodeId = newId();
    const handle = await stage.environment.client.workflow.start("carryOrders", {
      taskQueue,
      workflowId: episodeId,
      args: [{ orders: "none" }],
    });
    const failed = async () => {
      const { events } = await handle.fetchHistory();
      return events?.some((event) => event.workflowTaskFailedEventAttributes);
    };
    await until(failed, "a workflow task has failed", patient);
    await handle.terminate();
    const { faults } = await ended(episodeId);
    assert.deepEqual(
      faults.map(({ orderId }) => orderId),
      [""],
    );
    assert.match(faults[0]?.error ?? "", /is not a function/);
  });

  test("is none when a workflow is terminated that worked", async () => {
    const order = anOrder();
    stage.rows.place(order);
    const claimed = stage.rows.claim();
    assert.ok(claimed);
    const { episodeId, orders } = claimed;
    stage.world.onCall = async (step) => {
      if (step !== "authorize") return;
      stage.world.onCall = () => {};
      await stage.workflow(episodeId).terminate();
    };
    await stage.starter.episodes.start(episodeId, orders.map(toCarriedOrder));
    assert.deepEqual((await ended(episodeId)).faults, []);
    await stage.ends([order]);
  });
});
