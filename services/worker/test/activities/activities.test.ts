import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { ApplicationFailure, CancelledFailure } from "@temporalio/activity";
import { MockActivityEnvironment } from "@temporalio/testing";
import { Registry } from "prom-client";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { OrderEpisodeService, type SettleOrderRequest } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { requestContext } from "#platform/context.ts";
import type { Activities } from "../../src/activities/all-steps.ts";
import { createActivities } from "../../src/activities/create-activities.ts";
import type { LongBatchPolicy } from "../../src/activities/long-batch.ts";
import { createSagaMetrics } from "../../src/activities/metrics.ts";
import type { Outcome, StepBatch } from "../../src/workflows/engine/step-batch.ts";
import { anOrder, clientsOf, clientsOver, fastLong } from "../stage/harness.ts";
import { on } from "../world/rules.ts";
import { World } from "../world/world.ts";

const address = { recipient: "A", lines: ["1"], city: "B", postalCode: "1", country: "DE" };

function activitiesOf(world: World, long: LongBatchPolicy = fastLong): Activities {
  return createActivities(clientsOf(world), long, createSagaMetrics(new Registry()));
}

/** Runs an activity as the worker would. */
function run<I, O>(
  activity: (list: StepBatch<I>) => Promise<Outcome<O>[]>,
  list: StepBatch<I>,
  environment = new MockActivityEnvironment(),
): Promise<Outcome<O>[]> {
  return environment.run<[StepBatch<I>], Outcome<O>[], typeof activity>(activity, list);
}

function kinds(outcomes: Outcome<unknown>[]): string[] {
  return outcomes.map(({ kind }) => kind);
}

/** Parcels of confirmed orders. */
function parcels(world: World, count: number) {
  return Array.from({ length: count }, () => {
    const lines = [{ sku: "tea", quantity: 1 }];
    const { orderId } = anOrder();
    world.order(orderId).status = "CONFIRMED";
    return { orderId, locationId: "BER", lines, address };
  });
}

