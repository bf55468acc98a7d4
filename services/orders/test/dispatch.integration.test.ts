import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { StartOrderSagaRequestSchema } from "#gen/shop/sagas/v1/saga_service_pb.js";
import type { TestDatabase } from "#testing/postgres.ts";
import { committed, type OutboxRow, outbox } from "./committed.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import {
  eventually,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  startReplica,
} from "./harness.ts";

/** Looks at once for whatever has no acknowledgement. */
const eager = { DISPATCH_SWEEP_EVERY_MS: 10, DISPATCH_SWEEP_AGE_MS: 30 };
/** Never looks after the start. */
const patient = { DISPATCH_SWEEP_EVERY_MS: 600_000, DISPATCH_SWEEP_AGE_MS: 30 };

describe("handing orders to the worker", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let customerId: string;
  const replicas: Replica[] = [];
  before(async () => {
    test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker());
    customerId = await newCustomer(replica);
  });
  after(() => test[Symbol.asyncDispose]());
  beforeEach(() => {
    worker = new FakeWorker();
  });
  afterEach(async () => {
    for (const replica of replicas.splice(0)) await replica.stop();
    await allDispatched();
  });

  async function replicaWith(changes: Parameters<typeof startReplica>[2]): Promise<Replica> {
    const replica = await startReplica(test.database, worker, changes);
    replicas.push(replica);
    return replica;
  }

  async function place(replica: Replica, count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => replica.orders.createOrder(orderRequest(customerId))));
  }

  async function allDispatched(): Promise<OutboxRow[]> {
    return eventually(async () => {
      const rows = await outbox(test.database);
      assert.ok(rows.every((row) => row.dispatched));
      return rows;
    });
  }

  /** Every start, first or repeated, had exactly the orders that the saga was committed with, and the same bytes. */
  async function startsAreWhatWasCommitted(): Promise<void> {
    const batches = committed(await outbox(test.database));
    const bytes = new Map<string, Buffer>();
    for (const start of worker.starts) {
      assert.deepEqual(
        start.orders.map((order) => order.orderId),
        batches.get(start.sagaId),
      );
      const now = Buffer.from(toBinary(StartOrderSagaRequestSchema, start));
      assert.deepEqual(now, bytes.get(start.sagaId) ?? now);
      bytes.set(start.sagaId, now);
    }
  }

  function distinct(): number {
    return new Set(worker.starts.map((start) => start.sagaId)).size;
  }

  it("starts one saga for a batch at once, notes it, and forgets the card tokens", async () => {
    const replica = await replicaWith(patient);
    await place(replica, 3);
    const rows = await allDispatched();
    await startsAreWhatWasCommitted();
    assert.equal(worker.starts.flatMap((start) => start.orders).length, 3);
    assert.equal(worker.starts.length, distinct());
    assert.ok(rows.every((row) => row.card_token === null));
    const acknowledged = await metric(replica, "orders_dispatches_total", { outcome: "acknowledged" });
    assert.equal(acknowledged, worker.starts.length);
  });

  it("does not let the caller wait for the worker", async () => {
    const replica = await replicaWith(patient);
    const started = Promise.withResolvers<void>();
    worker.onStart = () => started.promise;
    await place(replica, 1);
    assert.equal((await outbox(test.database)).filter((row) => !row.dispatched).length, 1);
    started.resolve();
    await allDispatched();
  });

  it("starts the same batches later when the worker is away, and shows the lag meanwhile", async () => {
    worker.available = false;
    const replica = await replicaWith(eager);
    await place(replica, 5);
    await place(replica, 1);
    await eventually(async () => {
      assert.ok((await metric(replica, "orders_dispatches_total", { outcome: "failed" })) > 2);
      assert.ok((await metric(replica, "orders_outbox_lag_seconds")) > 0);
    });
    worker.available = true;
    await allDispatched();
    await startsAreWhatWasCommitted();
    assert.ok(distinct() >= 2);
    await eventually(async () => assert.equal(await metric(replica, "orders_outbox_lag_seconds"), 0));
  });

  it("starts, after a crash between commit and start, exactly the batch that was committed", async () => {
    const crashed = new FakeWorker();
    crashed.available = false;
    const first = await startReplica(test.database, crashed, patient);
    await place(first, 4);
    await first.stop();
    const left = committed((await outbox(test.database)).filter((row) => !row.dispatched));
    assert.equal([...left.values()].flat().length, 4);
    await replicaWith(eager);
    await allDispatched();
    assert.deepEqual(new Set(worker.starts.map((start) => start.sagaId)), new Set(left.keys()));
    await startsAreWhatWasCommitted();
  });

  it("repeats, after a crash between start and note, the same bytes; the saga starts once", async () => {
    const first = await replicaWith(patient);
    worker.onStart = () => {
      throw new Error("the answer is lost");
    };
    await place(first, 7);
    await eventually(async () => {
      assert.equal(worker.starts.flatMap((start) => start.orders).length, 7);
      const failed = await metric(first, "orders_dispatches_total", { outcome: "failed" });
      assert.equal(failed, worker.starts.length);
    });
    await first.stop();
    const batches = worker.starts.length;
    worker.onStart = () => undefined;
    await replicaWith(eager);
    await eventually(() => assert.ok(worker.starts.length >= 2 * batches));
    await allDispatched();
    assert.equal(worker.running.size, batches);
    await startsAreWhatWasCommitted();
  });

  it("hands the creating call's trace on, also when the relay does it", async () => {
    worker.available = false;
    const replica = await replicaWith(eager);
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    await replica.orders.createOrder(orderRequest(customerId), { headers: { traceparent } });
    worker.available = true;
    await allDispatched();
    assert.equal(worker.starts[0]?.orders[0]?.traceparent, traceparent);
    assert.equal(worker.starts[0]?.orders[0]?.cardToken, "tok_approve");
  });

  it("never drops a batch that the worker refuses, says so, and lets others pass", async () => {
    const replica = await replicaWith(eager);
    let refused = "";
    worker.onStart = (request) => {
      refused ||= request.sagaId;
      if (request.sagaId === refused) throw sagaRefusal("SAGA_TOO_LARGE", Code.InvalidArgument);
    };
    await place(replica, 1);
    await eventually(() => assert.ok(worker.starts.length > 1));
    await place(replica, 1);
    await eventually(async () => {
      assert.equal((await outbox(test.database)).filter((row) => !row.dispatched).length, 1);
    });
    assert.ok((await metric(replica, "orders_dispatches_total", { outcome: "refused" })) > 1);
    assert.match(replica.log(), /the worker refuses a saga/);
    worker.onStart = () => undefined;
    await allDispatched();
  });

  it("lets only one of three replicas take on what was left", async () => {
    const crashed = new FakeWorker();
    crashed.available = false;
    const first = await startReplica(test.database, crashed, patient);
    for (let batch = 0; batch < 8; batch += 1) await place(first, 2);
    await first.stop();
    const unhurried = { DISPATCH_SWEEP_EVERY_MS: 5, DISPATCH_SWEEP_AGE_MS: 2_000 };
    await eventually(async () => {
      const [row] = await test.database.query<{ old: boolean }>(
        "select bool_and(create_time < now() - interval '2 seconds') as old from customer_order where dispatch_time is null",
      );
      assert.ok(row?.old);
    });
    await Promise.all([0, 1, 2].map(() => replicaWith(unhurried)));
    await allDispatched();
    assert.ok(distinct() >= 8);
    assert.equal(worker.starts.length, distinct());
  });

  it("bounds the starts that are under way", async () => {
    const replica = await replicaWith({ ...patient, DISPATCH_CONCURRENCY: 2, ORDER_LIST_MAX: 1 });
    const gate = Promise.withResolvers<void>();
    worker.onStart = () => gate.promise;
    await place(replica, 20);
    assert.equal(worker.starts.length, 2);
    let underWay = 0;
    worker.onStart = async () => {
      underWay += 1;
      assert.ok(underWay <= 2);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
    };
    gate.resolve();
    await allDispatched();
    assert.equal(worker.starts.length, 20);
    assert.equal(await metric(replica, "orders_dispatches_total", { outcome: "acknowledged" }), 20);
  });

  it("leaves what waits to another replica when it stops", async () => {
    const first = await replicaWith({ ...patient, DISPATCH_CONCURRENCY: 1, ORDER_LIST_MAX: 1 });
    const gate = Promise.withResolvers<void>();
    worker.onStart = () => gate.promise;
    await place(first, 5);
    const stopped = first.stop();
    gate.resolve();
    await stopped;
    assert.equal(worker.starts.length, 1);
    await replicaWith(eager);
    await allDispatched();
    assert.equal(worker.running.size, 5);
  });

  it("writes no personal data and no card token into the log", async () => {
    worker.available = false;
    const replica = await replicaWith(eager);
    await place(replica, 2);
    await eventually(() => assert.match(replica.log(), /a saga could not be started yet/));
    for (const secret of ["Ada", "Lovelace", "example.com", "Torstra", "10119", "tok_approve"]) {
      assert.ok(!replica.log().includes(secret), secret);
    }
    worker.available = true;
    await allDispatched();
  });
});
