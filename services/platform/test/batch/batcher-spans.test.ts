// A statement that many callers share: whose trace it is in, and how theirs point to it.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { Registry } from "prom-client";
import { Batcher } from "#platform/batch/batcher.ts";
import { addProcessMetrics } from "#platform/metrics/process-metrics.ts";
import { activeTraceParent, inSpan, resumeTrace } from "#platform/trace/spans.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";

const notKept = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", time: new Date() };

describe("lists in traces", () => {
  let spans: KeptSpans;
  const seen: (string | undefined)[] = [];
  const batcher = new Batcher<string, string>({
    name: "stock",
    run: async (inputs) => {
      seen.push(activeTraceParent());
      await inSpan("statement", {}, async () => undefined);
      return inputs;
    },
  });
  before(async () => {
    spans = await keepSpans();
  });
  beforeEach(() => {
    spans.reset();
    seen.length = 0;
  });
  after(() => spans.stop());

  test("a list of one runs in its caller's span", async () => {
    await inSpan("caller", {}, () => batcher.submit("a"));
    assert.equal(spans.one("statement").parentSpanContext?.spanId, spans.one("caller").spanContext().spanId);
    assert.equal(spans.all().length, 2);
  });

  test("what one caller submits together runs in its span too", async () => {
    await inSpan("caller", {}, () => Promise.all([batcher.submit("a"), batcher.submit("b")]));
    assert.equal(spans.one("statement").parentSpanContext?.spanId, spans.one("caller").spanContext().spanId);
  });

  test("a list of several is a trace of its own; they and it are linked, except who is not kept", async () => {
    await Promise.all([
      inSpan("first", {}, () => batcher.submit("a")),
      inSpan("second", {}, () => batcher.submit("b")),
      resumeTrace(notKept, { name: "third" }, () => batcher.submit("c")),
      batcher.submit("d"),
    ]);
    const shared = spans.one("batch stock");
    const [first, second] = [spans.one("first"), spans.one("second")];
    assert.equal(shared.parentSpanContext, undefined);
    assert.equal(shared.attributes["ordermesh.list.size"], 4);
    assert.deepEqual(
      shared.links.map((link) => link.context.spanId),
      [first, second].map((span) => span.spanContext().spanId),
    );
    for (const { links } of [first, second])
      assert.deepEqual(
        links.map((link) => link.context.spanId),
        [shared.spanContext().spanId],
      );
    assert.equal(spans.one("statement").parentSpanContext?.spanId, shared.spanContext().spanId);
  });

  test("a list as long as they get has all its links", async () => {
    await Promise.all(Array.from({ length: 256 }, () => inSpan("caller", {}, () => batcher.submit("a"))));
    assert.equal(spans.one("batch stock").links.length, 256);
  });

  test("when nobody's trace is kept, the list begins none", async () => {
    await Promise.all([resumeTrace(notKept, { name: "caller" }, () => batcher.submit("a")), batcher.submit("b")]);
    assert.deepEqual(seen, [undefined]);
    assert.deepEqual(spans.all(), []);
  });
});

test("every batcher is measured by its name", async () => {
  const release = Promise.withResolvers<void>();
  const batcher = new Batcher<number, number>({
    name: "measured",
    run: async (inputs) => {
      await release.promise;
      return inputs;
    },
  });
  const registry = new Registry();
  addProcessMetrics(registry);
  const first = batcher.submit(1);
  await new Promise((resolve) => setImmediate(resolve));
  const rest = [batcher.submit(2), batcher.submit(3)];
  assert.match(await registry.metrics(), /^batcher_waiting\{batcher="measured"\} 2$/m);
  release.resolve();
  await Promise.all([first, ...rest]);
  const text = await registry.metrics();
  assert.match(text, /^batcher_list_entries_count\{batcher="measured"\} 2$/m);
  assert.match(text, /^batcher_list_entries_sum\{batcher="measured"\} 3$/m);
  assert.match(text, /^batcher_wait_seconds_count\{batcher="measured"\} 2$/m);
  assert.match(text, /^batcher_waiting\{batcher="measured"\} 0$/m);
});
