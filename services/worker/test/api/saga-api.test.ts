import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code, type Client as ConnectClient, createClient, createRouterTransport } from "@connectrpc/connect";
import { Client } from "@temporalio/client";
import { Registry } from "prom-client";
import { SagaCallbackService, ShipmentResult } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { SagaStage } from "#gen/shop/sagas/v1/saga_pb.js";
import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { toConnectError } from "#platform/errors.ts";
import { PageTokens } from "#platform/page-token.ts";
import { keepSpans } from "#testing/kept-spans.ts";
import { quietLogger } from "#testing/logger.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { until } from "#testing/until.ts";
import { createSagaMetrics } from "../../src/activities/metrics.ts";
import { Episodes } from "../../src/api/episodes.ts";
import { LegacySagas } from "../../src/api/legacy-sagas.ts";
import { OrderRows as RowsClient } from "../../src/api/order-rows.ts";
import { ParkedSteps, toParkedFilter } from "../../src/api/parked-steps.ts";
import { SagaApi } from "../../src/api/saga-api.ts";
import { SagaCallbackApi } from "../../src/api/saga-callback-api.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { parkedOrderIdsAttribute } from "../../src/workflows/engine/search-attributes.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { LegacyStage } from "../legacy/legacy-stage.ts";
import { dataConverter } from "../stage/encryption.ts";
import { anOrder, clientsOf, fastEpisodes, fastOptions, taskQueue } from "../stage/harness.ts";
import { patient } from "../stage/stage.ts";
import { orderOf } from "../stage/traces.ts";
import { OrderRows } from "../world/order-rows.ts";
import { on } from "../world/rules.ts";

let stage: LegacyStage;
let sagas: ConnectClient<typeof SagaService>;
let callbacks: ConnectClient<typeof SagaCallbackService>;

before(async () => {
  stage = await LegacyStage.open();
  const { nativeConnection: connection } = stage.environment;
  const calls = new TemporalCalls(new Client({ connection, dataConverter }), 10_000);
  const legacy = new LegacySagas(calls, {
    taskQueue,
    eagerStart: true,
    options: { ...fastOptions, patienceMs: 500, pollMs: 3_600_000 },
  });
  const episodes = new Episodes(calls, { taskQueue, eagerStart: true, options: fastEpisodes });
  const clients = clientsOf(stage.world, new OrderRows(stage.world));
  const rows = new RowsClient(clients.episodes);
  const metrics = createSagaMetrics(new Registry());
  const pageTokens = new PageTokens(pageTokenSecret);
  const transport = createRouterTransport(
    ({ service }) => {
      service(
        SagaService,
        new SagaApi({ episodes, rows, legacy, pageTokens, metrics, logger: quietLogger(), audit: clients.orders }),
      );
      service(SagaCallbackService, new SagaCallbackApi(legacy, quietLogger()));
    },
    {
      router: {
        interceptors: [
          (next) => async (request) => {
            try {
              return await next(request);
            } catch (error) {
              throw toConnectError(error);
            }
          },
        ],
      },
    },
  );
  sagas = createClient(SagaService, transport);
  callbacks = createClient(SagaCallbackService, transport);
});
after(() => stage?.close());

function proto({ orderId, customerId, lines, total, address, cardToken, traceparent }: SagaOrder) {
  return {
    orderId,
    customerId,
    cardToken,
    traceparent,
    shippingAddress: address,
    lines: lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice: BigInt(unitPrice) })),
    total: { ...total, amount: BigInt(total.amount) },
  };
}

let started = 0;

async function start(orders: SagaOrder[]): Promise<string> {
  const sagaId = `01SAGA${String(started++).padStart(20, "0")}`;
  assert.equal((await sagas.startOrderSaga({ sagaId, orders: orders.map(proto) })).started, true);
  assert.equal((await sagas.startOrderSaga({ sagaId, orders: orders.map(proto) })).started, false);
  return sagaId;
}

async function reaches(orderId: string, sagaId: string, stageWanted: SagaStage): Promise<void> {
  const look = async () => (await sagas.getSaga({ orderId, sagaId })).saga?.stage === stageWanted;
  await until(look, `the saga is ${SagaStage[stageWanted]}`, patient);
}