describe("an activity", () => {
  test("names an effect by order and step, whatever the attempt", async () => {
    const world = new World();
    const { orderId } = anOrder();
    const part = { orderId, locationId: "BER", amount: { currency: "EUR", amount: 0 } };
    const { capturePayment, voidPayment } = activitiesOf(world);
    for (const attempt of [1, 2]) {
      const environment = new MockActivityEnvironment({ attempt });
      await run(capturePayment, { entries: [part] }, environment);
      await run(voidPayment, { entries: [{ orderId }] }, environment);
    }
    const ids = world.effects.map(({ id }) => id);
    assert.deepEqual(ids, [`${orderId}:capture:BER`, `${orderId}:void`]);
  });

  test("tells refused and undecided entries apart from the others", async () => {
    const world = new World();
    const entries = Array.from({ length: 3 }, () => {
      const { orderId, customerId, total, cardToken } = anOrder();
      return { orderId, customerId, amount: total, cardToken };
    });
    const [first, second] = entries;
    const metadata = { decline_code: "card_declined" };
    world.rules.push(
      on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED", metadata }, { orderId: first?.orderId ?? "" }),
      on("authorize", { kind: "pending" }, { orderId: second?.orderId ?? "" }),
    );
    const outcomes = await run(activitiesOf(world).authorizePayment, { entries });
    assert.deepEqual(kinds(outcomes), ["refused", "pending", "done"]);
    assert.deepEqual(outcomes[0]?.kind === "refused" && outcomes[0].refusal.metadata, metadata);
  });

  test("keeps no number of a card in what a callee says of an entry", async () => {
    const world = new World();
    world.rules.push(on("commit", { kind: "refuse", reason: "NO 4111 1111 1111 1111" }));
    const entries = [{ orderId: anOrder().orderId, locationId: "BER" }];
    const [outcome] = await run(activitiesOf(world).commitStock, { entries });
    assert.equal(outcome?.kind === "refused" && outcome.refusal.message, "refused with NO [card number]");
  });

  for (const [kind, type, nonRetryable, details] of [
    ["invalid", "InvalidArgument", true, { away: false, invalid: true }],
    ["unavailable", "Unavailable", false, { away: true }],
  ] as const) {
    test(`fails as a whole with the reason as type: ${type}`, async () => {
      const world = new World();
      world.rules.push(on("commit", { kind }));
      const commit = run(activitiesOf(world).commitStock, {
        entries: [{ orderId: anOrder().orderId, locationId: "BER" }],
      });
      await assert.rejects(commit, (error) => {
        assert.ok(error instanceof ApplicationFailure);
        assert.deepEqual({ type: error.type, nonRetryable: error.nonRetryable }, { type, nonRetryable });
        assert.deepEqual(error.details, [details]);
        return true;
      });
    });
  }

  test("does not say that somebody is away when the fault is in an entry", async () => {
    const part = { orderId: anOrder().orderId, locationId: "BER", amount: { currency: "EUR", amount: 0.5 } };
    const capture = run(activitiesOf(new World()).capturePayment, { entries: [part] });
    await assert.rejects(capture, (error) => {
      assert.ok(error instanceof ApplicationFailure);
      assert.deepEqual(error.details, [{ away: false }]);
      return true;
    });
  });

  test("settles in the episode that it belongs to, and tells no number of a card", async () => {
    const told: SettleOrderRequest[] = [];
    const transport = createRouterTransport(({ service }) => {
      service(OrderEpisodeService, {
        batchSettleOrders: ({ requests }) => {
          told.push(...requests);
          return { outcomes: requests.map(() => ({ outcome: { case: "response", value: {} } })) };
        },
      });
    });
    const { settleOrder } = createActivities(clientsOver(transport), fastLong, createSagaMetrics(new Registry()));
    const { orderId } = anOrder();
    const saga = { stage: "TRACKING" as const, steps: [], parcels: [] };
    const parked = { step: "void", reason: "REFUSED", error: "card 4242 4242 4242 4242" };
    const common = { orderId, saga, cancellable: false, needsCard: false };
    const entries = [{ ...common, retryAfterMs: 0, waitsFor: "payments", parked }];
    const environment = new MockActivityEnvironment({ workflowExecution: { workflowId: "episode", runId: "run" } });
    assert.deepEqual(kinds(await run(settleOrder, { entries }, environment)), ["done"]);
    const [settled] = told;
    assert.deepEqual([settled?.episodeId, settled?.status, settled?.waitsFor], ["episode", 0, "payments"]);
    assert.equal(settled?.retryAfter?.seconds, 0n);
    assert.deepEqual(JSON.parse(settled?.saga ?? ""), saga);
    assert.ok(!settled?.parked?.error.includes("4242 4242"), settled?.parked?.error);
  });

  test("does not take an answer of another length", async () => {
    const transport = createRouterTransport(({ service }) => {
      service(InventoryService, { batchCommitReservations: () => ({ outcomes: [] }) });
    });
    const { commitStock } = createActivities(clientsOver(transport), fastLong, createSagaMetrics(new Registry()));
    const commit = run(commitStock, { entries: [{ orderId: "x", locationId: "BER" }] });
    await assert.rejects(commit, { type: "MALFORMED_ANSWER" });
  });

  test("keeps card numbers out of the history, and out of what it tells the services", async () => {
    const told: unknown[] = [];
    const transport = createRouterTransport(({ service }) => {
      service(OrderLifecycleService, {
        batchTransitionOrders: ({ requests }) => {
          told.push(requests[0]?.failure?.customerMessage);
          throw new ConnectError("no, 4111 1111 1111 1111", Code.FailedPrecondition);
        },
      });
    });
    const { transitionOrder } = createActivities(clientsOver(transport), fastLong, createSagaMetrics(new Registry()));
    const failure = { reason: "CANCELLED_BY_CUSTOMER", customerMessage: "cancelled: 4111111111111111" };
    const entries = [{ orderId: anOrder().orderId, status: "CANCELLED" as const, failure }];
    await assert.rejects(run(transitionOrder, { entries }), (error: ApplicationFailure) => {
      assert.equal(error.message, "FailedPrecondition: no, [card number]");
      assert.equal(error.cause, undefined);
      return true;
    });
    assert.deepEqual(told, ["cancelled: [card number]"]);
  });

  test("says for whom it works: the saga, and the order of a batch of one", async () => {
    const world = new World();
    const known: unknown[] = [];
    world.onCall = (_, when) => {
      const { subject, requestId } = requestContext();
      const { "saga.id": sagaId, "order.id": orderId } = subject ?? {};
      if (when === "before") known.push({ sagaId, orderId, requestId });
    };
    const entries = [anOrder(), anOrder()].map(({ orderId }) => ({ orderId, locationId: "BER" }));
    const environment = () => new MockActivityEnvironment({ workflowExecution: { workflowId: "saga", runId: "run" } });
    await run(activitiesOf(world).commitStock, { entries: entries.slice(0, 1) }, environment());
    await run(activitiesOf(world).commitStock, { entries }, environment());
    const saga = { sagaId: "saga", requestId: "saga" };
    assert.deepEqual(known, [
      { ...saga, orderId: entries[0]?.orderId },
      { ...saga, orderId: undefined },
    ]);
  });

  test("counts what became of each entry, and the stages that orders enter", async () => {
    const world = new World();
    const registry = new Registry();
    const { transitionOrder, capturePayment } = createActivities(
      clientsOf(world),
      fastLong,
      createSagaMetrics(registry),
    );
    const [first, second] = [anOrder(), anOrder()];
    world.rules.push(on("capture", { kind: "pending" }, { orderId: second.orderId }));
    const part = { locationId: "BER", amount: { currency: "EUR", amount: 0 } };
    await run(capturePayment, { entries: [first, second].map(({ orderId }) => ({ orderId, ...part })) });
    world.order(first.orderId).status = "SHIPPED";
    const moves = [
      { orderId: first.orderId, status: "DELIVERED" as const },
      { orderId: second.orderId, status: "CANCELLED" as const },
    ];
    await run(transitionOrder, { entries: moves });
    world.rules.push(on("capture", { kind: "unavailable" }));
    await assert.rejects(run(capturePayment, { entries: [{ orderId: first.orderId, ...part }] }));
    const text = await registry.metrics();
    for (const line of [
      'saga_steps_total{step="capture",outcome="done"} 1',
      'saga_steps_total{step="capture",outcome="pending"} 1',
      'saga_steps_total{step="capture",outcome="failed"} 1',
      'saga_steps_total{step="deliver",outcome="done"} 1',
      'saga_steps_total{step="transition",outcome="done"} 1',
      'saga_orders_total{stage="DELIVERED"} 1',
      'saga_orders_total{stage="CANCELLED"} 1',
      'saga_lists_size_sum{step="capture"} 3',
      'saga_step_duration_seconds_count{step="deliver"} 1',
    ]) {
      assert.ok(text.includes(`${line}\n`), `${line} is not in\n${text}`);
    }
  });
});

