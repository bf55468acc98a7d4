import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { type Order, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { type RequestContext, requestContext } from "#platform/context.ts";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import { newCustomer, orderRequest, ordersDatabase, type Replica, refusal, startReplica, unique } from "./harness.ts";

function reason(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

describe("cancelling orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker);
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    worker.available = true;
    worker.onCancel = () => undefined;
    worker.onStart = () => undefined;
    worker.cancels.length = 0;
    worker.starts.length = 0;
    customerId = await newCustomer(replica);
  });

  async function place(changes = {}): Promise<Order> {
    const { order } = await replica.orders.createOrder(orderRequest(customerId, changes));
    assert.ok(order);
    return order;
  }

  async function move(orderId: string, status: OrderStatus): Promise<void> {
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status }] });
  }

  const cancel = (orderId: string, requestId = unique("cancel"), reasonText = "changed my mind") =>
    replica.orders.cancelOrder({ requestId, orderId, reason: reasonText });

  it("asks the saga, and returns the order as it stands", async () => {
    const { orderId, sagaId } = await place();
    worker.onCancel = () => move(orderId, OrderStatus.CANCELLED);
    const requestId = unique("cancel");
    assert.equal((await cancel(orderId, requestId)).order?.status, OrderStatus.CANCELLED);
    const [asked] = worker.cancels;
    assert.deepEqual([asked?.requestId, asked?.orderId, asked?.sagaId], [requestId, orderId, sagaId]);
    assert.equal((await cancel(orderId, requestId)).order?.status, OrderStatus.CANCELLED, "a repetition");
    assert.equal(worker.cancels.length, 1);
  });

  it("does not wait longer than the caller for what takes time", async () => {
    const { orderId } = await place();
    const request = { requestId: unique("cancel"), orderId, reason: "no" };
    const { order } = await replica.orders.cancelOrder(request, { timeoutMs: 1_200 });
    assert.equal(order?.status, OrderStatus.PENDING);
  });

  it("hands the order over first when the worker does not have it yet", async () => {
    worker.available = false;
    const { orderId } = await place();
    assert.equal((await refusal(cancel(orderId))).code, Code.Unavailable);
    worker.available = true;
    worker.onCancel = () => move(orderId, OrderStatus.CANCELLED);
    assert.equal((await cancel(orderId)).order?.status, OrderStatus.CANCELLED);
    assert.equal(worker.starts.length, 1);
  });

  it("lets the hand-over go on for others when its caller has gone", async () => {
    worker.available = false;
    const { orderId, sagaId } = await place();
    worker.available = true;
    const contexts: RequestContext[] = [];
    worker.onStart = () => {
      contexts.push(requestContext());
    };
    const request = { requestId: unique("cancel"), orderId, reason: "no" };
    await replica.orders.cancelOrder(request, { timeoutMs: 2_000 });
    assert.equal(worker.starts[0]?.sagaId, sagaId);
    assert.deepEqual([contexts[0]?.deadline, contexts[0]?.signal], [undefined, undefined]);
  });

  it("is refused when a parcel has left, when the order has ended and when there is none", async () => {
    const shipped = await place();
    worker.onCancel = () => {
      throw sagaRefusal("NOT_CANCELLABLE", Code.FailedPrecondition);
    };
    for (const status of [OrderStatus.CONFIRMED, OrderStatus.PREPARING, OrderStatus.SHIPPED]) {
      await move(shipped.orderId, status);
    }
    const requestId = unique("cancel");
    for (let time = 0; time < 2; time += 1) {
      const error = await refusal(cancel(shipped.orderId, requestId));
      const [info] = error.findDetails(ErrorInfoSchema);
      assert.equal(error.code, Code.FailedPrecondition);
      assert.deepEqual([info?.domain, info?.reason], ["orders.shop", "NOT_CANCELLABLE"]);
      assert.deepEqual(info?.metadata, { order_id: shipped.orderId, status: "SHIPPED" });
    }
    await move(shipped.orderId, OrderStatus.DELIVERED);
    const asked = worker.cancels.length;
    assert.equal(reason(await refusal(cancel(shipped.orderId))), "NOT_CANCELLABLE");
    assert.equal(worker.cancels.length, asked);
    assert.equal(reason(await refusal(cancel(newId()))), "ORDER_NOT_FOUND");
  });

  it("refuses another cancellation of what is cancelled, each time", async () => {
    const { orderId } = await place();
    await move(orderId, OrderStatus.CANCELLED);
    const requestId = unique("cancel");
    for (let time = 0; time < 2; time += 1) {
      assert.equal(reason(await refusal(cancel(orderId, requestId))), "NOT_CANCELLABLE");
    }
  });

  it("refuses a request id that stood for another cancellation", async () => {
    const [first, second] = [await place(), await place()];
    const requestId = unique("cancel");
    worker.onCancel = ({ orderId }) => move(orderId, OrderStatus.CANCELLED);
    await cancel(first.orderId, requestId);
    assert.equal(reason(await refusal(cancel(second.orderId, requestId))), "REQUEST_ID_REUSED");
    assert.equal(reason(await refusal(cancel(first.orderId, requestId, "another reason"))), "REQUEST_ID_REUSED");
  });

  it("does not count as refused when the order is cancelled before the saga's refusal is seen", async () => {
    const { orderId } = await place();
    worker.onCancel = async () => {
      await move(orderId, OrderStatus.CANCELLED);
      throw sagaRefusal("SAGA_NOT_FOUND", Code.NotFound);
    };
    assert.equal(reason(await refusal(cancel(orderId))), "NOT_CANCELLABLE");
  });
});
