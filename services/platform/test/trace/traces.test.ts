// One trace from caller to callee on both faces, what its spans say, and what goes along with a call.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { ConformanceService, ErrorKind } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { runInContext } from "#platform/context.ts";
import { Clients } from "#platform/grpc/clients.ts";
import { inSpan } from "#platform/trace/spans.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { collect, failure } from "../faces/calls.ts";
import { hiddenText, type RunningConformance, startConformance } from "../faces/conformance.ts";
import { faces } from "../faces/faces.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const kept = `00-${traceId}-b7ad6b7169203331-01`;
const notKept = `00-${traceId}-b7ad6b7169203331-00`;

describe("the trace of a call", () => {
  let spans: KeptSpans;
  let service: RunningConformance;
  let clients: Clients;
  let client: Client<typeof ConformanceService>;
  before(async () => {
    spans = await keepSpans();
    service = await startConformance();
    clients = new Clients({ service: "caller", defaultTimeoutMs: 10_000, maxMessageBytes: 1e6 });
    client = clients.client(ConformanceService, `dns:///127.0.0.1:${service.grpcPort}`);
  });
  beforeEach(() => spans.reset());
  after(async () => {
    clients.close();
    await service.drain();
    await spans.stop();
  });

  /** The spans by kind; the server's may end a moment after the caller has its answer. */
  async function endedSpans(count: number) {
    while (spans.all().length < count) await new Promise((resolve) => setImmediate(resolve));
    return {
      server: spans.all().find((span) => span.kind === SpanKind.SERVER),
      client: spans.all().find((span) => span.kind === SpanKind.CLIENT),
    };
  }

  test("goes from the work that calls through the client's span to the server's", async () => {
    await inSpan("the work", { "order.id": "1" }, () => client.echo({}));
    const { server, client: calling } = await endedSpans(3);
    assert.equal(new Set(spans.all().map((span) => span.spanContext().traceId)).size, 1);
    assert.equal(server?.parentSpanContext?.spanId, calling?.spanContext().spanId);
    assert.equal(calling?.parentSpanContext?.spanId, spans.one("the work").spanContext().spanId);
    const rpc = { "rpc.system": "grpc", "rpc.service": ConformanceService.typeName, "rpc.method": "Echo" };
    const status = { "rpc.grpc.status_code": 0 };
    const peer = { "server.address": "127.0.0.1", "server.port": service.grpcPort };
    assert.deepEqual(server?.attributes, { ...rpc, ...status });
    assert.deepEqual(calling?.attributes, { ...rpc, ...peer, ...status });
    assert.deepEqual([server?.name, calling?.name], Array(2).fill(`${ConformanceService.typeName}/Echo`));
  });

  test("says who the process is", async () => {
    await client.echo({});
    const attributes = (await endedSpans(2)).server?.resource.attributes;
    assert.equal(attributes?.["service.name"], "test");
    assert.match(String(attributes?.["service.version"]), /^\d+\.\d+\.\d+/);
    assert.match(String(attributes?.["service.instance.id"]), new RegExp(`/${process.pid}$`));
  });

  test("a stream is one span, as long as it lasts", async () => {
    await collect(client.count({ count: 3 }));
    const { server, client: calling } = await endedSpans(2);
    assert.equal(server?.parentSpanContext?.spanId, calling?.spanContext().spanId);
    assert.equal(server?.attributes["rpc.method"], "Count");
  });

  test("a refusal is the caller's error, not the server's; both say the reason", async () => {
    await failure(client.echo({ error: ErrorKind.DOMAIN }));
    const { server, client: calling } = await endedSpans(2);
    assert.deepEqual([server?.status.code, calling?.status.code], [SpanStatusCode.UNSET, SpanStatusCode.ERROR]);
    for (const span of [server, calling]) {
      assert.equal(span?.attributes["error.type"], "REQUEST_ID_REUSED");
      assert.equal(span?.attributes["rpc.grpc.status_code"], 6);
    }
  });

  test("a fault of the server says what it was, without what is secret", async () => {
    await failure(client.echo({ error: ErrorKind.INTERNAL }));
    const { server } = await endedSpans(2);
    assert.deepEqual(server?.status, { code: SpanStatusCode.ERROR, message: "Internal" });
    const [event] = server?.events ?? [];
    assert.equal(event?.attributes?.["exception.type"], "TypeError");
    assert.match(String(event?.attributes?.["exception.stacktrace"]), /conformance/);
    assert.ok(!JSON.stringify(server?.events).includes(hiddenText.split(" ").at(-1) ?? hiddenText));
  });

  test("the duration of a call points to its trace, for who reads OpenMetrics", async () => {
    await client.echo({});
    const { server } = await endedSpans(2);
    const headers = { accept: "application/openmetrics-text" };
    const metrics = await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`, { headers })).text();
    const trace = server?.spanContext().traceId;
    const exemplar = `\\} \\d+ # \\{trace_id="${trace}"\\} [\\d.e-]+ \\d+`;
    assert.match(metrics, new RegExp(`^rpc_server_duration_seconds_bucket\\{.*Echo.*${exemplar}`, "m"));
    assert.match(metrics, /^rpc_client_duration_seconds_count\{rpc="[\w.]+\/Echo",code="OK"/m);
    const plain = await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
    assert.ok(!plain.includes("trace_id"));
  });

  for (const face of faces) {
    test(`${face.name}: the caller decides whether it is kept, and its baggage names the user`, async () => {
      const { transport, close } = face.transport(service);
      const caller = createClient(ConformanceService, transport);
      const tracestate = "vendor=1";
      await runInContext({ traceParent: notKept }, () => caller.echo({}, { headers: { traceparent: notKept } }));
      // Our own transport makes a span of its own for the second call; the others hand the header on.
      const headers = { traceparent: kept, tracestate, baggage: "user.id=u-7" };
      await caller.echo({ text: "kept" }, { headers });
      close();
      const own = face.name.includes("our transport");
      const { server } = await endedSpans(own ? 4 : 1);
      if (!own) {
        assert.equal(spans.all().length, 1);
        assert.equal(server?.spanContext().traceId, traceId);
        assert.equal(server?.spanContext().traceState?.serialize(), tracestate);
      }
      const last = spans.all().findLast((span) => span.kind === SpanKind.SERVER);
      assert.equal(last?.attributes["user.id"], "u-7");
      assert.equal(last?.attributes["rpc.system"], face.name.startsWith("Connect") ? "connect_rpc" : "grpc");
    });
  }
});
