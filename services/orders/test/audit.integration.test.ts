import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import { StepDecision } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderStatus as Status } from "#gen/shop/orders/v1/order_pb.js";
import { auditDataset } from "#platform/audit/audit-stream.ts";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { OrderRepository } from "../src/order/order.repository.ts";
import type { Order } from "../src/order/order.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  personal,
  type Replica,
  secondDatabase,
  startReplica,
} from "./harness.ts";

describe("the audit log of orders", () => {
  let test: TestDatabase;
  let replicas: Replica[];
  let close: () => Promise<void>;
  let customerId: string;
  const lines: string[] = [];
  before(async () => {
    test = await ordersDatabase();
    const second = await secondDatabase(test);
    replicas = await Promise.all([test.database, second].map((each) => startReplica(each, new FakeWorker())));
    for (const replica of replicas)
      replica.auditStream.on("data", (chunk) => lines.push(...String(chunk).trim().split("\n")));
    customerId = await newCustomer(first());
    close = async () => {
      await Promise.all(replicas.map((replica) => replica.stop()));
      await second.close();
    };
  });
  after(async () => {
    await close();
    await test[Symbol.asyncDispose]();
  });

  function first(): Replica {
    const [replica] = replicas;
    assert.ok(replica);
    return replica;
  }

  async function read(orderIds: readonly string[]): Promise<Order[]> {
    return new OrderRepository(test.database, personal).find(orderIds);
  }

  it("has each order and each of its moves once, after load, repeated calls and refusals", async () => {
    const requests = Array.from({ length: 90 }, () => orderRequest(customerId));
    const nobody = Array.from({ length: 10 }, () => orderRequest(newId()));
    const both = replicas.flatMap((replica) =>
      [...requests, ...nobody].map((request) => replica.orders.createOrder(request)),
    );
    const results = await Promise.allSettled(both);
    const orderIds = [
      ...new Set(
        results.flatMap((result) => (result.status === "fulfilled" ? [result.value.order?.orderId ?? ""] : [])),
      ),
    ];
    assert.equal(orderIds.length, 90);
    for (const status of [Status.CONFIRMED, Status.PREPARING, Status.SHIPPED, Status.DELIVERED, Status.CANCELLED]) {
      const batch = orderIds.map((orderId) => ({ orderId, status }));
      const batches = [batch, batch.toReversed(), [{ orderId: newId(), status }, ...batch]];
      await Promise.all(
        batches.map((each, index) => {
          const replica = replicas[index % replicas.length];
          return replica?.lifecycle.batchTransitionOrders({ requests: each });
        }),
      );
    }
    const expected = (await read(orderIds)).flatMap(({ orderId, history }) =>
      history.map(({ status }, index) => {
        const moved = { from: history[index - 1]?.status, to: status, revision: String(index + 1) };
        const created = { currency: "EUR", total: "4700", lines: "2" };
        const action = index === 0 ? "order.created" : `order.${status}`;
        return { orderId, action, details: index === 0 ? created : moved };
      }),
    );
    assert.equal(expected.length, 90 * 5);
    const all = await readAuditLog(test.database);
    const log = all
      .filter(({ orderId }) => orderId !== "")
      .map(({ orderId, action, details }) => ({ orderId, action, details }));
    const place = (event: { orderId: string; details: Record<string, string | undefined> }) =>
      `${event.orderId} ${event.details.revision ?? "1"}`;
    const sorted = <T extends Parameters<typeof place>[0]>(events: T[]) =>
      events.toSorted((a, b) => (place(a) < place(b) ? -1 : 1));
    assert.deepEqual(sorted(log), sorted(expected));

    const sum = async (name: string, labels?: Record<string, string>) => {
      const values = await Promise.all(replicas.map((replica) => metric(replica, name, labels)));
      return values.reduce((total, value) => total + value, 0);
    };
    assert.equal(await sum("orders_created_total"), 90);
    for (const status of ["confirmed", "preparing", "shipped", "delivered"]) {
      assert.equal(await sum("orders_transitions_total", { status }), 90);
    }
    await eventually(async () => assert.equal(await sum("audit_events_total"), all.length));
    await eventually(async () => assert.equal(await sum("audit_publish_lag_seconds"), 0));
  });

  it("is published, each event once and an order's in their sequence", async () => {
    const log = await readAuditLog(test.database);
    await eventually(() => assert.equal(lines.length, log.length));
    const published = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      published.map((line) => line["event.id"]),
      log.map(({ eventId }) => eventId),
    );
    assert.deepEqual(new Set(published.map((line) => line["event.dataset"])), new Set([auditDataset]));
    const byOrder = Map.groupBy(published, (line) => line["order.id"]);
    for (const [orderId, events] of byOrder) {
      if (orderId === undefined) continue;
      assert.deepEqual(
        events.map((line) => line["event.action"]),
        ["created", "confirmed", "preparing", "shipped", "delivered"].map((name) => `order.${name}`),
      );
    }
  });

  it("says who wanted it, by which request and in which trace, and shows it to who asks", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const request = orderRequest(customerId);
    const headers = { baggage: "user.id=u-9", traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
    const { order } = await first().orders.createOrder(request, { headers });
    const { orderId = "" } = order ?? {};
    const requests = [
      { orderId, status: Status.REJECTED, failure: { reason: "OUT_OF_STOCK", customerMessage: "Sold out." } },
    ];
    await first().lifecycle.batchTransitionOrders({ requests }, { headers: { "x-request-id": `${orderId}:reject` } });
    const transport = createRouterTransport((router) => {
      for (const { service, route } of first().registrations) if (service === AuditService) route(router);
    });
    const { events } = await createClient(AuditService, transport).listAuditEvents({ orderId });
    assert.deepEqual(
      events.map(({ action, actor, requestId, traceId: trace, details }) => [
        action,
        actor,
        requestId,
        trace,
        details.reason,
      ]),
      [
        ["order.rejected", "anonymous", `${orderId}:reject`, "", "OUT_OF_STOCK"],
        ["order.created", "u-9", request.requestId, traceId, undefined],
      ],
    );
  });

  it("says who asked for a cancellation, once however often the request is repeated", async () => {
    const { order } = await first().orders.createOrder(orderRequest(customerId));
    const { orderId = "" } = order ?? {};
    const request = { requestId: newId(), orderId, reason: "Ada changed her mind" };
    const headers = { baggage: "user.id=u-9" };
    for (let call = 0; call < 2; call += 1) await first().orders.cancelOrder(request, { headers });
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(log.map(({ action, actor, requestId }) => [action, actor, requestId]).slice(1), [
      ["order.cancel_requested", "u-9", request.requestId],
    ]);
  });

  it("says what an operator decided about a step, once however often the call is repeated", async () => {
    const orderId = newId();
    const request = { requestId: newId(), orderId, step: "ship:BER", decision: StepDecision.RESOLVE };
    const headers = { baggage: "user.id=u-7" };
    for (let call = 0; call < 2; call += 1) await first().lifecycle.noteStepDecision(request, { headers });
    const other = first().lifecycle.noteStepDecision({ ...request, decision: StepDecision.RETRY }, { headers });
    await assert.rejects(other, /was used before with another body/);
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(
      log.map(({ action, actor, requestId, details }) => [action, actor, requestId, details]),
      [["order.step_resolve_requested", "u-7", request.requestId, { step: "ship:BER" }]],
    );
  });

  it("has nothing about the person, nor of the card", async () => {
    const log = JSON.stringify(await readAuditLog(test.database)) + lines.join("");
    for (const personal of ["Ada", "Lovelace", "example.com", "Torstra", "10119", "tok_", "Sold out."]) {
      assert.ok(!log.includes(personal), personal);
    }
  });

  it("has that a customer was created and changed, and nothing of who it is", async () => {
    const before = (await readAuditLog(test.database)).length;
    const created = await newCustomer(first());
    const { customers } = first();
    const change = { customerId: created, email: "other@example.com", requestId: newId() };
    await Promise.all([customers.updateCustomer(change), customers.updateCustomer(change)]);
    await assert.rejects(customers.updateCustomer({ ...change, requestId: newId(), revision: 1 }));
    const log = (await readAuditLog(test.database)).slice(before);
    assert.deepEqual(
      log.map(({ action, subject, orderId, details }) => [action, subject, orderId, details]),
      [
        ["customer.created", created, "", { revision: "1" }],
        ["customer.changed", created, "", { revision: "2" }],
      ],
    );
  });
});
