// No answer of a port says what it is made of: no version, no name of a library, no place in the code.
import assert from "node:assert/strict";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { ConformanceService, ErrorKind } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { type RunningConformance, startConformance } from "./conformance.ts";

const service = ConformanceService.typeName;
const json = { "content-type": "application/json" };

/** What would be said by who says too much: a library with its version, Node's, a stack, a path of ours. */
const told = [
  /(?:node(?:\.?js)?|grpc[\w-]*|connect(?:-\w+)?|undici|express|nghttp2|postgres\w*|openssl|v8)[/ ]v?\d+\.\d/i,
  /^(?:x-powered-by|server|via|x-aspnet\S*)\s*:/im,
  /^\s*at .+:\d+:\d+\)?$/m,
  /(?:node_modules|services|node:internal)\/[\w/-]+/,
  /\.[jt]s:\d+/,
];

function assertSilent(answer: string, what: string): void {
  const found = told.find((pattern) => pattern.test(answer));
  assert.ok(!found, `${what} says ${found?.exec(answer)?.[0]}`);
}

describe("an answer says nothing about what made it", () => {
  let running: RunningConformance;
  let base: string;
  before(async () => {
    running = await startConformance({ LOG_LEVEL: "error", HTTP_CORS_ORIGINS: "https://shop.example" });
    base = `http://127.0.0.1:${running.httpPort}`;
  });
  after(() => running?.drain());

  const internal = { error: ErrorKind.INTERNAL };
  const requests: [what: string, path: string, init?: RequestInit][] = [
    ["liveness", "/healthz"],
    ["readiness", "/readyz"],
    ["nothing at a path", "/nowhere"],
    ["the contract", "/openapi.json"],
    ["a folder that is none", "/../../etc/passwd"],
    ["a call that is right", `/${service}/Echo`, { method: "POST", headers: json, body: "{}" }],
    ["a fault of ours", `/${service}/Echo`, { method: "POST", headers: json, body: JSON.stringify(internal) }],
    ["what is no JSON", `/${service}/Echo`, { method: "POST", headers: json, body: "{" }],
    ["what has no such field", `/${service}/Echo`, { method: "POST", headers: json, body: '{"x":1}' }],
    ["another type", `/${service}/Echo`, { method: "POST", headers: { "content-type": "text/html" }, body: "<p>" }],
    ["another verb", `/${service}/Echo`, { method: "DELETE" }],
    ["a preflight", `/${service}/Echo`, { method: "OPTIONS", headers: { "access-control-request-method": "POST" } }],
    [
      "gRPC-Web that is none",
      `/${service}/Echo`,
      { method: "POST", headers: { "content-type": "application/grpc-web" }, body: "x" },
    ],
    ["a call that there is not", `/${service}/None`, { method: "POST", headers: json, body: "{}" }],
  ];
  for (const [what, path, init] of requests) {
    test(`by HTTP: ${what}; and browsers are told to do nothing with it`, async () => {
      const response = await fetch(`${base}${path}`, init);
      const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      assertSilent(`${headers}\n\n${await response.text()}`, what);
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'.*frame-ancestors 'none'/);
      assert.equal(response.headers.get("referrer-policy"), "no-referrer");
      assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin");
    });
  }

  test("by HTTP: metrics, but for what is running, which who scrapes may know", async () => {
    const response = await fetch(`${base}/metrics`);
    assertSilent([...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n"), "metrics");
  });

  const bytes: [what: string, port: "grpcPort" | "httpPort", text: string][] = [
    ["what is no HTTP to the HTTP port", "httpPort", "HELLO\r\n\r\n"],
    ["a header that is none to the HTTP port", "httpPort", "GET / HTTP/1.1\r\nhost: x\r\na b: c\r\n\r\n"],
    ["too many headers to the HTTP port", "httpPort", `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(70_000)}\r\n\r\n`],
    ["HTTP/2 to the HTTP port", "httpPort", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["HTTP/1 to the gRPC port", "grpcPort", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["what is no HTTP to the gRPC port", "grpcPort", "HELLO\r\n\r\n"],
  ];
  for (const [what, port, text] of bytes) {
    test(`to bytes: ${what}`, async () => {
      const socket = connect(running[port], "127.0.0.1").setTimeout(3_000, () => socket.destroy());
      socket.end(text);
      const answer = await buffer(socket).catch(() => Buffer.from(""));
      assertSilent(answer.toString("latin1"), what);
    });
  }

  const calls: [what: string, path: string, request: Buffer][] = [
    // EchoRequest.error is what the conformance service fails with.
    ["a request that cannot be read", `/${service}/Echo`, Buffer.from([255, 1, 2])],
    ["a call that there is not", `/${service}/None`, Buffer.alloc(0)],
    ["a service that there is not", "/none.v1.None/None", Buffer.alloc(0)],
  ];
  for (const [what, path, request] of calls) {
    test(`by gRPC: ${what}`, async () => {
      const client = new Client(`127.0.0.1:${running.grpcPort}`, credentials.createInsecure());
      try {
        const error = await new Promise<ServiceError | null>((resolve) => {
          const same = (given: Buffer) => given;
          client.makeUnaryRequest(path, same, same, request, new Metadata(), (failed) => resolve(failed));
        });
        assert.ok(error);
        assertSilent(`${error.details}\n${JSON.stringify(error.metadata.toJSON())}`, what);
      } finally {
        client.close();
      }
    });
  }

  test("by gRPC: the headers of an answer", async () => {
    const session = connectHttp2(`http://127.0.0.1:${running.grpcPort}`);
    try {
      const stream = session.request({
        ":method": "POST",
        ":path": `/${service}/Echo`,
        "content-type": "application/grpc",
        te: "trailers",
      });
      const all: IncomingHttpHeaders[] = [];
      stream.on("response", (headers) => all.push(headers)).on("trailers", (headers) => all.push(headers));
      stream.end(Buffer.alloc(5));
      await buffer(stream);
      assert.ok(all.length > 0);
      const lines = all.flatMap((headers) => Object.entries(headers).map(([name, value]) => `${name}: ${value}`));
      assertSilent(lines.join("\n"), "an answer");
    } finally {
      session.close();
    }
  });
});