describe("SagaService, for sagas of the kind before episodes", () => {
  test("starts a saga once, tells how far it is, and takes reports", async () => {
    const orders = [anOrder(), anOrder()];
    const [first, second] = orders.map(({ orderId }) => orderId);
    assert.ok(first && second);
    const sagaId = await start(orders);
    await reaches(first, sagaId, SagaStage.TRACKING);
    await reaches(second, "", SagaStage.TRACKING);
    const reports = [
      { sagaId, orderId: first, locationId: "BER", result: ShipmentResult.DELIVERED },
      { sagaId: "01NEVERWAS0000000000000000", orderId: first, locationId: "BER", result: ShipmentResult.LOST },
      { sagaId, orderId: second, locationId: "BER", result: ShipmentResult.LOST },
    ];
    const { taken } = await callbacks.batchReportShipments({ reports });
    assert.deepEqual(taken, [true, true, true]);
    await reaches(first, sagaId, SagaStage.DELIVERED);
    await reaches(second, sagaId, SagaStage.FAILED);
    const { saga } = await sagas.getSaga({ orderId: second, sagaId });
    assert.equal(saga?.failureReason, "LOST_IN_TRANSIT");
    assert.equal(saga?.listSize, 2);
    assert.deepEqual(saga?.steps.map(({ name }) => name).slice(0, 3), ["reserve", "authorize", "confirm"]);
    assert.deepEqual((await callbacks.batchReportShipments({ reports: reports.slice(0, 1) })).taken, [true]);
  });

  test("takes each report in the trace of its order", async () => {
    const kept = await keepSpans();
    try {
      const orders = [orderOf({ traced: true }), orderOf({ traced: false })];
      const [traced, other] = orders.map(({ orderId }) => orderId);
      assert.ok(traced && other);
      const sagaId = await start(orders);
      await reaches(traced, sagaId, SagaStage.TRACKING);
      await reaches(other, sagaId, SagaStage.TRACKING);
      const reports = [other, traced].map((orderId) => {
        return { sagaId, orderId, locationId: "BER", result: ShipmentResult.DELIVERED };
      });
      const [{ traceparent } = { traceparent: "" }] = orders;
      await callbacks.batchReportShipments({ reports, traceparents: ["", traceparent] });
      await reaches(traced, sagaId, SagaStage.DELIVERED);
      const report = kept.one("ReportShipment");
      assert.equal(report.attributes["order.id"], traced);
      const deliver = kept.one("deliver");
      for (const span of [report, deliver]) assert.equal(span.spanContext().traceId, traceparent.slice(3, 35));
    } finally {
      await kept.stop();
    }
  });

  test("starts the first workflow task with the answer to the start", async () => {
    const sagaId = await start([anOrder()]);
    const { events } = await stage.environment.client.workflow.getHandle(sagaId).fetchHistory();
    assert.equal(events?.[0]?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted, true);
  });

  test("cancels, again and again, until a parcel has left", async () => {
    const [order, other] = [anOrder(), anOrder()];
    stage.world.rules.push(on("authorize", { kind: "pending" }, { orderId: order.orderId }));
    const sagaId = await start([order, other]);
    const request = { requestId: "c1", orderId: order.orderId, sagaId, reason: "changed my mind" };
    await sagas.cancelOrderSaga(request);
    await reaches(order.orderId, sagaId, SagaStage.CANCELLED);
    await sagas.cancelOrderSaga({ ...request, requestId: "c2" });
    await reaches(other.orderId, sagaId, SagaStage.TRACKING);
    const late = sagas.cancelOrderSaga({ ...request, requestId: "c3", orderId: other.orderId });
    await assert.rejects(late, /a parcel has left/);
    const report = { sagaId, orderId: other.orderId, locationId: "BER", result: ShipmentResult.DELIVERED };
    await callbacks.batchReportShipments({ reports: [report] });
    const describe = () => stage.environment.client.workflow.getHandle(sagaId).describe();
    await until(async () => (await describe()).status.name === "COMPLETED", "the workflow has ended", patient);
    await sagas.cancelOrderSaga({ ...request, requestId: "c4" });
    const ended = sagas.cancelOrderSaga({ ...request, requestId: "c5", orderId: other.orderId });
    await assert.rejects(ended, /the order has ended/);
  });

  test("lists parked steps page by page, and lets an operator decide", async () => {
    const orders = [anOrder(), anOrder()];
    const sagaIds: string[] = [];
    for (const order of orders) {
      stage.world.rules.push(on("reserve", { kind: "unavailable" }, { orderId: order.orderId, times: 3 }));
      sagaIds.push(await start([order]));
    }
    const listed = async () => {
      const steps = [];
      let pageToken = "";
      do {
        const page = await sagas.listParkedSteps({ pageSize: 1, pageToken });
        steps.push(...page.steps);
        pageToken = page.nextPageToken;
      } while (pageToken);
      return steps.map(({ orderId, sagaId, step }) => `${orderId} ${sagaId} ${step}`).sort();
    };
    const expected = orders.map(({ orderId }, index) => `${orderId} ${sagaIds[index]} reserve`).sort();
    await until(async () => (await listed()).join() === expected.join(), "both steps are listed", patient);
    for (const [index, { orderId }] of orders.entries()) {
      const ref = { orderId, sagaId: sagaIds[index] ?? "", step: "reserve" };
      if (index === 0) await sagas.retryParkedStep({ ...ref, requestId: `r-${orderId}` });
      else await sagas.resolveParkedStep({ ...ref, requestId: `r-${orderId}`, note: "given up" });
    }
    const noted = stage.world.effects.filter(({ effect }) => effect.endsWith(" reserve"));
    assert.deepEqual(
      noted.map(({ effect, id }) => [effect, id]),
      [
        ["RETRY reserve", `r-${orders[0]?.orderId}`],
        ["RESOLVE reserve", `r-${orders[1]?.orderId}`],
      ],
    );
    await reaches(orders[0]?.orderId ?? "", sagaIds[0] ?? "", SagaStage.TRACKING);
    await reaches(orders[1]?.orderId ?? "", sagaIds[1] ?? "", SagaStage.REJECTED);
    await until(async () => (await listed()).length === 0, "nothing is listed", patient);
    await assert.rejects(sagas.listParkedSteps({ pageToken: "made up" }), /page token/);
  });

  test("has all parked steps tried again by one call, also those of one workflow", async () => {
    const orders = [anOrder(), anOrder(), anOrder()];
    const orderIds = orders.map(({ orderId }) => orderId);
    let away = true;
    stage.world.rules.push(({ step, orderId }) =>
      away && step === "reserve" && orderIds.includes(orderId) ? { kind: "unavailable" } : undefined,
    );
    const [first = anOrder(), second = anOrder(), third = anOrder()] = orders;
    const sagaIds = [await start([first, second]), await start([third])];
    const listed = async () => (await sagas.listParkedSteps({ filter: { step: "reserve" } })).steps.length;
    await until(async () => (await listed()) === orders.length, "the steps are listed", patient);
    assert.deepEqual((await sagas.listParkedSteps({ filter: { step: "void" } })).steps, []);
    assert.deepEqual((await sagas.listParkedSteps({ filter: { reason: "AWAY" } })).steps, []);
    away = false;
    const request = { requestId: "all-of-them", which: { case: "all", value: true } as const, note: "it is back" };
    const told = [];
    for await (const { progress } of sagas.retryParkedSteps(request)) told.push(progress);
    const last = told.at(-1);
    assert.deepEqual([last?.decided, last?.refused, last?.done], [orders.length, 0, true]);
    await reaches(first.orderId, sagaIds[0] ?? "", SagaStage.TRACKING);
    await reaches(second.orderId, sagaIds[0] ?? "", SagaStage.TRACKING);
    await reaches(third.orderId, sagaIds[1] ?? "", SagaStage.TRACKING);
    const noted = stage.world.effects.filter(({ id }) => id === request.requestId).map(({ orderId }) => orderId);
    assert.deepEqual(noted.sort(), orderIds.sort());
  });

  test("lists the others when a workflow cannot be asked for its steps", async () => {
    const { client, nativeConnection: connection } = stage.environment;
    const order = anOrder();
    stage.world.rules.push(on("reserve", { kind: "unavailable" }, { orderId: order.orderId, times: 3 }));
    const sagaId = await start([order]);
    const dumb = await client.workflow.start("nobodyKnows", {
      taskQueue: "nobody-looks",
      workflowId: "01DVMB00000000000000000000",
      typedSearchAttributes: [{ key: parkedOrderIdsAttribute, value: [order.orderId] }],
    });
    try {
      const hasty = new TemporalCalls(new Client({ connection, dataConverter }), 500);
      const settings = { taskQueue, eagerStart: false, options: fastOptions };
      const clients = clientsOf(stage.world, new OrderRows(stage.world));
      const parked = new ParkedSteps({
        rows: new RowsClient(clients.episodes),
        legacy: new LegacySagas(hasty, settings),
        audit: clients.orders,
      });
      const page = { size: 50, token: "", parkedBefore: undefined };
      const look = async () => {
        const { steps } = await parked.page(toParkedFilter(undefined), page);
        const shown = new Map(steps.map(({ step }) => [step.sagaId, step]));
        return shown.has(sagaId) && shown.get(dumb.workflowId);
      };
      const shown = await until(look, "both workflows are listed", patient);
      assert.match(shown.error, /cannot be read: Temporal is away/);
      assert.deepEqual([shown.orderId, shown.step], ["", ""]);
    } finally {
      await dumb.terminate("the test is over");
    }
    await sagas.retryParkedStep({ requestId: "r", orderId: order.orderId, sagaId, step: "reserve" });
    await reaches(order.orderId, sagaId, SagaStage.TRACKING);
  });

  test("does not say of an order whose workflow was terminated that it has ended", async () => {
    const order = anOrder();
    const { orderId } = order;
    const sagaId = await start([order]);
    await reaches(orderId, sagaId, SagaStage.TRACKING);
    await stage.environment.client.workflow.getHandle(sagaId).terminate("by hand");
    const cancelled = sagas.cancelOrderSaga({ requestId: "c", orderId, sagaId, reason: "no" });
    await assert.rejects(cancelled, /no workflow carries the order/);
  });

  test("refuses what is not there", async () => {
    const { orderId } = anOrder();
    const sagaId = await start([anOrder()]);
    await assert.rejects(sagas.getSaga({ orderId, sagaId: "" }), /no workflow carries the order/);
    await assert.rejects(sagas.getSaga({ orderId, sagaId }), /no workflow carries the order/);
    await assert.rejects(sagas.getSaga({ orderId, sagaId: "nowhere" }), /no workflow carries the order/);
    const step = { requestId: "x", orderId, sagaId, step: "reserve" };
    await assert.rejects(sagas.retryParkedStep(step), /does not wait/);
  });

  test("says that it is unavailable, not broken, when Temporal does not answer in time", async () => {
    const { nativeConnection: connection } = stage.environment;
    const hasty = new LegacySagas(new TemporalCalls(new Client({ connection, dataConverter }), 0), {
      taskQueue,
      eagerStart: false,
      options: fastOptions,
    });
    const order = anOrder();
    const ref = { orderId: order.orderId, sagaId: await start([order]) };
    for (const call of [() => hasty.cancel(ref, "too slow", "hasty"), () => hasty.report(ref.sagaId, [])]) {
      await assert.rejects(call(), (error) => {
        const { code, message } = toConnectError(error);
        assert.equal(code, Code.Unavailable, String(error));
        assert.match(message, /Temporal is away/);
        return true;
      });
    }
  });

  test("refuses orders that are more than a workflow can carry", async () => {
    const lines = Array.from({ length: 100 }, (_, index) => ({
      sku: `${"s".repeat(60)}${index}`,
      quantity: 1,
      unitPrice: 1,
    }));
    const address = { ...anOrder().address, lines: ["s".repeat(200), "t".repeat(200), "u".repeat(200)] };
    const orders = Array.from({ length: 64 }, () => proto(anOrder({ lines: [...lines, ...lines], address })));
    await assert.rejects(
      sagas.startOrderSaga({ sagaId: "01T00LARGE0000000000000000", orders }),
      /more than a workflow/,
    );
  });
});
