import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { StepDecision } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { eager, patient, settlement } from "./episode-rows.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import {
  eventually,
  newCustomer,
  ordersDatabase,
  readNotedLog,
  refusal,
  secondDatabase,
  startReplica,
  unique,
} from "./harness.ts";

/** The statement with which the version before inserts orders, as it was. */
const insertAsBefore = `with input as materialized (
    select * from json_to_recordset($1::json) as i(n int, request_id text, fingerprint text, lines json, order_id uuid,
      customer_id uuid, currency text, total bigint, shipping_address jsonb, card_token text, traceparent text,
      history jsonb, create_time timestamptz)
  ), known as materialized (
    select i.*, c.* from input i cross join lateral (
      select given_name, family_name, email from customer where customer.customer_id = i.customer_id limit 1
    ) c
  ), keyed as (
    insert into idempotency_key (method, request_id, fingerprint, response)
    select $2, request_id, decode(fingerprint, 'hex'), uuid_send(order_id) from known order by request_id
  ), placed as (
    insert into customer_order (order_id, customer_id, currency, total, shipping_address, card_token, traceparent,
      history, create_time, given_name, family_name, email, status, update_time, saga_id)
    select order_id, customer_id, currency, total, shipping_address, card_token, traceparent,
      history, create_time, given_name, family_name, email, 'pending', create_time, $3::uuid from known
  ), lined as (
    insert into order_line (order_id, line_number, sku, quantity, unit_price)
    select order_id, line.n, line.value->>0, (line.value->>1)::int, (line.value->>2)::bigint
    from known cross join lateral json_array_elements(lines) with ordinality as line(value, n)
  )
  select n from known`;

