import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Registry } from "prom-client";
import type { CreateOrderRequest } from "#gen/shop/orders/v1/order_service_pb.js";
import type { Database } from "#platform/database/database.ts";
import { DomainError } from "#platform/errors.ts";
import { decodeId, newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { toKeyedOrder } from "../src/api/order-proto.ts";
import { CustomerRepository } from "../src/customer/customer.repository.ts";
import { createOrderMetrics } from "../src/order/metrics.ts";
import { OrderRepository } from "../src/order/order.repository.ts";
import { type Accepted, OrderIntake } from "../src/order/order-intake.ts";
import { adjustedRequest, line, orderRequest, ordersDatabase, secondDatabase, unique } from "./harness.ts";
import { Recorded } from "./recorded.ts";

const { signal } = new AbortController();

/** An intake as one replica has it, with what it ran and what became durable. */
function intakeOn(database: Database, lanes = 1) {
  const recorded = new Recorded(database);
  /** How many orders became durable by each statement. */
  const placed: number[] = [];
  const onPlaced = (count: number) => void placed.push(count);
  const metrics = createOrderMetrics(new Registry());
  const enter = <T>(work: () => Promise<T>) => work();
  const intake = new OrderIntake({
    database: recorded,
    repository: new OrderRepository(recorded),
    onPlaced,
    enter,
    metrics,
    batchMax: 64,
    lanes,
  });
  const accept = (request: CreateOrderRequest): Promise<Accepted> => intake.accept(toKeyedOrder(request), { signal });
  return { accept, recorded, placed };
}

async function reasons(calls: Promise<unknown>[]): Promise<string[]> {
  const results = await Promise.allSettled(calls);
  return results.map((result) => {
    if (result.status === "fulfilled") return "ok";
    return result.reason instanceof DomainError ? result.reason.reasonName : String(result.reason);
  });
}

describe("taking orders", () => {
  let test: TestDatabase;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    const details = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com", phone: "" };
    const keyed = { requestId: unique("customer"), fingerprint: Buffer.from("ada"), details };
    ({ customerId } = await new CustomerRepository(test.database).create(keyed));
  });
  after(() => test[Symbol.asyncDispose]());

  for (const count of [1, 2, 64]) {
    it(`inserts ${count} that come together by one statement, each with its event, and reads them back by one`, async () => {
      const { accept, recorded, placed } = intakeOn(test.database);
      const accepted = await Promise.all(Array.from({ length: count }, () => accept(orderRequest(customerId))));
      assert.equal(recorded.taken(), 1);
      assert.deepEqual(placed, [count]);
      const events = await test.database.query<{ order_id: string }>(
        "select order_id from order_event where kind = 'placed' and order_id = any($1::uuid[])",
        [accepted.map(({ orderId }) => decodeId(orderId))],
      );
      assert.equal(events.length, count);

      const read = await new OrderRepository(recorded).find(accepted.map(({ orderId }) => orderId));
      assert.equal(recorded.taken(), 1);
      const byId = new Map(read.map((order) => [order.orderId, order]));
      for (const { orderId, order } of accepted) assert.deepEqual(byId.get(orderId), strip(order));
    });
  }

  it("keeps shipping, discounts and taxes in the same statement, and reads them back by one", async () => {
    const { accept, recorded } = intakeOn(test.database);
    const requests = [adjustedRequest(customerId), orderRequest(customerId), adjustedRequest(customerId)];
    const accepted = await Promise.all(requests.map(accept));
    assert.equal(recorded.taken(), 1);
    const read = await new OrderRepository(recorded).find(accepted.map(({ orderId }) => orderId));
    assert.equal(recorded.taken(), 1);
    const byId = new Map(read.map((order) => [order.orderId, order]));
    for (const { orderId, order } of accepted) assert.deepEqual(byId.get(orderId), strip(order));
    assert.deepEqual(byId.get(accepted[0]?.orderId ?? "")?.prices?.lineAmounts, [3644n, 1291n]);
    assert.equal(byId.get(accepted[1]?.orderId ?? "")?.prices, undefined);
  });

  /** The order as accepted still carries the request's own values, which a row does not have. */
  function strip(order: Accepted["order"]) {
    return (
      order && { ...order, lines: order.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice })) }
    );
  }

  it("ends a batch at 64 orders and at 256 KiB", async () => {
    const many = intakeOn(test.database);
    await Promise.all(Array.from({ length: 65 }, () => many.accept(orderRequest(customerId))));
    assert.deepEqual(many.placed, [64, 1]);
    const large = intakeOn(test.database);
    const lines = Array.from({ length: 100 }, (_, index) => line(`${"X".repeat(60)}${index}`, 1, 1n));
    await Promise.all(Array.from({ length: 40 }, () => large.accept(orderRequest(customerId, { lines }))));
    const { placed: sizes } = large;
    assert.ok(sizes.length > 1 && sizes.every((size) => size < 64), String(sizes));
  });

  it("copies name and address from the customer and refuses an unknown one alone", async () => {
    const { accept, recorded, placed } = intakeOn(test.database);
    const requests = [customerId, newId(), customerId, newId(), customerId].map((id) => orderRequest(id));
    const calls = requests.map(accept);
    const outcomes = await reasons(calls);
    assert.deepEqual(outcomes, ["ok", "CUSTOMER_NOT_FOUND", "ok", "CUSTOMER_NOT_FOUND", "ok"]);
    // The second looks whether the refused ones were done before.
    assert.equal(recorded.taken(), 2);
    assert.deepEqual(placed, [3]);
    const [order] = await new OrderRepository(recorded).find([(await calls[0])?.orderId ?? ""]);
    assert.deepEqual(order?.contact, { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com" });
  });

  it("lets a text that the database cannot hold fail alone", async () => {
    const { accept, placed } = intakeOn(test.database);
    const bad = orderRequest(customerId);
    if (bad.shippingAddress) bad.shippingAddress.city = "Ber\u0000lin";
    const requests = [orderRequest(customerId), bad, orderRequest(customerId), orderRequest(customerId)];
    const outcomes = await reasons(requests.map(accept));
    assert.deepEqual(outcomes.filter((outcome) => outcome === "ok").length, 3, String(outcomes));
    assert.notEqual(outcomes[1], "ok");
    assert.equal(sum(placed), 3);
  });

  it("makes one order of one request id, raced in one batch, in two batches and in two replicas", async () => {
    await using other = await disposable(secondDatabase(test));
    const replicas = [intakeOn(test.database, 2), intakeOn(other.database, 2)];
    const requests = Array.from({ length: 20 }, () => orderRequest(customerId));
    const calls = replicas.flatMap(({ accept }) => [...requests, ...requests.toReversed()].map((r) => accept(r)));
    const accepted = await Promise.all(calls);
    assert.equal(new Set(accepted.map(({ orderId }) => orderId)).size, requests.length);
    assert.equal(accepted.filter(({ order }) => order !== undefined).length, requests.length);
    assert.equal(sum(replicas.flatMap(({ placed }) => placed)), requests.length);
    const again = await Promise.all(requests.map((request) => replicas[0]?.accept(request)));
    assert.deepEqual(new Set(again.map((a) => a?.orderId)), new Set(accepted.map(({ orderId }) => orderId)));
  });

  it("refuses a request id with another body, beside good ones, and may be asked to wait differently", async () => {
    const { accept } = intakeOn(test.database);
    const first = orderRequest(customerId);
    const { orderId } = await accept(first);
    const other = orderRequest(customerId, { requestId: first.requestId, lines: [line("OTHER", 1, 1n)] });
    const outcomes = await reasons([accept(orderRequest(customerId)), accept(other), accept(orderRequest(customerId))]);
    assert.deepEqual(outcomes, ["ok", "REQUEST_ID_REUSED", "ok"]);
    assert.equal((await accept({ ...first, waitFor: 2 })).orderId, orderId);
  });

  it("lets two replicas that insert the same ids in different order go on", async () => {
    await using other = await disposable(secondDatabase(test));
    const replicas = [intakeOn(test.database, 3), intakeOn(other.database, 3)];
    for (let round = 0; round < 5; round += 1) {
      const requests = Array.from({ length: 64 }, () => orderRequest(customerId));
      const calls = replicas.flatMap(({ accept }, index) => (index ? requests.toReversed() : requests).map(accept));
      assert.deepEqual(new Set(await reasons(calls)), new Set(["ok"]));
    }
  });
});

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

async function disposable(opening: Promise<Database>) {
  const database = await opening;
  return { database, [Symbol.asyncDispose]: () => database.close() };
}
