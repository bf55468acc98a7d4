// What one caller may hold at the same time, and what becomes of one that does not read what it asked for.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { until } from "#testing/until.ts";
import { collect, failure } from "./calls.ts";
import { type RunningConformance, startConformance } from "./conformance.ts";

const service = ConformanceService.typeName;
let running: RunningConformance;
before(async () => {
  running = await startConformance({
    ...{ MAX_STREAMS_PER_CALLER: "2", UNREAD_TIMEOUT_MS: "200", TRUSTED_PROXIES: "127.0.0.1", LOG_LEVEL: "error" },
  });
});
after(() => running.drain());

function clientOf(face: string) {
  const idle = { idleConnectionTimeoutMs: 50 };
  const transport =
    face === "gRPC"
      ? createGrpcTransport({ baseUrl: `http://127.0.0.1:${running.grpcPort}`, ...idle })
      : createConnectTransport({ baseUrl: `http://127.0.0.1:${running.httpPort}`, httpVersion: "1.1" });
  return createClient(ConformanceService, transport);
}

async function waiting(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${running.httpPort}/metrics`)).text();
  return Number(/^rpc_server_in_flight\{.*class="waiting".*\} (\d+)$/m.exec(text)?.[1]);
}

for (const face of ["gRPC", "HTTP"]) {
  test(`a caller has so many streams at the same time, by ${face}, and others as many`, async () => {
    const headers = (address: string) => ({ headers: { "x-forwarded-for": address } });
    const client = clientOf(face);
    const stop = new AbortController();
    const open = async () => {
      const hold = randomUUID();
      const stream = collect(client.count({ count: 1, hold }, { ...headers("198.51.100.1"), signal: stop.signal }));
      stream.catch(() => undefined);
      await running.implementation.held(hold);
      return { hold, stream };
    };
    const [first] = [await open(), await open()];
    const third = () => collect(client.count({ count: 1 }, headers("198.51.100.1")));
    const error = await failure(third());
    const [info] = error.findDetails(ErrorInfoSchema);
    assert.deepEqual([info?.reason, info?.metadata], ["RATE_LIMITED", { limit: "streams" }]);
    await collect(client.count({ count: 1 }, headers("198.51.100.2")));
    running.implementation.release(first.hold);
    await first.stream;
    await third();
    stop.abort();
    await until(async () => (await waiting()) === 0, "all streams have ended");
    await Promise.all([third(), third()]);
  });
}

test("a stream over gRPC that is not read is ended, and one that has nothing to say is not", async () => {
  const session = connectHttp2(`http://127.0.0.1:${running.grpcPort}`, { settings: { initialWindowSize: 0 } });
  const call = (body: Buffer) => {
    const headers = {
      ":method": "POST",
      ":path": `/${service}/Count`,
      "content-type": "application/grpc",
      te: "trailers",
    };
    const stream = session.request(headers);
    stream.end(Buffer.concat([Buffer.of(0, 0, 0, 0, body.length), body]));
    return stream;
  };
  const hold = randomUUID();
  // Field 3, the text; it says one number, for which there is room in the buffers.
  const quiet = call(Buffer.concat([Buffer.of(8, 1, 26, hold.length), Buffer.from(hold)]));
  quiet.on("error", () => undefined);
  // Field 1: 100,000 numbers.
  const unread = call(Buffer.of(8, 0xa0, 0x8d, 6));
  unread.on("error", () => undefined);
  await new Promise((resolve) => unread.once("close", resolve));
  assert.equal(unread.rstCode, 11, "ENHANCE_YOUR_CALM is RESOURCE_EXHAUSTED to clients of gRPC");
  assert.equal(quiet.closed, false);
  session.destroy();
  await until(async () => (await waiting()) === 0, "its place is free");
});

test("an answer over HTTP that is not read ends its connection", async () => {
  const socket = connect(running.httpPort, "127.0.0.1");
  socket.on("error", () => undefined);
  const body = JSON.stringify({ count: 200, itemSize: 20_000, pageSize: 200 });
  const head = `POST /${service}/ListItems HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  const requests = 8;
  socket.write(`${head}${body}`.repeat(requests));
  let received = 0;
  await once(socket, "readable");
  // Nothing more is read until the server has gone.
  const open = await sockets();
  await until(async () => (await sockets()) < open, "the connection has ended");
  socket.on("data", (chunk: Buffer) => (received += chunk.length));
  await once(socket, "close");
  assert.ok(received < requests * 200 * 20_000, `${received} bytes`);
});

/** All sockets of this process, at both ends. */
async function sockets(): Promise<number> {
  const url = `http://127.0.0.1:${running.httpPort}/metrics`;
  const text = await (await fetch(url, { headers: { connection: "close" } })).text();
  return Number(/^nodejs_active_resources\{type="TCPSocketWrap".*\} (\d+)$/m.exec(text)?.[1]);
}

test("a request over HTTP with very many headers is refused", async () => {
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`x-${index}`, "1"]));
  const init = { method: "POST", body: "{}" };
  const headers = { "content-type": "application/json" };
  const url = `http://127.0.0.1:${running.httpPort}/${service}/Echo`;
  const refused = await fetch(url, { ...init, headers: { ...headers, ...many } });
  assert.equal(refused.status, 431);
  assert.match(((await refused.json()) as { message: string }).message, /more than 100 headers/);
  assert.equal((await fetch(url, { ...init, headers })).status, 200);
});

test("a call over gRPC with very many headers is reset, and the next one is answered", async () => {
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x-${index}`, "1"]));
  await failure(clientOf("gRPC").echo({}, { headers: many }));
  await clientOf("gRPC").echo({});
});
