// Which new traces are kept: those of code that asks us, and those of libraries that ask OpenTelemetry.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";
import { linksTo, startSpan } from "#platform/trace/spans.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";

const kept = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const notKept = { context: { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 0 } };
const roundCount = 4_000;

let spans: KeptSpans | undefined;
afterEach(() => spans?.stop());

test("new traces are kept by ratio, whoever begins them", async () => {
  spans = await keepSpans(0.1);
  const library = trace.getTracer("a library");
  const ways: [string, () => Span | undefined][] = [
    ["ours", () => startSpan("work", {}, ROOT_CONTEXT)],
    ["a library's", () => library.startSpan("work", {}, ROOT_CONTEXT)],
  ];
  for (const [whose, start] of ways) {
    let share = 0;
    for (let round = 0; round < roundCount; round += 1) if (start()?.isRecording()) share += 1 / roundCount;
    // Six standard deviations: it happens once in a billion runs.
    assert.ok(Math.abs(share - 0.1) < 6 * Math.sqrt((0.1 * 0.9) / roundCount), `${whose}: ${share}`);
  }
});

test("a new trace that is linked is kept when one of the others is, whatever the ratio", async () => {
  for (const ratio of [0, 1]) {
    spans = await keepSpans(ratio);
    const library = trace.getTracer("a library");
    for (const [links, expected] of [
      [[notKept, ...linksTo([kept])], true],
      [[notKept, notKept], false],
    ] as const) {
      const options = { root: true, links: [...links] };
      assert.equal(startSpan("list", options) !== undefined, expected);
      assert.equal(library.startSpan("list", options).isRecording(), expected);
    }
    await spans.stop();
  }
});

test("a child is kept as its parent is, whatever the ratio", async () => {
  spans = await keepSpans(0);
  const library = trace.getTracer("a library");
  const above = (traceFlags: number) => trace.setSpanContext(ROOT_CONTEXT, { ...notKept.context, traceFlags });
  for (const [flags, expected] of [
    [1, true],
    [0, false],
  ] as const) {
    assert.equal(startSpan("child", {}, above(flags)) !== undefined, expected);
    assert.equal(library.startSpan("child", {}, above(flags)).isRecording(), expected);
  }
});
