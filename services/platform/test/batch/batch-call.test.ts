// The entries of a batch call: each with its own outcome, trace, and name of its order in the log.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { SpanKind } from "@opentelemetry/api";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import { requestContext } from "#platform/context.ts";
import { PlatformError } from "#platform/errors.ts";
import { activeTraceParent, inSpan } from "#platform/trace/spans.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";

interface Request {
  orderId: string;
}

const about = { method: "ReserveStock", subjectOf: ({ orderId }: Request) => ({ "order.id": orderId }) };
const requests = ["o-1", "o-2", "o-3"].map((orderId) => ({ orderId }));

function refuse({ orderId }: Request): Promise<never> {
  return Promise.reject(new PlatformError(PlatformErrorReason.INVALID_ID, `no order ${orderId}`, { orderId }));
}

describe("the outcomes of a batch call", () => {
  test("each entry has its own, in the order of the requests", async () => {
    const list = { requests, traceparents: [] };
    const outcomes = await answerEach(list, about, async (request) =>
      request.orderId === "o-2" ? refuse(request) : request.orderId,
    );
    assert.deepEqual(
      outcomes.map(({ outcome }) => (outcome.case === "response" ? outcome.value : outcome.value.reason)),
      ["o-1", "INVALID_ID", "o-3"],
    );
  });

  test("what is no refusal fails the list, once every entry has ended", async () => {
    const ended: string[] = [];
    const list = { requests, traceparents: [] };
    const answer = answerEach(list, about, async ({ orderId }) => {
      if (orderId === "o-1") throw new Error("connection lost");
      await new Promise((resolve) => setImmediate(resolve));
      ended.push(orderId);
    });
    await assert.rejects(answer, /connection lost/);
    assert.deepEqual(ended, ["o-2", "o-3"]);
  });

  test("each entry's work knows its order", async () => {
    const list = { requests, traceparents: [] };
    const outcomes = await answerEach(list, about, async () => requestContext().subject?.["order.id"]);
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome.value),
      ["o-1", "o-2", "o-3"],
    );
  });
});

describe("the traces of a batch call", () => {
  const traceIds = ["a", "b", "c"].map((digit) => digit.repeat(32));
  const kept = traceIds.map((traceId) => `00-${traceId}-b7ad6b7169203331-01`);
  let spans: KeptSpans;
  before(async () => {
    spans = await keepSpans();
  });
  beforeEach(() => spans.reset());
  after(() => spans.stop());

  test("each kept entry is a server span in its own trace, linked to the list, around its work", async () => {
    const list = { requests, traceparents: [kept[0] ?? "", "", kept[2] ?? ""] };
    const seen: (string | undefined)[] = [];
    await inSpan("BatchReserveStock", {}, () =>
      answerEach(list, about, async (request) => {
        seen.push(activeTraceParent()?.slice(3, 35));
        await inSpan("statement", {}, async () => undefined);
        return request.orderId === "o-3" ? refuse(request) : { pending: request.orderId === "o-1" };
      }),
    );
    assert.deepEqual(seen, [traceIds[0], undefined, traceIds[2]]);
    const listSpan = spans.one("BatchReserveStock");
    const entries = spans.all().filter((span) => span.name === "ReserveStock");
    assert.deepEqual(
      entries.map(({ kind, parentSpanContext, links, attributes }) => [
        kind,
        parentSpanContext?.traceId,
        links[0]?.context.spanId,
        attributes["order.id"],
        attributes["ordermesh.outcome"],
        attributes["error.type"],
      ]),
      [
        [SpanKind.SERVER, traceIds[0], listSpan.spanContext().spanId, "o-1", "pending", undefined],
        [SpanKind.SERVER, traceIds[2], listSpan.spanContext().spanId, "o-3", "refused", "INVALID_ID"],
      ],
    );
    const statements = spans.all().filter((span) => span.name === "statement");
    assert.deepEqual(
      statements.map((span) => span.parentSpanContext?.spanId),
      entries.map((span) => span.spanContext().spanId),
    );
  });

  test("a list without trace contexts is worked on in the caller's trace", async () => {
    const list = { requests, traceparents: [] };
    await inSpan("list", {}, () => answerEach(list, about, () => inSpan("statement", {}, async () => undefined)));
    const parents = spans.all().map((span) => span.parentSpanContext?.spanId);
    const { spanId } = spans.one("list").spanContext();
    assert.deepEqual(parents, [spanId, spanId, spanId, undefined]);
  });

  test("an entry that fails says so, and so does the list", async () => {
    const list = { requests: [{ orderId: "o-1" }], traceparents: [kept[0] ?? ""] };
    const broken = answerEach(list, about, () => Promise.reject(new TypeError("for ada@example.org")));
    await assert.rejects(broken, TypeError);
    const span = spans.one("ReserveStock");
    assert.deepEqual([span.status.message, span.attributes["ordermesh.outcome"]], ["TypeError", "failed"]);
  });
});
