// Callers that wait for their orders hold nothing that the orders wait for.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { OrderService, WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { InFlight, type InFlightLimits } from "#platform/interceptors/in-flight.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

describe("admission of orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  let inFlight: InFlight;
  let orders: Client<typeof OrderService>;
  let lifecycle: Client<typeof OrderLifecycleService>;
  before(async () => {
    test = await ordersDatabase();
  });
  after(() => test[Symbol.asyncDispose]());
  beforeEach(async () => {
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker);
    customerId = await newCustomer(replica);
  });
  afterEach(() => replica.stop());

  /** Has the replica called through bounds. */
  function bound(limits: InFlightLimits): void {
    inFlight = new InFlight(limits);
    const interceptors = [contextInterceptor(30_000), errorInterceptor(), inFlight.interceptor()];
    const transport = createRouterTransport(
      (router) => {
        for (const registration of replica.registrations) registration.route(router);
      },
      { router: { interceptors } },
    );
    orders = createClient(OrderService, transport);
    lifecycle = createClient(OrderLifecycleService, transport);
  }

  /** Places an order and waits for its confirmation; comes back as long as there are too many calls. */
  async function placeAndWait(): Promise<OrderStatus | undefined> {
    const request = { ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED };
    for (;;) {
      try {
        const { order } = await orders.createOrder(request);
        return order?.status;
      } catch (error) {
        if (ConnectError.from(error).code !== Code.ResourceExhausted) throw error;
        await pause(5);
      }
    }
  }

  const started = () => worker.starts.flatMap(({ orders: carried }) => carried.map(({ orderId }) => orderId));

  async function confirmAll(): Promise<void> {
    const requests = started().map((orderId) => ({ orderId, status: OrderStatus.CONFIRMED }));
    await lifecycle.batchTransitionOrders({ requests });
  }

  it("has six times as many callers wait as may work, and they are all told", async () => {
    bound({ caller: 2, saga: 1, operator: 1, waiting: 100 });
    const calls = Array.from({ length: 12 }, placeAndWait);
    await eventually(() => assert.equal(started().length, 12));
    await eventually(() => assert.deepEqual(inFlight.counts, { caller: 0, saga: 0, operator: 0, waiting: 12 }));
    const [orderId = ""] = started();
    assert.equal((await orders.getOrder({ orderId })).order?.status, OrderStatus.PENDING);
    await confirmAll();
    assert.deepEqual(new Set(await Promise.all(calls)), new Set([OrderStatus.CONFIRMED]));
    assert.deepEqual(inFlight.counts, { caller: 0, saga: 0, operator: 0, waiting: 0 });
  });

  it("refuses to wait for more before it takes an order", async () => {
    bound({ caller: 2, saga: 1, operator: 1, waiting: 1 });
    const first = placeAndWait();
    await eventually(() => assert.equal(started().length, 1));
    const [orderId = ""] = started();
    const watching = async () => {
      for await (const _ of orders.watchOrder({ orderId }));
    };
    const refused = [
      orders.createOrder({ ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED }),
      orders.cancelOrder({ requestId: unique("cancel"), orderId }),
      watching(),
    ];
    for (const call of refused) {
      const error = await refusal(call);
      assert.equal(error.code, Code.ResourceExhausted);
      assert.deepEqual(error.findDetails(ErrorInfoSchema)[0]?.metadata, { queue: "waiting" });
    }
    const { orders: all } = await orders.listOrders({ customerId });
    assert.deepEqual(
      all.map((order) => order.orderId),
      [orderId],
    );
    const { order } = await orders.createOrder(orderRequest(customerId));
    assert.equal(order?.status, OrderStatus.PENDING, "who does not wait is served");
    await confirmAll();
    assert.equal(await first, OrderStatus.CONFIRMED);
    assert.equal(inFlight.count, 0);
  });
});
