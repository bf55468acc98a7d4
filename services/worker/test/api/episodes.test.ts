import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  Code,
  type Client as ConnectClient,
  ConnectError,
  createClient,
  createRouterTransport,
} from "@connectrpc/connect";
import { Client } from "@temporalio/client";
import protos from "@temporalio/proto";
import { Registry } from "prom-client";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { SagaStage, SagaStepStatus } from "#gen/shop/sagas/v1/saga_pb.js";
import { EpisodeState, SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { toConnectError } from "#platform/errors.ts";
import { newId } from "#platform/id.ts";
import { PageTokens } from "#platform/page-token.ts";
import { quietLogger } from "#testing/logger.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { until } from "#testing/until.ts";
import { createSagaMetrics } from "../../src/activities/metrics.ts";
import { Episodes } from "../../src/api/episodes.ts";
import { LegacySagas } from "../../src/api/legacy-sagas.ts";
import { OrderRows } from "../../src/api/order-rows.ts";
import { SagaApi } from "../../src/api/saga-api.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { dataConverter } from "../stage/encryption.ts";
import { anOrder, clientsOf, fastEpisodes, fastOptions, taskQueue } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { on } from "../world/rules.ts";

const causes = protos.temporal.api.enums.v1.WorkflowTaskFailedCause;
let stage: Stage;
let sagas: ConnectClient<typeof SagaService>;
let legacy: LegacySagas;

before(async () => {
  stage = await Stage.open();
  const calls = new TemporalCalls(
    new Client({ connection: stage.environment.nativeConnection, dataConverter }),
    10_000,
  );
  legacy = new LegacySagas(calls, { taskQueue, eagerStart: true, options: fastOptions });
  const clients = clientsOf(stage.world, stage.rows);
  const api = new SagaApi({
    episodes: stage.starter.episodes,
    rows: new OrderRows(clients.episodes),
    legacy,
    pageTokens: new PageTokens(pageTokenSecret),
    metrics: createSagaMetrics(new Registry()),
    audit: clients.orders,
    logger: quietLogger(),
  });
  const refusing = {
    router: {
      interceptors: [
        (next: (request: never) => Promise<never>) => async (request: never) => {
          try {
            return await next(request);
          } catch (error) {
            throw toConnectError(error);
          }
        },
      ],
    },
  };
  sagas = createClient(
    SagaService,
    createRouterTransport(({ service }) => service(SagaService, api), refusing as never),
  );
});
after(() => stage?.close());

describe("SagaService", () => {
  test("starts an episode once, and says how its workflow stands", async () => {
    const order = anOrder();
    stage.rows.place(order);
    const claimed = stage.rows.claim();
    assert.ok(claimed);
    const { episodeId, orders } = claimed;
    let release = () => {};
    stage.world.onCall = (step) => (step === "reserve" ? new Promise((resolve) => (release = resolve)) : undefined);
    assert.deepEqual(await sagas.startEpisode({ episodeId, orders }).then(({ started }) => started), true);
    assert.deepEqual(await sagas.startEpisode({ episodeId, orders }).then(({ started }) => started), false);
    const states = async () => (await sagas.batchGetEpisodes({ episodeIds: [episodeId, newId()] })).states;
    assert.deepEqual(await states(), [EpisodeState.RUNNING, EpisodeState.UNKNOWN]);
    stage.world.onCall = () => {};
    release();
    await until(async () => (await states())[0] === EpisodeState.CLOSED, "the episode has ended", patient);
    await stage.ends([order]);
  });

  test("says how episodes stand although Temporal says nothing of one of them", async () => {
    const hangs = newId();
    const workflow = [
      {
        describe: (input: { workflowExecution: { workflowId?: string } }, next: (input: never) => Promise<never>) =>
          input.workflowExecution.workflowId === hangs ? new Promise<never>(() => undefined) : next(input as never),
      },
    ];
    const { nativeConnection: connection } = stage.environment;
    const calls = new TemporalCalls(
      new Client({ connection, dataConverter, interceptors: { workflow } as never }),
      2_000,
    );
    const episodes = new Episodes(calls, { taskQueue, options: fastEpisodes, eagerStart: false });
    // More than are asked at the same time.
    const ids = [hangs, ...Array.from({ length: 15 }, () => newId())];
    const states = (await episodes.look(ids)).map(({ state }) => state);
    assert.deepEqual(
      states,
      ids.map((id) => (id === hangs ? EpisodeState.UNSPECIFIED : EpisodeState.UNKNOWN)),
    );
    await assert.rejects(episodes.look([hangs]), /Temporal is away/);
  });

  test("gives up an episode that does not do what its history says, and blames no order; other failures are left to who mends them", async () => {
    const { nativeConnection: connection } = stage.environment;
    const client = new Client({ connection, dataConverter });
    const { namespace } = client.options;
    const calls = new TemporalCalls(client, 10_000);
    for (const [cause, state] of [
      ["WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR", EpisodeState.CLOSED],
      ["WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE", EpisodeState.RUNNING],
    ] as const) {
      const nobody = `nobody-${newId()}`;
      const episodes = new Episodes(calls, { taskQueue: nobody, options: fastEpisodes, eagerStart: false });
      const episodeId = newId();
      await episodes.start(episodeId, []);
      const look = async () => (await episodes.look([episodeId]))[0];
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        assert.equal((await look())?.state, EpisodeState.RUNNING, `at attempt ${attempt}`);
        const { taskToken } = await client.workflowService.pollWorkflowTaskQueue({
          namespace,
          taskQueue: { name: nobody },
        });
        const failure = { message: "a task fails" };
        await client.workflowService.respondWorkflowTaskFailed({ namespace, taskToken, cause: causes[cause], failure });
      }
      const looked = await until(
        async () => ((await look())?.state === state ? await look() : undefined),
        cause,
        patient,
      );
      assert.deepEqual(looked, { episodeId, state, faults: [] });
      if (state === EpisodeState.RUNNING) await client.workflow.getHandle(episodeId).terminate();
    }
  });

  test("tells of a saga what its order's row knows", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.world.packs = (id) => (id === orderId ? undefined : "PACKED");
    stage.place([order], [on("authorize", { kind: "unavailable" }, { orderId, times: 2 })]);
    await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
    const { saga } = await sagas.getSaga({ orderId, sagaId: "" });
    assert.equal(saga?.stage, SagaStage.FULFILLMENT);
    assert.equal(saga?.sagaId, stage.rows.row(orderId).lastEpisodeId);
    assert.deepEqual(
      saga?.steps.map(({ name, status }) => `${name} ${SagaStepStatus[status]}`),
      ["reserve DONE", "authorize DONE", "confirm DONE", "prepare:BER DONE"],
    );
    assert.equal(saga?.listSize, 1);
  });

  test("lists the parked step of a row, and takes an operator's decision", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.place([order], [on("capture", { kind: "refuse", reason: "GATEWAY_REFUSED" }, { orderId, times: 1 })]);
    await stage.parked(orderId, "capture:BER");
    const listed = (await sagas.listParkedSteps({})).steps.filter((step) => step.orderId === orderId);
    assert.deepEqual(
      listed.map(({ step, error }) => [step, error]),
      [["capture:BER", "GATEWAY_REFUSED: refused with GATEWAY_REFUSED"]],
    );
    const ref = { orderId, sagaId: "", requestId: "op-1" };
    await assert.rejects(sagas.retryParkedStep({ ...ref, step: "void" }), /does not wait for an operator/);
    await assert.rejects(
      sagas.resolveParkedStep({ ...ref, step: "shipped", note: "moved" }),
      /nothing can be done instead/,
    );
    await assert.rejects(sagas.resolveParkedStep({ ...ref, step: "carry", note: "by hand" }), /nothing can be done/);
    await sagas.retryParkedStep({ ...ref, step: "capture:BER" });
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
  });

  test("says that an order rests when its episode is over", async () => {
    const order = anOrder();
    const { orderId } = order;
    await stage.run([order]);
    const sagaId = stage.rows.row(orderId).lastEpisodeId;
    const late = sagas.cancelOrderSaga({ requestId: "c1", orderId, sagaId, reason: "too late" });
    await assert.rejects(late, /the episode is over/);
  });

  test("does not take an episode that began meanwhile for a workflow of the kind before", async () => {
    const order = anOrder();
    await stage.run([order]);
    const sagaId = stage.rows.row(order.orderId).lastEpisodeId;
    await assert.rejects(legacy.status({ orderId: order.orderId, sagaId }), /no workflow carries the order/);
  });

  const unreadable = ["[]", "no JSON", '{"stage":"CHECKOUT"}', '{"stage":"LATER","steps":[],"parcels":[]}'];
  for (const saga of unreadable) {
    test(`refuses an order whose saga remembers ${saga}, and begins nothing`, async () => {
      const [sound, broken] = [anOrder(), anOrder()];
      for (const order of [sound, broken]) stage.rows.place(order);
      const claimed = stage.rows.claim();
      assert.ok(claimed);
      const { episodeId } = claimed;
      const orders = claimed.orders.map((each) => (each.orderId === broken.orderId ? { ...each, saga } : each));
      const refusal = await sagas.startEpisode({ episodeId, orders }).catch((error: unknown) => error);
      assert.ok(refusal instanceof ConnectError);
      assert.equal(refusal.code, Code.InvalidArgument);
      const [info] = refusal.findDetails(ErrorInfoSchema);
      assert.deepEqual([info?.reason, info?.metadata.order_id], ["SAGA_UNREADABLE", broken.orderId]);
      assert.deepEqual((await sagas.batchGetEpisodes({ episodeIds: [episodeId] })).states, [EpisodeState.UNKNOWN]);
      stage.rows.row(broken.orderId).saga = saga;
      await assert.rejects(sagas.getSaga({ orderId: broken.orderId, sagaId: "" }), /cannot be read/);
      for (const { orderId } of [sound, broken]) stage.rows.rows.delete(orderId);
    });
  }

  test("refuses orders that are more than a workflow can carry", async () => {
    const lines = Array.from({ length: 100 }, (_, index) => ({
      sku: `${"s".repeat(60)}${index}`,
      quantity: 1,
      unitPrice: 1,
    }));
    const address = { ...anOrder().address, lines: ["s".repeat(200), "t".repeat(200), "u".repeat(200)] };
    const own = Array.from({ length: 64 }, () => anOrder({ lines: [...lines, ...lines], address }));
    for (const order of own) stage.rows.place(order);
    const claimed = stage.rows.claim();
    for (const { orderId } of own) stage.rows.rows.delete(orderId);
    assert.ok(claimed);
    await assert.rejects(sagas.startEpisode(claimed), /more than a workflow/);
  });
});
