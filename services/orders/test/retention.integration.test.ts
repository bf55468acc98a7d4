// That who did not ask for it is forgotten by a schedule: whom it is time for, and nobody else; also when a process dies meanwhile.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { decodeId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { ErasureRepository } from "../src/customer/erasure.repository.ts";
import { RetentionRepository } from "../src/customer/retention.repository.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

const days = 400;
const orderDays = { RETENTION_ORDER_DAYS: days, RETENTION_EVERY_MS: 10, PERSONAL_DATA_SWEEP_MS: 20 };
const customerDays = { RETENTION_CUSTOMER_DAYS: days, RETENTION_EVERY_MS: 10, PERSONAL_DATA_SWEEP_MS: 20 };

describe("the schedule by which persons are forgotten", () => {
  let test: TestDatabase;
  let replica: Replica;
  // Each test has a database of its own: a schedule is about everybody in it.
  beforeEach(async () => {
    test = await ordersDatabase();
    replica = await startReplica(test.database, new FakeWorker());
  });
  afterEach(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });

  async function place(customerId: string, status?: OrderStatus): Promise<string> {
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    const { orderId = "" } = order ?? {};
    if (status !== undefined) await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status }] });
    return orderId;
  }

  async function age(table: "customer" | "customer_order", id: string): Promise<void> {
    const column = table === "customer" ? "customer_id" : "order_id";
    const text = `update ${table} set update_time = update_time - interval '${days + 1} days',
      create_time = create_time - interval '${days + 2} days' where ${column} = $1`;
    await test.database.query(text, [decodeId(id)]);
  }

  const emailOf = async (orderId: string) => (await replica.orders.getOrder({ orderId })).order?.contact?.email;
  const cityOf = async (orderId: string) => (await replica.orders.getOrder({ orderId })).order?.shippingAddress?.city;
  const keys = async () => (await test.database.query("select from personal_key")).length;

  it("takes from old orders who ordered, and from nobody else, whose key several orders share", async () => {
    const customerId = await newCustomer(replica, "ada@persons.example");
    const [first, second, third, open] = [
      await place(customerId, OrderStatus.REJECTED),
      await place(customerId, OrderStatus.CANCELLED),
      await place(customerId, OrderStatus.CANCELLED),
      await place(customerId),
    ];
    for (const orderId of [first, second, open]) await age("customer_order", orderId);
    await age("customer", customerId);
    const before = await keys();
    await using scheduled = await startReplica(test.database, new FakeWorker(), orderDays);
    await eventually(async () => assert.deepEqual([await emailOf(first), await emailOf(second)], ["", ""]));
    assert.deepEqual([await cityOf(first), await cityOf(second)], ["", ""]);
    for (const orderId of [third, open]) assert.equal(await emailOf(orderId), "ada@persons.example");
    const { customer } = await replica.customers.getCustomer({ customerId });
    assert.equal(customer?.email, "ada@persons.example", "he is no order");
    assert.equal(await keys(), before - 2, "those of two addresses: the contact's is needed yet");
    const log = (await readAuditLog(test.database)).filter(({ action }) => action === "order.person_forgotten");
    assert.deepEqual(log.map(({ orderId }) => orderId).sort(), [first, second].sort());
    assert.deepEqual(
      new Set(log.map(({ actor, details }) => actor + details.days)),
      new Set([`service:orders${days}`]),
    );
    assert.equal(await metric(scheduled, "orders_retention_forgotten_total", { what: "orders" }), 2);

    const changed = { requestId: unique("change"), customerId, email: "lovelace@persons.example" };
    await replica.customers.updateCustomer(changed);
    await test.database.query("delete from customer_email");
    await age("customer", customerId);
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId: open, status: OrderStatus.REJECTED }] });
    await age("customer_order", third);
    await age("customer_order", open);
    await eventually(async () => assert.deepEqual([await emailOf(third), await emailOf(open)], ["", ""]));
    const ofOrders = `select from personal_key where key_id not in (
      select left(contact, 32)::uuid from customer union select left(sealed_phone, 32)::uuid from customer where sealed_phone is not null)`;
    const left = await test.database.query<{ n: number }>(ofOrders);
    // The key of the hashes, and those of the answers to two repeated calls, which go with these.
    assert.equal(left.length, 3, "the last order took the contact's key along");
  });

  it("erases who has not ordered for long, as if he had asked, and keeps what the law wants of his orders", async () => {
    const [idle, active, open, young] = await Promise.all([1, 2, 3, 4].map(() => newCustomer(replica)));
    assert.ok(idle && active && open && young);
    const old = await place(idle, OrderStatus.CANCELLED);
    await age("customer_order", old);
    await age("customer_order", await place(active, OrderStatus.CANCELLED));
    await place(active, OrderStatus.CANCELLED);
    await age("customer_order", await place(open));
    for (const customerId of [idle, active, open]) await age("customer", customerId);

    {
      await using dry = await startReplica(test.database, new FakeWorker(), {
        ...customerDays,
        ...orderDays,
        RETENTION_DRY_RUN: true,
      });
      await eventually(async () => {
        assert.equal(await metric(dry, "orders_retention_due", { what: "customers" }), 1);
        assert.equal(await metric(dry, "orders_retention_due", { what: "orders" }), 2);
      });
      await eventually(() => assert.match(dry.log(), /dry run: 1 customers would be erased/));
    }
    assert.ok((await emailOf(old)) !== "", "nothing is forgotten by that");

    await using scheduled = await startReplica(test.database, new FakeWorker(), customerDays);
    await eventually(async () => assert.equal(await metric(scheduled, "orders_retention_forgotten_total"), 1));
    assert.match((await refusal(replica.customers.getCustomer({ customerId: idle }))).message, /there is no customer/);
    for (const customerId of [active, open, young]) await replica.customers.getCustomer({ customerId });
    assert.ok((await emailOf(old)) !== "", "as the law wants");
    const log = (await readAuditLog(test.database)).filter(({ action }) => action === "customer.erased");
    assert.deepEqual(
      log.map(({ subject, actor, details }) => [subject, actor, details]),
      [[idle, "service:orders", { by: "retention", days: String(days) }]],
    );
  });

  it("goes on where it was when its process dies, and leaves nobody out", async () => {
    const many = 25;
    const customerIds = await Promise.all(Array.from({ length: many }, () => newCustomer(replica)));
    for (const customerId of customerIds) await age("customer", customerId);
    const look = { days, limit: 4, dryRun: false };
    const found: number[] = [];
    for (let over = false; !over; ) {
      // Its transaction ends with it: nothing of this batch is done.
      const dies = new RetentionRepository(test.database, {
        eraseWithin: () => Promise.reject(new Error("killed")),
      });
      await dies.lookAtCustomers(look).catch(() => undefined);
      // Each batch by another process.
      const erasures = new ErasureRepository(test.database, 0);
      const batch = await new RetentionRepository(test.database, erasures).lookAtCustomers(look);
      found.push(batch.found);
      over = batch.over;
    }
    assert.deepEqual(found, [4, 4, 4, 4, 4, 4, 1]);
    const left = await test.database.query("select from customer where erase_time is null");
    assert.equal(left.length, 0);
    const [progress] = await test.database.query<{ forgotten: bigint }>("select forgotten from retention");
    assert.equal(Number(progress?.forgotten), many);
  });
});