describe("packing", () => {
  test("heartbeats with what is decided, and goes on from there after a crash", async () => {
    const world = new World();
    const [ready, slow] = parcels(world, 2);
    assert.ok(ready && slow);
    world.rules.push(on("prepare", { kind: "pending" }, { orderId: slow.orderId }));
    world.rules.push(on("look", { kind: "pending" }, { orderId: slow.orderId, times: 3 }));
    const patient = { ...fastLong, boundMs: 5_000, graceMs: 5_000 };
    const { prepareShipment } = activitiesOf(world, patient);
    const first = new MockActivityEnvironment();
    let heartbeat: unknown;
    first.on("heartbeat", (details: unknown) => {
      heartbeat ??= details;
      first.cancel();
    });
    await assert.rejects(run(prepareShipment, { entries: [ready, slow] }, first), CancelledFailure);
    const second = new MockActivityEnvironment({ heartbeatDetails: heartbeat });
    const outcomes = await run(prepareShipment, { entries: [ready, slow] }, second);
    assert.deepEqual(kinds(outcomes), ["done", "done"]);
    const asked = world.batches.filter(({ step }) => step === "prepare").map(({ size }) => size);
    assert.deepEqual(asked, [2, 1]);
  });

  test("does not let ready parcels wait for slow ones", async () => {
    const world = new World();
    const [ready, slow] = parcels(world, 2);
    assert.ok(ready && slow);
    world.rules.push(on("prepare", { kind: "pending" }, { orderId: slow.orderId }));
    world.rules.push(on("look", { kind: "pending" }, { orderId: slow.orderId }));
    const outcomes = await run(activitiesOf(world, { ...fastLong, boundMs: 60_000 }).prepareShipment, {
      entries: [ready, slow],
    });
    assert.deepEqual(kinds(outcomes), ["done", "pending"]);
  });

  test("bounds its own time", async () => {
    const world = new World();
    world.rules.push(on("ship", { kind: "pending" }));
    const outcomes = await run(activitiesOf(world, { ...fastLong, boundMs: 50 }).bookShipment, {
      entries: parcels(world, 1).map(({ orderId, locationId }) => ({ orderId, locationId })),
    });
    assert.deepEqual(outcomes, [{ kind: "pending" }]);
  });
});
