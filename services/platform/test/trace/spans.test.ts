// What begins a trace, what goes on in one, and what is not kept.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { SpanStatusCode } from "@opentelemetry/api";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { PlatformError } from "#platform/errors.ts";
import {
  activeTraceParent,
  inSpan,
  linksTo,
  resumeTrace,
  sampledParent,
  startBatchSpan,
  startSpan,
  traceParentOf,
  underSpan,
} from "#platform/trace/spans.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const other = "1bf7651916cd43dd8448eb211c80319d";
const kept = `00-${traceId}-b7ad6b7169203331-01`;
const notKept = `00-${other}-b7ad6b7169203331-00`;
const hourMs = 3_600_000;

function ago(milliseconds: number): Date {
  return new Date(Date.now() - milliseconds);
}

test("without tracing nothing is made, and the work is done", async () => {
  assert.equal(sampledParent(kept), undefined);
  assert.deepEqual(linksTo([kept]), []);
  assert.equal(startSpan("none", {}), undefined);
  assert.equal(startBatchSpan("none", {}, [kept]), undefined);
  assert.equal(traceParentOf(undefined), "");
  assert.equal(await resumeTrace({ traceparent: kept, time: new Date() }, { name: "later" }, async () => 7), 7);
  assert.equal(await inSpan("work", {}, async () => activeTraceParent()), undefined);
});

describe("with tracing", () => {
  let spans: KeptSpans;
  before(async () => {
    spans = await keepSpans(0);
  });
  beforeEach(() => spans.reset());
  after(() => spans.stop());

  test("a traceparent is taken as it is meant, and nothing else is", () => {
    assert.ok(sampledParent(kept));
    const zeros = "0".repeat(32);
    const bad = [
      undefined,
      "",
      notKept,
      `ff${kept.slice(2)}`,
      kept.toUpperCase(),
      `${kept}0`,
      kept.replace(traceId, zeros),
    ];
    for (const traceparent of bad) assert.equal(sampledParent(traceparent), undefined, traceparent);
    assert.deepEqual(
      linksTo([kept, ...bad]).map((link) => link.context.traceId),
      [traceId],
    );
  });

  test("a trace that is not kept stays so, however deep the work goes", async () => {
    await inSpan("outer", {}, async () => {
      await inSpan("inner", {}, async () => assert.equal(activeTraceParent(), undefined));
      assert.equal(startSpan("client", {}), undefined);
    });
    assert.deepEqual(spans.all(), []);
  });

  test("a child of what is kept is kept, and says so onward", async () => {
    const span = startSpan("child", {}, sampledParent(kept));
    assert.ok(span);
    assert.equal(traceParentOf(span), `00-${traceId}-${span.spanContext().spanId}-01`);
    assert.equal(
      underSpan(span, () => activeTraceParent()),
      traceParentOf(span),
    );
    span.end();
    assert.equal(spans.one("child").parentSpanContext?.spanId, "b7ad6b7169203331");
  });

  test("a list of one is in the trace of its order; of several it has its own, linked to those that are kept", () => {
    startBatchSpan("one", {}, [kept])?.end();
    assert.equal(spans.one("one").spanContext().traceId, traceId);
    startBatchSpan("several", {}, [notKept, kept, "", kept.replace(traceId, other)])?.end();
    const several = spans.one("several");
    assert.equal(several.parentSpanContext, undefined);
    assert.deepEqual(
      several.links.map((link) => link.context.traceId),
      [traceId, other],
    );
    assert.ok(![traceId, other].includes(several.spanContext().traceId));
    for (const none of [[], [""], [notKept], [notKept, undefined]])
      assert.equal(startBatchSpan("none", {}, none), undefined);
  });

  test("what goes on soon is a child; what goes on after an hour is a new trace, linked", async () => {
    const attributes = { "order.id": "o-1" };
    await resumeTrace({ traceparent: kept, time: ago(hourMs - 60_000) }, { name: "soon", attributes }, async () => {
      await inSpan("within", {}, async () => undefined);
    });
    await resumeTrace({ traceparent: kept, time: ago(hourMs + 1) }, { name: "late" }, async () => undefined);
    await resumeTrace({ traceparent: notKept, time: ago(0) }, { name: "never" }, async () => {
      await inSpan("nor within", {}, async () => undefined);
    });
    assert.deepEqual(
      spans.all().map((span) => [span.name, span.spanContext().traceId === traceId, span.links.length]),
      [
        ["within", true, 0],
        ["soon", true, 0],
        ["late", false, 1],
      ],
    );
    assert.equal(spans.one("soon").attributes["order.id"], "o-1");
  });

  test("a failure leaves its reason, and no personal data", async () => {
    const fail = (error: Error) =>
      resumeTrace({ traceparent: kept, time: new Date() }, { name: error.name }, () => Promise.reject(error));
    const refusal = new PlatformError(PlatformErrorReason.OVERLOADED, "too many of ada@example.org");
    const cause = new Error("card 4111 1111 1111 1111 of ada@example.org");
    const internal = new ConnectError("internal error", Code.Internal, undefined, undefined, cause);
    const database = Object.assign(new Error('duplicate "ada@example.org"'), { name: "sql", code: "23505" });
    for (const error of [refusal, internal, database]) await assert.rejects(fail(error));
    const ended = spans.all();
    assert.deepEqual(
      ended.map(({ status, attributes }) => [status.code, status.message, attributes["error.type"]]),
      ["OVERLOADED", "Internal", "23505"].map((reason) => [SpanStatusCode.ERROR, reason, reason]),
    );
    assert.deepEqual(
      ended.map((span) => span.events.length),
      [0, 1, 0],
    );
    const [event] = ended[1]?.events ?? [];
    assert.match(String(event?.attributes?.["exception.message"]), /^card \[card number\] of \[e-mail\]$/);
    const text = JSON.stringify(ended.map(({ status, attributes, events }) => ({ status, attributes, events })));
    assert.doesNotMatch(text, /4111|ada@/);
  });
});
