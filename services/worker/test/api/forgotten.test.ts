// What a saga did is there after Temporal has forgotten its workflows: it is in the row of its order.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client as ConnectClient, createClient, createRouterTransport } from "@connectrpc/connect";
import { Client } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { Registry } from "prom-client";
import { SagaStage, SagaStepStatus } from "#gen/shop/sagas/v1/saga_pb.js";
import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { PageTokens } from "#platform/page-token.ts";
import { quietLogger } from "#testing/logger.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { createSagaMetrics } from "../../src/activities/metrics.ts";
import { Episodes } from "../../src/api/episodes.ts";
import { LegacySagas } from "../../src/api/legacy-sagas.ts";
import { OrderRows } from "../../src/api/order-rows.ts";
import { SagaApi } from "../../src/api/saga-api.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { dataConverter } from "../stage/encryption.ts";
import { anOrder, clientsOf, fastEpisodes, fastOptions, localEnvironment, taskQueue } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { on } from "../world/rules.ts";

let stage: Stage;
/** Another Temporal, which has never heard of them. */
let forgetful: TestWorkflowEnvironment;
before(async () => {
  [stage, forgetful] = await Promise.all([Stage.open(), localEnvironment()]);
});
after(async () => {
  await stage?.close();
  await forgetful?.teardown();
});

/** The sagas of the stage's orders, as a worker of that Temporal tells of them. */
function sagasOver({ nativeConnection: connection }: TestWorkflowEnvironment): ConnectClient<typeof SagaService> {
  const calls = new TemporalCalls(new Client({ connection, dataConverter }), 10_000);
  const clients = clientsOf(stage.world, stage.rows);
  const api = new SagaApi({
    episodes: new Episodes(calls, { taskQueue, eagerStart: true, options: fastEpisodes }),
    legacy: new LegacySagas(calls, { taskQueue, eagerStart: true, options: fastOptions }),
    rows: new OrderRows(clients.episodes),
    pageTokens: new PageTokens(pageTokenSecret),
    metrics: createSagaMetrics(new Registry()),
    logger: quietLogger(),
    audit: clients.orders,
  });
  return createClient(
    SagaService,
    createRouterTransport(({ service }) => void service(SagaService, api)),
  );
}

test("the steps of an order that was delivered, and of one that was refused, outlive their workflows", async () => {
  const [delivered, refused] = [anOrder(), anOrder()];
  const declined = on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId: refused.orderId });
  assert.deepEqual(await stage.run([delivered, refused], [declined]), ["DELIVERED", "REJECTED"]);
  const told = async (environment: TestWorkflowEnvironment) => {
    const sagas = sagasOver(environment);
    const answers = await Promise.all([delivered, refused].map(({ orderId }) => sagas.getSaga({ orderId })));
    return answers.map(({ saga }) => saga);
  };
  const [first, second] = await told(forgetful);
  assert.deepEqual([first, second], await told(stage.environment));
  const stepsOf = (saga: typeof first) => saga?.steps.map(({ name, status }) => `${name} ${SagaStepStatus[status]}`);
  assert.deepEqual([first?.stage, second?.stage], [SagaStage.DELIVERED, SagaStage.REJECTED]);
  for (const step of ["reserve", "authorize", "confirm", "prepare:BER", "ship:BER", "capture:BER", "commit:BER"]) {
    assert.ok(stepsOf(first)?.includes(`${step} DONE`), `${step} is not among ${stepsOf(first)}`);
  }
  assert.ok(stepsOf(second)?.includes("authorize REFUSED"), String(stepsOf(second)));
  assert.ok(stepsOf(second)?.includes("release DONE"), String(stepsOf(second)));
});
