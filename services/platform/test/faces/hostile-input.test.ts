// Whatever callers send, the number of series that a service shows stays the same: no label has a value of theirs.
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { after, before, describe, test } from "node:test";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { type RunningConformance, startConformance } from "./conformance.ts";

const roundCount = 40;
const service = ConformanceService.typeName;

/** A name that no caller has used before. */
let made = 0;
function strange(): string {
  made += 1;
  return `x${made}${["-ä", "%00", "\u{1f600}", "'--", "{}", '"\\n'][made % 6]}`;
}

describe("hostile input", () => {
  let running: RunningConformance;
  let base: string;
  let clients: Clients;
  let raw: Client;
  before(async () => {
    running = await startConformance({ LOG_LEVEL: "error" });
    base = `http://127.0.0.1:${running.httpPort}`;
    clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 1e6 });
    raw = new Client(`127.0.0.1:${running.grpcPort}`, credentials.createInsecure());
  });
  after(async () => {
    raw.close();
    clients.close();
    await running.drain();
  });

  async function series(): Promise<string[]> {
    const text = await (await fetch(`${base}/metrics`)).text();
    const names = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return names.map((line) => line.slice(0, line.lastIndexOf(" ")));
  }

  /** What a call to a path of gRPC ends with; it fails. */
  function callPath(path: string, metadata = new Metadata()): Promise<void> {
    return new Promise((resolve) => {
      const bytes = (buffer: Buffer) => buffer;
      raw.makeUnaryRequest(path, bytes, bytes, Buffer.from([255, 1, 2]), metadata, () => resolve());
    });
  }

  /** A path on the HTTP face, as it is; whatever the answer. */
  async function post(path: string, headers: Record<string, string>, body: string): Promise<void> {
    const response = await fetch(`${base}${path}`, { method: "POST", headers, body });
    await response.arrayBuffer();
  }

  /** One round of everything that is not a well-formed call. */
  async function assault(): Promise<void> {
    const json = { "content-type": "application/json" };
    const long = "M".repeat(2_000) + made;
    const metadata = new Metadata();
    for (const name of ["user-agent", "x-request-id", "baggage", "traceparent", `x-${made}`])
      metadata.set(name, `ordermesh-${made}/1 user.id=u${made}`);
    const client = clients.client(ConformanceService, `127.0.0.1:${running.grpcPort}`);
    const headers = {
      "x-request-id": encodeURIComponent(strange()),
      baggage: `user.id=${encodeURIComponent(strange())}`,
    };
    await Promise.all([
      callPath(`/${service}/${encodeURIComponent(strange())}`),
      callPath(`/${encodeURIComponent(strange())}.Service/Echo`),
      callPath(`/${service}/${long}`),
      callPath(`/${service}/Echo`, metadata),
      post(`/${service}/${encodeURIComponent(strange())}`, json, "{}"),
      post(`/${encodeURIComponent(strange())}`, json, "{}"),
      post(`/${service}/Echo?${encodeURIComponent(strange())}`, json, `{"text":"${made}"}`),
      post(`/${service}/Echo`, { ...json, ...headers }, `{"${made}":1}`),
      post(`/${service}/Echo`, { "content-type": `application/x${made}` }, "{}"),
      post(`/${service}/Echo`, { ...json, "connect-timeout-ms": `${made}x` }, "{}"),
      client.echo({ text: strange() }, { headers }).catch(() => undefined),
      client.echo({ text: "t".repeat(1_000) + made }).catch(() => undefined),
    ]);
  }

  /** A connection that speaks HTTP/2 but not gRPC. */
  async function nonsense(): Promise<void> {
    const session = connect(`http://127.0.0.1:${running.grpcPort}`);
    session.on("error", () => undefined);
    const stream = session.request({ ":method": "DELETE", ":path": `/${made}`, "content-type": `a/${made}` });
    await new Promise<void>((resolve) =>
      stream
        .on("error", () => resolve())
        .on("close", () => resolve())
        .resume(),
    );
    session.close();
  }

  test("adds no series, however much of it there is", async () => {
    await assault();
    await nonsense();
    const before = await series();
    for (let round = 0; round < roundCount; round += 1) await assault();
    await nonsense();
    const after = await series();
    // Which of Node's spaces and resources are in use at a moment is Node's to say.
    const ours = (names: string[]) => new Set(names.filter((name) => !/^(?:nodejs|process)_/.test(name)));
    assert.deepEqual(
      [...ours(after)].filter((name) => !ours(before).has(name)),
      [],
    );
    assert.ok(ours(after).size > 50, "the series that are compared");
    assert.ok(!after.some((name) => /x\d|MMMM|u\d/.test(name)), "a caller's text is a label");
    assert.ok(after.length < 600, `${after.length} series`);
  });
});

describe("how metrics are read", () => {
  let running: RunningConformance;
  before(async () => {
    running = await startConformance({ OTEL_TRACES_EXPORTER: "none" });
  });
  after(() => running.drain());

  async function read(accept?: string) {
    const headers = accept === undefined ? {} : { accept };
    const response = await fetch(`http://127.0.0.1:${running.httpPort}/metrics`, { headers });
    return { type: response.headers.get("content-type") ?? "", text: await response.text() };
  }

  test("as Prometheus text by default, as OpenMetrics for who accepts it, in any order", async () => {
    const accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    for (const [given, open] of [
      [undefined, false],
      [accept, true],
      [undefined, false],
      ["text/plain", false],
    ] as const) {
      const { type, text } = await read(given);
      assert.match(type, open ? /^application\/openmetrics-text; version=1\.0\.0/ : /^text\/plain; version=0\.0\.4/);
      assert.equal(text.endsWith("# EOF\n"), open);
      assert.match(text, open ? /^# TYPE log_lines counter$/m : /^# TYPE log_lines_total counter$/m);
      assert.match(text, /^build_info\{version="\d+\.\d+\.\d+[^"]*",service="conformance"\} 1$/m);
    }
  });
});
