import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Registry } from "prom-client";
import { requestContext } from "#platform/context.ts";
import { newId } from "#platform/id.ts";
import { activeTraceParent, startSpan, traceParentOf } from "#platform/trace/spans.ts";
import { traceIdOf } from "#platform/trace-parent.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { quietLogger } from "#testing/logger.ts";
import type { EpisodeOrder } from "../src/episode/episode.ts";
import { EpisodeStarts } from "../src/episode/episode-starts.ts";
import { createOrderMetrics } from "../src/order/metrics.ts";
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

function startsOf(worker: FakeWorker): EpisodeStarts {
  return new EpisodeStarts({
    sagas: worker.client,
    episodes: { acknowledge: async () => undefined },
    logger: quietLogger(),
    metrics: createOrderMetrics(new Registry()),
    screens: async () => false,
    backOrderMaxMs: 1,
    timeoutMs: 1_000,
    onRefused: async () => undefined,
  });
}

/** Hands an episode over and tells what the worker's call found around it. */
async function handOver(orders: EpisodeOrder[]): Promise<Seen & { batch: string; told: string[] }> {
  const worker = new FakeWorker();
  const batch = newId();
  let seen: Seen | undefined;
  worker.onStart = () => {
    const { "saga.id": sagaId, "order.id": orderId } = requestContext().subject ?? {};
    seen = { traceparent: activeTraceParent(), sagaId, orderId };
  };
  assert.equal(await startsOf(worker).start({ episodeId: batch, orders }), "acknowledged");
  assert.ok(seen);
  const told = worker.starts.flatMap((episode) => episode.orders.map(({ traceparent }) => traceIdOf(traceparent)));
  return { ...seen, batch, told };
}

function orderOf(traced: boolean, createTime = new Date()): EpisodeOrder {
  const span = traced ? startSpan("CreateOrder", { root: true }) : undefined;
  span?.end();
  return {
    orderId: newId(),
    fence: 1,
    customerId: newId(),
    total: { currency: "EUR", amount: 1n },
    createTime,
    checkoutTime: createTime,
    ageMs: 0,
    traceparent: traceParentOf(span),
    saga: "",
    events: [{ id: "placed", kind: "placed", detail: {}, time: createTime.toISOString() }],
    confirmed: false,
    found: false,
    shortagePolicy: "reject",
    stockWaitMs: undefined,
    returns: [],
    amendment: undefined,
    recalled: undefined,
    labels: [],
    credits: [],
    checkout: {
      lines: [{ sku: "tea", quantity: 1, unitPrice: 1n, amount: undefined }],
      asked: undefined,
      cardToken: "tok_approve",
      shippingAddress: { recipient: "A", lines: ["1"], city: "B", postalCode: "1", country: "DE" },
    },
  };
}

describe("the trace in which orders are handed to the worker", () => {
  test("of one order is the order's", async () => {
    const order = orderOf(true);
    const { traceparent, batch, sagaId, orderId, told } = await handOver([order]);
    assert.equal(traceIdOf(traceparent), traceIdOf(order.traceparent));
    assert.deepEqual(told, [traceIdOf(order.traceparent)]);
    assert.deepEqual({ sagaId, orderId }, { sagaId: batch, orderId: order.orderId });
    const { attributes } = kept.one("dispatch");
    assert.deepEqual(attributes, { "saga.id": batch, "order.id": order.orderId, "ordermesh.list.size": 1 });
  });

  test("of one order that waited for hours is a new one, linked to the order's", async () => {
    const order = orderOf(true, new Date("2020-01-01"));
    const { traceparent, told } = await handOver([order]);
    assert.notEqual(traceIdOf(traceparent), traceIdOf(order.traceparent));
    assert.deepEqual(told, [traceIdOf(traceparent)]);
    const { links, parentSpanContext } = kept.one("dispatch");
    assert.equal(parentSpanContext, undefined);
    assert.deepEqual(
      links.map(({ context }) => context.traceId),
      [traceIdOf(order.traceparent)],
    );
  });

  test("of several orders is their own, linked to each that is kept", async () => {
    const orders = [orderOf(true), orderOf(false), orderOf(true)];
    const { traceparent, batch, sagaId, orderId } = await handOver(orders);
    const { links, attributes } = kept.one("dispatch");
    const kin = orders.map((order) => traceIdOf(order.traceparent)).filter((trace) => trace !== "");
    assert.ok(traceparent && !kin.includes(traceIdOf(traceparent)));
    assert.deepEqual(
      links.map(({ context }) => context.traceId),
      kin,
    );
    assert.deepEqual({ sagaId, orderId }, { sagaId: batch, orderId: undefined });
    assert.equal(attributes["ordermesh.list.size"], 3);
  });

  test("of orders of long ago among others is their own for each, linked to its first", async () => {
    const [old, other, young] = [orderOf(true, new Date("2020-01-01")), orderOf(false), orderOf(true)] as const;
    const { traceparent, told } = await handOver([old, other, young]);
    const [oldTrace, otherTrace, youngTrace] = told;
    assert.deepEqual([otherTrace, youngTrace], ["", traceIdOf(young.traceparent)]);
    const resumed = kept.all().find(({ attributes }) => attributes["order.id"] === old.orderId);
    assert.equal(resumed?.spanContext().traceId, oldTrace);
    assert.deepEqual(
      resumed?.links.map(({ context }) => context.traceId).sort(),
      [traceIdOf(traceparent), traceIdOf(old.traceparent)].sort(),
    );
  });

  test("is not kept when none of the orders' is", async () => {
    const { traceparent } = await handOver([orderOf(false), orderOf(false)]);
    assert.equal(traceparent, undefined);
    assert.deepEqual(kept.all(), []);
  });

  test("says why the worker did not take the batch", async () => {
    const worker = new FakeWorker();
    worker.available = false;
    assert.equal(await startsOf(worker).start({ episodeId: newId(), orders: [orderOf(true)] }), "failed");
    assert.equal(kept.one("dispatch").attributes["error.type"], "Unavailable");
  });
});
