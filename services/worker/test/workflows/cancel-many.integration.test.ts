import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client as ConnectClient, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import type { Worker } from "@temporalio/worker";
import { Registry } from "prom-client";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { CancellationOutcome, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { toConnectError } from "#platform/errors.ts";
import { PageTokens } from "#platform/page-token.ts";
import { quietLogger } from "#testing/logger.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { until } from "#testing/until.ts";
import {
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  startReplica,
  unique,
} from "../../../orders/test/harness.ts";
import { createSagaMetrics } from "../../src/activities/metrics.ts";
import { Episodes } from "../../src/api/episodes.ts";
import { LegacySagas } from "../../src/api/legacy-sagas.ts";
import { OrderRows } from "../../src/api/order-rows.ts";
import { SagaApi } from "../../src/api/saga-api.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { clientsOf, fastEpisodes, fastOptions, localEnvironment, taskQueue, workerFor } from "../stage/harness.ts";
import { World } from "../world/world.ts";

/** What one episode carries at most. */
const many = 64;
const over: ReadonlySet<OrderStatus> = new Set([OrderStatus.CANCELLED, OrderStatus.DELIVERED]);
const patience = { deadlineMs: 120_000, everyMs: 200 };

// The real orders on a database, and the real worker on a Temporal server; the others are fakes.
describe("sixty-four cancellations of one workflow's orders at once", () => {
  let database: TestDatabase;
  let environment: TestWorkflowEnvironment;
  let replica: Replica;
  let worker: Worker;
  let working: Promise<void>;
  const world = new World();
  /** The orders of each episode. */
  const episodes: string[][] = [];
  /** Cancellations that workflows were asked for. */
  let asked = 0;
  /** Orders whose parcels leave as soon as there are any. */
  const leaving = new Set<string>();

  before(async () => {
    [database, environment] = await Promise.all([ordersDatabase(), localEnvironment()]);
    replica = await startReplica(database.database, { client: sagas() }, { EPISODE_SPACING_MS: 5_000 });
    world.packs = (orderId) => (leaving.has(orderId) ? "PACKED" : undefined);
    world.tell = (orderId, locationId, { news, trackingNumber = "" }) => {
      const report = { orderId, locationId, news: ShipmentNews[news as keyof typeof ShipmentNews], trackingNumber };
      void replica.episodes.batchReportShipments({ requests: [report] });
    };
    const real = { orders: replica.lifecycle, episodes: replica.episodes };
    worker = await workerFor(environment, world, {}, { real });
    working = worker.run();
  });
  after(async () => {
    await replica?.stop();
    worker?.shutdown();
    await working;
    await environment?.teardown();
    await database?.[Symbol.asyncDispose]();
  });

  /** The worker's face, as orders calls it. */
  function sagas(): ConnectClient<typeof SagaService> {
    const calls = new TemporalCalls(environment.client, 10_000);
    const clients = clientsOf(world);
    const api = new SagaApi({
      episodes: new Episodes(calls, { taskQueue, eagerStart: false, options: fastEpisodes }),
      rows: new OrderRows(clients.episodes),
      legacy: new LegacySagas(calls, { taskQueue, eagerStart: false, options: fastOptions }),
      pageTokens: new PageTokens(pageTokenSecret),
      metrics: createSagaMetrics(new Registry()),
      audit: clients.orders,
      logger: quietLogger(),
    });
    const refusing = async <T>(answer: Promise<T>): Promise<T> => {
      try {
        return await answer;
      } catch (error) {
        throw toConnectError(error);
      }
    };
    return createClient(
      SagaService,
      createRouterTransport(({ service }) => {
        service(SagaService, {
          startEpisode: (request) => {
            episodes.push(request.orders.map(({ orderId }) => orderId));
            return refusing(api.startEpisode(request));
          },
          batchGetEpisodes: (request) => refusing(api.batchGetEpisodes(request)),
          cancelOrderSaga: (request) => {
            asked += 1;
            return refusing(api.cancelOrderSaga(request));
          },
        });
      }),
    );
  }

  /** Has as many orders placed as one episode carries, behind one that makes the others wait for each other. */
  async function place(): Promise<string[]> {
    const customerId = await newCustomer(replica);
    const create = async () => (await replica.orders.createOrder(orderRequest(customerId))).order?.orderId ?? "";
    leaving.add(await create());
    const orderIds = await Promise.all(Array.from({ length: many }, create));
    await until(
      () => episodes.some((each) => each.length === many && each.includes(orderIds[0] ?? "")),
      "one episode has all",
    );
    return orderIds;
  }

  /** Has an order cancelled; false when it is refused because of its state. */
  async function cancel(orderId: string): Promise<boolean> {
    const request = { requestId: unique("cancel"), orderId, reason: "changed my mind" };
    try {
      await replica.orders.cancelOrder(request, { timeoutMs: 60_000 });
      return true;
    } catch (error) {
      const { reason } = ConnectError.from(error).findDetails(ErrorInfoSchema)[0] ?? {};
      assert.equal(reason, "NOT_CANCELLABLE", String(error));
      return false;
    }
  }

  async function status(orderId: string): Promise<OrderStatus> {
    return (await replica.orders.getOrder({ orderId })).order?.status ?? OrderStatus.UNSPECIFIED;
  }

  async function isToBeReturned(orderId: string): Promise<boolean> {
    const { order } = await replica.orders.getOrder({ orderId });
    return order?.cancellation?.outcome === CancellationOutcome.RETURN;
  }

  /** Every order ends as was said: what left while its cancellation was accepted arrives, and is to be returned. */
  async function assertEnds(orderIds: string[], accepted: boolean[]): Promise<OrderStatus[]> {
    const ends = async () => {
      const statuses = await Promise.all(orderIds.map(status));
      return statuses.every((each) => over.has(each)) && statuses;
    };
    const statuses = await until(ends, "all have ended", patience);
    const late = await Promise.all(orderIds.map(isToBeReturned));
    const expected = accepted.map((each, index) =>
      each && !late[index] ? OrderStatus.CANCELLED : OrderStatus.DELIVERED,
    );
    assert.deepEqual(statuses, expected);
    return statuses;
  }

  it("are all accepted and done while the orders rest", async () => {
    const orderIds = await place();
    const packing = async () => {
      const statuses = await Promise.all(orderIds.map(status));
      return statuses.every((each) => each === OrderStatus.PREPARING);
    };
    await until(packing, "all of them are being packed", patience);
    const accepted = await Promise.all(orderIds.map(cancel));
    assert.ok(accepted.every(Boolean));
    await assertEnds(orderIds, accepted);
  });

  it("are accepted or refused by their state while the workflow runs, and done as was said", async () => {
    const before = asked;
    let running = false;
    const gate = Promise.withResolvers<void>();
    world.onCall = async (step, when) => {
      if (step !== "authorize" || when !== "before") return;
      running = true;
      await gate.promise;
    };
    const placing = place();
    const orderIds = await placing;
    for (const [index, orderId] of orderIds.entries()) if (index % 2 === 0) leaving.add(orderId);
    await until(() => running, "the workflow asks for money");
    const answers = Promise.all(orderIds.map(cancel));
    await until(() => asked - before >= many, "the workflow is asked", patience);
    world.onCall = () => undefined;
    gate.resolve();
    const accepted = await answers;
    const statuses = await assertEnds(orderIds, accepted);
    for (const { orderId, effect } of world.effects) {
      if (statuses[orderIds.indexOf(orderId)] === OrderStatus.CANCELLED)
        assert.doesNotMatch(effect, /^(?:ship|capture|commit):/);
    }
  });
});
