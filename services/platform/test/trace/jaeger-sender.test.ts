// What our sender sends means the same as what the one that comes with the Jaeger exporter sends.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";
import { JaegerExporter } from "@opentelemetry/exporter-jaeger";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-base";
import { ProcessJaegerExporter } from "#platform/trace/jaeger-exporter.ts";
import { Collector } from "#testing/collector.ts";

/** The exporter's own sender, of a package without types, knows how to read Thrift as well. */
const requireOfExporter = createRequire(import.meta.resolve("@opentelemetry/exporter-jaeger"));
const { default: HttpSender } = requireOfExporter("jaeger-client/dist/src/reporters/http_sender");
const { Batch } = new HttpSender({ endpoint: "http://127.0.0.1" })._jaegerThrift;
const resource = { "service.name": "shop", "service.version": "1.2.3", "service.instance.id": "eins" };

interface Tag {
  readonly key: string;
  readonly vType: string;
  readonly [value: string]: unknown;
}

const valueFields: Readonly<Record<string, string>> = { STRING: "vStr", DOUBLE: "vDouble", BOOL: "vBool" };

/** What the other sender says of each span: ours says it once with each batch, or, of the library, not at all. */
const common = new Set([...Object.keys(resource), "otel.library.name", "otel.library.version"]);

/** Only what a tag's type says is its value: the other sender writes all others as well, empty. */
function valuesOf(tags: readonly Tag[]): Record<string, unknown> {
  const entries = tags.map(({ key, vType, ...values }) => [key, values[valueFields[vType] ?? ""]]);
  return Object.fromEntries(entries.filter(([key]) => !common.has(String(key))));
}

/** A batch as a Jaeger collector reads it. */
function read(body: Buffer) {
  const { value, err } = Batch.rw.fromBuffer(body);
  if (err) throw err;
  const spans = value.spans.map(
    ({ tags, logs, ...span }: { tags: Tag[]; logs: { timestamp: Buffer; fields: Tag[] }[] }) => ({
      ...span,
      tags: valuesOf(tags),
      logs: logs.map(({ timestamp, fields }) => ({ timestamp, fields: valuesOf(fields) })),
    }),
  );
  return { serviceName: value.process.serviceName, tags: value.process.tags, spans };
}

/** Spans of all kinds. */
async function someSpans(): Promise<ReadableSpan[]> {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes(resource),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  const tracer = provider.getTracer("test");
  const other = {
    traceId: "0123456789abcdef0123456789abcdef",
    spanId: "fedcba9876543210",
    traceFlags: TraceFlags.SAMPLED,
  };
  const first = tracer.startSpan("first", { kind: SpanKind.SERVER, links: [{ context: other }, { context: other }] });
  const below = trace.setSpan(ROOT_CONTEXT, first);
  const attributes = {
    text: "Käse 🧀",
    empty: "",
    long: "x".repeat(70_000),
    number: -1.5,
    whole: 9e15,
    yes: true,
    no: false,
  };
  const second = tracer.startSpan(
    "zweite ✓",
    { kind: SpanKind.CLIENT, attributes: { ...attributes, list: ["a", "b"] } },
    below,
  );
  second.addEvent("happened", { why: "it did", times: 3 });
  second.setStatus({ code: SpanStatusCode.ERROR, message: "went wrong" });
  second.end();
  const third = tracer.startSpan("third", { startTime: [4_294_967_295, 999_999_999] }, below);
  third.setStatus({ code: SpanStatusCode.OK });
  third.end([4_294_999_999, 1_000]);
  first.end();
  return memory.getFinishedSpans();
}

describe("spans to Jaeger", () => {
  const collector = new Collector();
  before(() => collector.open());
  after(() => collector.close());

  async function sent(exporter: SpanExporter, spans: readonly ReadableSpan[]) {
    collector.batches.length = 0;
    const result = await new Promise<{ code: number }>((resolve) => exporter.export([...spans], resolve));
    await exporter.shutdown();
    assert.equal(result.code, 0);
    assert.equal(collector.batches.length, 1);
    return read(collector.batches[0]?.body ?? Buffer.alloc(0));
  }

  test("are what the exporter's own sender makes of them", async () => {
    const spans = await someSpans();
    const endpoint = `${collector.url}/api/traces`;
    const ours = await sent(new ProcessJaegerExporter(endpoint), spans);
    const theirs = await sent(new JaegerExporter({ endpoint }), spans);
    assert.deepEqual(ours.spans, theirs.spans);
    assert.equal(ours.spans.length, 3);
    assert.equal(ours.serviceName, "shop");
    assert.deepEqual(
      ours.tags.map(({ key, vStr }: { key: string; vStr: string }) => [key, vStr]),
      [
        ["service.version", "1.2.3"],
        ["service.instance.id", "eins"],
      ],
    );
  });

  test("go in the batch that they are given with, and in no other", async () => {
    const spans = await someSpans();
    const exporter = new ProcessJaegerExporter(`${collector.url}/api/traces`);
    collector.batches.length = 0;
    for (const batch of [spans, spans.slice(0, 1)]) {
      await new Promise((resolve) => exporter.export(batch, resolve));
    }
    await exporter.shutdown();
    const names = collector.batches.map(({ body }) =>
      read(body).spans.map((span: { operationName: string }) => span.operationName),
    );
    assert.deepEqual(names, [spans.map(({ name }) => name), [spans[0]?.name]]);
  });

  test("are told to be lost when the collector refuses them", async () => {
    const [span] = await someSpans();
    assert.ok(span);
    for (const endpoint of [`${collector.url}/refused`, "http://127.0.0.1:1/api/traces"]) {
      const exporter = new ProcessJaegerExporter(endpoint);
      collector.mood = endpoint.endsWith("/refused") ? "refuses" : "takes";
      const result = await new Promise<{ code: number; error?: Error }>((resolve) => exporter.export([span], resolve));
      assert.equal(result.code, 1);
      assert.match(String(result.error?.message), endpoint.endsWith("/refused") ? /HTTP status 503/ : /ECONNREFUSED/);
      await exporter.shutdown();
    }
  });
});
