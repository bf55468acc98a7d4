import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { EpisodeRepository } from "../src/episode/episode.repository.ts";
import { eager, lastStart, type SettlementChanges, settlement } from "./episode-rows.ts";
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

const rejected = { status: OrderStatus.REJECTED, cancellable: false, needsCard: false };

describe("deleting orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 });
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    customerId = await newCustomer(replica);
  });

  /** An order that rests as a workflow left it. */
  async function settled(changes: SettlementChanges): Promise<{ orderId: string; requestId: string }> {
    const request = orderRequest(customerId);
    const { order } = await replica.orders.createOrder(request);
    const orderId = order?.orderId ?? "";
    const episodeId = await eventually(() => lastStart(worker, orderId)?.episodeId ?? assert.fail("not carried yet"));
    const { outcomes } = await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, changes)],
    });
    assert.equal(outcomes[0]?.outcome.case, "response");
    return { orderId, requestId: request.requestId };
  }

  const remove = (orderId: string, requestId = unique("delete")) => replica.orders.deleteOrder({ requestId, orderId });

  const rowsOf = (table: string, orderId: string) =>
    test.database.query(`select from ${table} where order_id = $1`, [decodeId(orderId)]);

  async function reasonOf(call: Promise<unknown>): Promise<string> {
    const error = await refusal(call);
    return error.findDetails(ErrorInfoSchema)[0]?.reason ?? error.message;
  }

  it("takes the order, its lines and the key of its address, and leaves the customer's", async () => {
    const { orderId } = await settled(rejected);
    const other = await settled(rejected);
    const keys = () => test.database.query("select from personal_key where subject = $1", [decodeId(customerId)]);
    const before = (await keys()).length;
    const requestId = unique("delete");
    await remove(orderId, requestId);
    await remove(orderId, requestId);
    assert.equal((await rowsOf("customer_order", orderId)).length, 0);
    assert.equal((await rowsOf("order_line", orderId)).length, 0);
    assert.equal((await keys()).length, before - 1);
    assert.equal(await reasonOf(replica.orders.getOrder({ orderId })), "ORDER_NOT_FOUND");
    const { orders } = await replica.orders.listOrders({ customerId });
    assert.deepEqual(
      orders.map((order) => [order.orderId, order.contact?.givenName, order.shippingAddress?.city]),
      [[other.orderId, "Ada", "Berlin"]],
    );
  });

  it("stays in the audit log, once, with what the order was", async () => {
    const { orderId } = await settled(rejected);
    const requestId = unique("delete");
    await Promise.all([remove(orderId, requestId), remove(orderId, requestId)]);
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(
      log.map(({ action }) => action),
      ["order.created", "order.rejected", "order.deleted"],
    );
    assert.deepEqual(log.at(-1)?.details, { from: "rejected", currency: "EUR", total: "4700" });
  });

  it("is answered once for each request, and then there is no order", async () => {
    const { orderId } = await settled(rejected);
    await remove(orderId);
    assert.equal(await reasonOf(remove(orderId)), "ORDER_NOT_FOUND");
    assert.equal(await reasonOf(remove(newId())), "ORDER_NOT_FOUND");
  });

  it("does not have the order made again by a repeated creation", async () => {
    const { orderId, requestId } = await settled(rejected);
    await remove(orderId);
    assert.equal(
      await reasonOf(replica.orders.createOrder(orderRequest(customerId, { requestId }))),
      "ORDER_NOT_FOUND",
    );
    assert.equal((await replica.orders.listOrders({ customerId })).orders.length, 0);
  });

  const kept: readonly { readonly what: string; readonly sql: string; readonly says: RegExp }[] = [
    { what: "goes on", sql: "status = 'confirmed'", says: /confirmed and goes on: cancel it first/ },
    { what: "is carried", sql: "episode_id = gen_random_uuid()", says: /under way/ },
    { what: "was carried by a workflow that is gone", sql: "episode_events = '[]'", says: /under way/ },
    { what: "waits for an operator", sql: "park_time = now()", says: /under way/ },
    ...["shipped", "delivered", "lost"].map((status) => ({
      what: `has a parcel that is ${status}`,
      sql: `shipments = '[{"locationId": "berlin", "status": "cancelled"}, {"locationId": "north", "status": "${status}"}]'`,
      says: /a parcel of it has left/,
    })),
  ];
  for (const { what, sql, says } of kept) {
    it(`is refused for an order that ${what}, and nothing is lost`, async () => {
      const { orderId } = await settled(rejected);
      await test.database.query(`update customer_order set ${sql} where order_id = $1`, [decodeId(orderId)]);
      const error = await refusal(remove(orderId));
      assert.equal(error.code, Code.FailedPrecondition);
      assert.match(error.message, says);
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "NOT_DELETABLE");
      assert.equal((await rowsOf("order_line", orderId)).length, 2);
    });
  }

  it("takes what is told of its parcels afterwards, and forgets it", async () => {
    const { orderId } = await settled(rejected);
    await remove(orderId);
    const { outcomes } = await replica.episodes.batchReportShipments({
      requests: [{ orderId, locationId: "berlin", news: ShipmentNews.CANCELLED }],
    });
    assert.equal(outcomes[0]?.outcome.case, "response");
    assert.equal((await rowsOf("order_event", orderId)).length, 0);
  });

  it("leaves no event behind that came in the same moment", async () => {
    const orderId = newId();
    await test.database.query("insert into order_event (order_id, event_id, kind) values ($1, 'late', 'shipment')", [
      decodeId(orderId),
    ]);
    await new EpisodeRepository(test.database).forgetOrphans(60_000);
    assert.equal((await rowsOf("order_event", orderId)).length, 1, "its order may be about to be seen");
    await new EpisodeRepository(test.database).forgetOrphans(0);
    assert.equal((await rowsOf("order_event", orderId)).length, 0);
  });
});