function reason(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

describe("orders of the version before episodes", () => {
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

  /** Inserts orders with one workflow, as a process of the version before does that stops right after. */
  async function placeAsBefore(count: number): Promise<{ sagaId: string; orderIds: string[] }> {
    const sagaId = newId();
    const orderIds = Array.from({ length: count }, () => newId()).sort();
    const rows = orderIds.map((orderId, n) => ({
      n,
      request_id: unique("before"),
      fingerprint: "00",
      lines: [["ESPRESSO-1KG", 1, "100"]],
      order_id: decodeId(orderId),
      customer_id: decodeId(customerId),
      currency: "EUR",
      total: "100",
      shipping_address: { recipient: "A", lines: ["1"], city: "B", postalCode: "1", country: "DE" },
      card_token: "tok_approve",
      traceparent: "",
      history: [],
      create_time: new Date(),
    }));
    await test.database.query(insertAsBefore, [JSON.stringify(rows), "CreateOrder", decodeId(sagaId)]);
    return { sagaId, orderIds };
  }

  async function undispatched(): Promise<number> {
    const rows = await test.database.query("select from customer_order where dispatch_time is null");
    return rows.length;
  }

  it("are handed to the worker as they were, and forget their card tokens", async () => {
    const { sagaId, orderIds } = await placeAsBefore(3);
    await using replica = await startReplica(test.database, worker, eager);
    await eventually(async () => assert.equal(await undispatched(), 0));
    assert.deepEqual(
      worker.legacyStarts.map((start) => [start.sagaId, start.orders.map(({ orderId }) => orderId)]),
      [[sagaId, orderIds]],
    );
    assert.equal(worker.legacyStarts[0]?.orders[0]?.cardToken, "tok_approve");
    assert.equal(worker.starts.length, 0);
    const [orderId = ""] = orderIds;
    const { saga } = await replica.episodes.getOrderSaga({ orderId });
    assert.deepEqual([saga?.legacy, saga?.episodeId, saga?.lastEpisodeId], [true, "", ""]);
    assert.equal((await replica.orders.getOrder({ orderId })).order?.sagaId, sagaId);
    const tokens = await test.database.query(
      "select from customer_order where card_token is not null and saga_id = $1",
      [decodeId(sagaId)],
    );
    assert.equal(tokens.length, 0);
    const { outcomes } = await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, sagaId)] });
    const [outcome] = outcomes;
    assert.equal(outcome?.outcome.case === "failure" && outcome.outcome.value.reason, "EPISODE_OVER");
  });

  it("are handed over when the worker is back, by one of several replicas", async () => {
    worker.available = false;
    await placeAsBefore(2);
    const second = await secondDatabase(test);
    await using first = await startReplica(test.database, worker, { ...eager, DISPATCH_SWEEP_AGE_MS: 200 });
    await using other = await startReplica(second, worker, { ...eager, DISPATCH_SWEEP_AGE_MS: 200 });
    await eventually(() => assert.match(first.log() + other.log(), /a saga could not be started yet/));
    assert.equal(await undispatched(), 2);
    worker.available = true;
    await eventually(async () => assert.equal(await undispatched(), 0));
    assert.equal(new Set(worker.legacyStarts.map(({ sagaId }) => sagaId)).size, 1);
    await Promise.all([first.stop(), other.stop()]);
    await second.close();
  });

  it("are cancelled by their workflow, which is started first when nobody has", async () => {
    await using replica = await startReplica(test.database, worker, patient);
    const { sagaId, orderIds } = await placeAsBefore(1);
    const [orderId = ""] = orderIds;
    worker.onCancel = async () => {
      await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CANCELLED }] });
    };
    const requestId = unique("cancel");
    const { order } = await replica.orders.cancelOrder({ requestId, orderId, reason: "no" });
    assert.equal(order?.status, OrderStatus.CANCELLED);
    assert.equal(worker.legacyStarts[0]?.sagaId, sagaId);
    assert.deepEqual([worker.cancels[0]?.sagaId, worker.cancels[0]?.requestId], [sagaId, requestId]);
    const other = await placeAsBefore(1);
    worker.onCancel = () => {
      throw sagaRefusal("NOT_CANCELLABLE", Code.FailedPrecondition);
    };
    const cancel = replica.orders.cancelOrder({
      requestId: unique("cancel"),
      orderId: other.orderIds[0] ?? "",
      reason: "no",
    });
    assert.equal(reason(await refusal(cancel)), "NOT_CANCELLABLE");
  });

  for (const answer of ["NOT_CANCELLABLE", "SAGA_NOT_FOUND"]) {
    it(`are answered as cancelled when that was done, and the workflow says ${answer}`, async () => {
      await using replica = await startReplica(test.database, worker, patient);
      const { orderIds } = await placeAsBefore(1);
      const [orderId = ""] = orderIds;
      worker.onCancel = async () => {
        await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CANCELLED }] });
        throw sagaRefusal(answer, Code.FailedPrecondition);
      };
      const request = { requestId: unique("cancel"), orderId, reason: "no" };
      assert.equal((await replica.orders.cancelOrder(request)).order?.status, OrderStatus.CANCELLED);
      const late = replica.orders.cancelOrder({ ...request, requestId: unique("cancel") });
      assert.equal(reason(await refusal(late)), "NOT_CANCELLABLE");
    });
  }

  it("are answered as cancelled when that was done between the look at them and the look under their lock", async () => {
    await using replica = await startReplica(test.database, worker, patient);
    const second = await secondDatabase(test);
    const { orderIds } = await placeAsBefore(1);
    const [orderId = ""] = orderIds;
    const before = worker.cancels.length;
    let answer: Promise<{ order?: { status: OrderStatus } | undefined }> | undefined;
    await second.transaction(async (tx) => {
      await tx.query("select from customer_order where order_id = $1 for update", [decodeId(orderId)]);
      const request = { requestId: unique("cancel"), orderId, reason: "no" };
      answer = replica.orders.cancelOrder(request, { timeoutMs: 20_000 });
      answer.catch(() => undefined);
      const waits = "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%cancel_time%'";
      await eventually(async () => assert.equal((await test.database.query(waits)).length, 1));
      await tx.query("update customer_order set status = 'cancelled' where order_id = $1", [decodeId(orderId)]);
    });
    assert.equal((await answer)?.order?.status, OrderStatus.CANCELLED);
    assert.equal(worker.cancels.length, before);
    await second.close();
  });

  it("say that it is not known when their workflow is gone: nobody follows it", async () => {
    await using replica = await startReplica(test.database, worker, patient);
    const { sagaId, orderIds } = await placeAsBefore(1);
    const [orderId = ""] = orderIds;
    worker.onCancel = () => worker.terminate(sagaId);
    const cancel = replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" });
    const error = await refusal(cancel);
    assert.deepEqual([error.code, reason(error)], [Code.Unavailable, "UNAVAILABLE"]);
  });

  it("have what operators decide noted by order and step: one request id may stand for many", async () => {
    await using replica = await startReplica(test.database, worker, patient);
    const { orderIds } = await placeAsBefore(2);
    const requestId = unique("many");
    const refs = orderIds.flatMap((orderId) => ["reserve", "void"].map((step) => ({ orderId, step })));
    const note = { requestId, decision: StepDecision.RESOLVE, note: "by hand" };
    for (const ref of [...refs, ...refs]) await replica.lifecycle.noteStepDecision({ ...ref, ...note });
    const log = (await readNotedLog(test.database)).filter((event) => event.requestId === requestId);
    assert.deepEqual(
      log.map(({ orderId, details }) => [orderId, details]),
      refs.map(({ orderId, step }) => [orderId, { step, note: "by hand" }]),
    );
    const other = replica.lifecycle.noteStepDecision({ ...refs[0], ...note, decision: StepDecision.RETRY });
    assert.equal(reason(await refusal(other)), "REQUEST_ID_REUSED");
  });

  it("are no matter of a process of the version before when they are new", async () => {
    await using replica = await startReplica(test.database, worker, patient);
    const { orders } = replica;
    const { order } = await orders.createOrder({
      requestId: unique("order"),
      customerId,
      lines: [{ sku: "A", quantity: 1, unitPrice: { currency: "EUR", amount: 1n } }],
      shippingAddress: { recipient: "A", lines: ["1"], city: "B", postalCode: "1", country: "DE" },
      cardToken: "tok_approve",
    });
    const [row] = await test.database.query<{ saga_id: string; dispatched: boolean }>(
      "select saga_id, dispatch_time is not null as dispatched from customer_order where order_id = $1",
      [decodeId(order?.orderId ?? "")],
    );
    assert.deepEqual([encodeId(row?.saga_id ?? ""), row?.dispatched], [order?.orderId, true]);
  });
});
