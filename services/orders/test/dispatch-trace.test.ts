import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Registry } from "prom-client";
import { requestContext } from "#platform/context.ts";
import { newId } from "#platform/id.ts";
import { createLogger } from "#platform/log/logger.ts";
import { activeTraceParent, startSpan, traceParentOf } from "#platform/trace/spans.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { Dispatcher } from "../src/dispatch/dispatcher.ts";
import { createOrderMetrics } from "../src/order/metrics.ts";
import type { NewOrder } from "../src/order/order.ts";
import { FakeWorker } from "./fake-worker.ts";

let kept: KeptSpans;
before(async () => {
  kept = await keepSpans();
});
after(() => kept?.stop());
afterEach(() => kept.reset());

/** What the worker's call found around it. */
interface Seen {
  traceparent: string | undefined;
  sagaId: string | undefined;
  orderId: string | undefined;
}

function dispatcherOf(worker: FakeWorker): Dispatcher {
  return new Dispatcher({
    sagas: worker.client,
    outbox: { acknowledge: async () => undefined },
    logger: createLogger({ name: "test", level: "error" }).logger,
    metrics: createOrderMetrics(new Registry()),
    ...{ concurrency: 4, timeoutMs: 1_000 },
  });
}

/** Hands a list over and tells what the worker's call found around it. */
async function handOver(orders: NewOrder[]): Promise<Seen & { list: string }> {
  const worker = new FakeWorker();
  const list = newId();
  let seen: Seen | undefined;
  worker.onStart = () => {
    const { "saga.id": sagaId, "order.id": orderId } = requestContext().subject ?? {};
    seen = { traceparent: activeTraceParent(), sagaId, orderId };
  };
  await dispatcherOf(worker).start({ sagaId: list, orders });
  assert.ok(seen);
  return { ...seen, list };
}

function orderOf(traced: boolean, orderId = newId()): NewOrder {
  const span = traced ? startSpan("CreateOrder", { root: true }) : undefined;
  span?.end();
  return {
    ...{ orderId, customerId: newId(), total: { currency: "EUR", amount: 1n }, cardToken: "tok_approve" },
    lines: [{ sku: "tea", quantity: 1, unitPrice: 1n }],
    shippingAddress: { recipient: "A", lines: ["1"], city: "B", postalCode: "1", country: "DE" },
    traceparent: traceParentOf(span),
  };
}

function traceOf(traceparent: string | undefined): string {
  return traceparent?.slice(3, 35) ?? "";
}

describe("the trace in which orders are handed to the worker", () => {
  test("of one order is the order's", async () => {
    const order = orderOf(true);
    const { traceparent, list, sagaId, orderId } = await handOver([order]);
    assert.equal(traceOf(traceparent), traceOf(order.traceparent));
    assert.deepEqual({ sagaId, orderId }, { sagaId: list, orderId: order.orderId });
    const { attributes } = kept.one("dispatch");
    assert.deepEqual(attributes, { "saga.id": list, "order.id": order.orderId, "ordermesh.list.size": 1 });
  });

  test("of one order that waited for hours is a new one, linked to the order's", async () => {
    // 2020: the relay comes late.
    const order = orderOf(true, `01DXF6DT00${newId().slice(10)}`);
    const { traceparent } = await handOver([order]);
    assert.notEqual(traceOf(traceparent), traceOf(order.traceparent));
    const { links, parentSpanContext } = kept.one("dispatch");
    assert.equal(parentSpanContext, undefined);
    assert.deepEqual(
      links.map(({ context }) => context.traceId),
      [traceOf(order.traceparent)],
    );
  });

  test("of several orders is their own, linked to each that is kept", async () => {
    const orders = [orderOf(true), orderOf(false), orderOf(true)];
    const { traceparent, list, sagaId, orderId } = await handOver(orders);
    const { links, attributes } = kept.one("dispatch");
    const kin = orders.map((order) => traceOf(order.traceparent)).filter((trace) => trace !== "");
    assert.ok(traceparent && !kin.includes(traceOf(traceparent)));
    assert.deepEqual(
      links.map(({ context }) => context.traceId),
      kin,
    );
    assert.deepEqual({ sagaId, orderId }, { sagaId: list, orderId: undefined });
    assert.equal(attributes["ordermesh.list.size"], 3);
  });

  test("is not kept when none of the orders' is", async () => {
    const { traceparent } = await handOver([orderOf(false), orderOf(false)]);
    assert.equal(traceparent, undefined);
    assert.deepEqual(kept.all(), []);
  });

  test("says why the worker did not take the list", async () => {
    const worker = new FakeWorker();
    worker.available = false;
    const list = { sagaId: newId(), orders: [orderOf(true)] };
    await assert.rejects(dispatcherOf(worker).start(list));
    assert.equal(kept.one("dispatch").attributes["error.type"], "Unavailable");
  });
});
