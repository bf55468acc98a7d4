import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import type { StartOrderSagaRequest } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { outbox } from "./committed.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import {
  eventually,
  line,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  startReplica,
} from "./harness.ts";

const eager = { DISPATCH_SWEEP_EVERY_MS: 10, DISPATCH_SWEEP_AGE_MS: 30 };
const tooLarge = () => sagaRefusal("SAGA_TOO_LARGE", Code.InvalidArgument);

describe("orders that the worker refuses", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker());
    customerId = await newCustomer(replica);
  });
  after(() => test[Symbol.asyncDispose]());
  beforeEach(() => {
    worker = new FakeWorker();
  });

  const bad = () => orderRequest(customerId, { lines: [line("REFUSED", 1, 100n)] });
  const hasBad = ({ orders }: StartOrderSagaRequest) =>
    orders.some(({ lines }) => lines.some(({ sku }) => sku === "REFUSED"));

  async function pending(): Promise<number> {
    return (await outbox(test.database)).filter((row) => !row.dispatched).length;
  }

  it("end rejected, and those that shared its batch go on with a saga each", async () => {
    worker.onStart = (request) => {
      if (!hasBad(request)) return;
      worker.running.delete(request.sagaId);
      throw tooLarge();
    };
    await using replica = await startReplica(test.database, worker, { ...eager, ORDER_REJECT_AFTER_MS: 0 });
    const asked = [orderRequest(customerId), bad(), orderRequest(customerId)];
    const created = await Promise.all(asked.map((request) => replica.orders.createOrder(request)));
    const [fine = "", refused = "", other = ""] = created.map(({ order }) => order?.orderId);
    await eventually(async () => assert.equal(await pending(), 0));
    const read = async (orderId: string) => (await replica.orders.getOrder({ orderId })).order;
    const rejected = await read(refused);
    assert.equal(rejected?.status, OrderStatus.REJECTED);
    assert.equal(rejected?.failure?.reason, "NOT_ACCEPTED");
    assert.match(rejected?.failure?.customerMessage ?? "", /Nothing was charged/);
    const others = await Promise.all([read(fine), read(other)]);
    assert.deepEqual(
      others.map((order) => order?.status),
      [OrderStatus.PENDING, OrderStatus.PENDING],
    );
    for (const order of others) assert.ok(order && worker.running.has(order.sagaId));
    assert.deepEqual(
      (await outbox(test.database)).filter((row) => row.card_token !== null),
      [],
    );
    const events = (await readAuditLog(test.database)).filter(({ orderId }) => orderId === refused);
    assert.deepEqual(
      events.map(({ action, actor, details }) => [action, actor, details.reason]),
      [
        ["order.created", "anonymous", undefined],
        ["order.rejected", "service:orders", "NOT_ACCEPTED"],
      ],
    );
    assert.equal(await metric(replica, "orders_transitions_total", { status: "rejected" }), 1);
  });

  it("are told to who waits for the answer", async () => {
    worker.onStart = () => {
      throw tooLarge();
    };
    await using replica = await startReplica(test.database, worker, { ...eager, ORDER_REJECT_AFTER_MS: 0 });
    const { order } = await replica.orders.createOrder({ ...bad(), waitFor: WaitFor.CONFIRMED });
    assert.equal(order?.status, OrderStatus.REJECTED);
  });

  it("stay as they are while the refusal is young, or is none of their own", async () => {
    await using replica = await startReplica(test.database, worker, { ...eager, ORDER_REJECT_AFTER_MS: 0 });
    await using patient = await startReplica(test.database, worker, eager);
    const refusals = async () =>
      (await metric(replica, "orders_dispatches_total", { outcome: "refused" })) +
      (await metric(patient, "orders_dispatches_total", { outcome: "refused" }));
    worker.onStart = () => {
      throw new ConnectError("not allowed", Code.PermissionDenied);
    };
    await replica.orders.createOrder(orderRequest(customerId));
    await eventually(async () => assert.ok((await refusals()) > 2));
    await replica.stop();
    worker.onStart = () => {
      throw tooLarge();
    };
    const before = await refusals();
    await eventually(async () => assert.ok((await refusals()) > before + 2));
    assert.equal(await pending(), 1);
    worker.onStart = () => undefined;
    await eventually(async () => assert.equal(await pending(), 0));
  });

  it("show how long the oldest one waits", async () => {
    await using replica: Replica = await startReplica(test.database, worker);
    await eventually(async () => assert.ok((await metric(replica, "orders_oldest_pending_seconds")) > 0));
  });
});
