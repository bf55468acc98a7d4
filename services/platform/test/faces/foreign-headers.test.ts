// What callers, browsers and proxies put into headers never decides whether a call succeeds.
import assert from "node:assert/strict";
import { connect, constants, type IncomingHttpHeaders } from "node:http2";
import { after, before, describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, createClient, type HandlerContext } from "@connectrpc/connect";
import {
  ConformanceService,
  type EchoRequest,
  EchoRequestSchema,
} from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { requestContext } from "#platform/context.ts";
import { openChannel } from "#platform/grpc/channel.ts";
import { GrpcTransport } from "#platform/grpc/transport.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { Conformance, conformanceDefinition, testEnvironment } from "./conformance.ts";

const echo = `/${ConformanceService.typeName}/Echo`;
/** 24 days: the longest that a timer waits. */
const longestMs = 2 ** 31 - 1;

/** Calls on, as every service does, and keeps what it was told of the caller. */
class CallingOn extends Conformance {
  next: Client<typeof ConformanceService> | undefined;
  seen: { userId: string | undefined; baggage: string | undefined; remainingMs: number } | undefined;

  override async echo(request: EchoRequest, context: HandlerContext) {
    const { userId, baggage } = requestContext();
    const answer = await super.echo(request, context);
    this.seen = { userId, baggage, remainingMs: Number(answer.remainingMs) };
    if (this.next) await this.next.echo({});
    return answer;
  }
}

const callee = new CallingOn();
const implementation = new CallingOn();
let second: RunningService;
let first: RunningService;
let channel: ReturnType<typeof openChannel>;
before(async () => {
  second = await launch(conformanceDefinition(callee), testEnvironment);
  first = await launch(conformanceDefinition(implementation), testEnvironment);
  channel = openChannel(`127.0.0.1:${second.grpcPort}`, 1e6);
  implementation.next = createClient(ConformanceService, new GrpcTransport(channel, { defaultTimeoutMs: 5_000 }));
});
after(async () => {
  channel.close();
  await first.drain();
  await second.drain();
});

type Headers = Readonly<Record<string, string>>;
/** Text as a program sends it that takes no thought: its bytes in UTF-8, which HTTP takes for Latin-1. */
const bytesOf = (text: string) => Buffer.from(text, "utf8").toString("latin1");

/** One call over HTTP; its status. */
async function overHttp(headers: Headers): Promise<number> {
  const all = { "content-type": "application/json", ...headers };
  const response = await fetch(`http://127.0.0.1:${first.httpPort}${echo}`, {
    method: "POST",
    headers: all,
    body: "{}",
  });
  await response.arrayBuffer();
  return response.status;
}

/** One call over gRPC without a client that would refuse to send such headers; its `grpc-status`. */
async function overGrpc(headers: Headers): Promise<string | undefined> {
  const session = connect(`http://127.0.0.1:${first.grpcPort}`);
  const type = { ":method": "POST", ":path": echo, "content-type": "application/grpc", te: "trailers" };
  const stream = session.request({ ...type, ...headers });
  const message = toBinary(EchoRequestSchema, create(EchoRequestSchema));
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
  try {
    return await new Promise((resolve, reject) => {
      const note = (each: IncomingHttpHeaders) =>
        each["grpc-status"] !== undefined && resolve(String(each["grpc-status"]));
      stream.on("response", note).on("trailers", note).on("error", reject).resume();
    });
  } finally {
    session.close();
  }
}

const calls = {
  HTTP: async (headers: Headers) => (await overHttp(headers)) === 200,
  gRPC: async (headers: Headers) => (await overGrpc(headers)) === "0",
};

for (const [face, call] of Object.entries(calls)) {
  describe(`over ${face}`, () => {
    const baggages = [
      { sent: bytesOf("user.id=Jürgen"), userId: "Jürgen", baggage: "user.id=J%C3%BCrgen" },
      { sent: "user.id=J\u00fcrgen", userId: "Jürgen", baggage: "user.id=J%C3%BCrgen" },
      { sent: "user.id=J%C3%BCrgen", userId: "Jürgen", baggage: "user.id=J%C3%BCrgen" },
      { sent: bytesOf("tenant=東京,user.id=u1"), userId: "u1", baggage: "tenant=%E6%9D%B1%E4%BA%AC,user.id=u1" },
      { sent: "user.id=a%00b", userId: undefined, baggage: "user.id=a%00b" },
      { sent: "user.id=%ED%A0%80", userId: "%ED%A0%80", baggage: "user.id=%ED%A0%80" },
      { sent: "a=b\t;c=d", userId: undefined, baggage: "a=b%09;c=d" },
      { sent: "no pair", userId: undefined, baggage: undefined },
    ];
    for (const { sent, ...seen } of baggages) {
      test(`baggage goes on as it can: ${JSON.stringify(sent)}`, async () => {
        callee.seen = undefined;
        assert.ok(await call({ baggage: sent }));
        const { userId, baggage } = callee.seen ?? assert.fail("the call did not go on");
        assert.deepEqual({ userId, baggage }, seen);
      });
    }

    const others: readonly Headers[] = [
      { "x-customer": bytesOf("Žižkov") },
      { "x-request-id": bytesOf("id-ü") },
      { "user-agent": bytesOf("curl/ü") },
      { traceparent: "nonsense" },
      { traceparent: "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
      { tracestate: "=,=,=" },
      { tracestate: "a=b".repeat(400) },
      { "x-odd!name": "a" },
      { "x-bytes-bin": "not base64 ü" },
      { cookie: bytesOf("name=ü") },
      { "grpc-accept-encoding": "zstd,br,unheard-of" },
      { "grpc-previous-rpc-attempts": "99999999999999999999" },
      { "x-forwarded-for": "::ffff:10.0.0.1, unknown, _hidden" },
      { forwarded: 'for="[2001:db8::1]:4711"' },
    ];
    for (const headers of others) {
      test(`succeeds with ${JSON.stringify(headers)}`, async () => {
        const errors: string[] = [];
        const { error } = console;
        console.error = (...parts: unknown[]) => errors.push(parts.join(" "));
        try {
          assert.ok(await call(headers));
        } finally {
          console.error = error;
        }
        assert.deepEqual(errors, [], "grpc-js says on standard error what it could not take");
      });
    }
  });
}

describe("a timeout", () => {
  const legal: readonly { call: typeof calls.HTTP; headers: Headers; atLeastMs: number }[] = [
    { call: calls.HTTP, headers: { "connect-timeout-ms": "9999999999" }, atLeastMs: longestMs - 60_000 },
    { call: calls.HTTP, headers: { "connect-timeout-ms": String(longestMs) }, atLeastMs: longestMs - 60_000 },
    { call: calls.HTTP, headers: { "connect-timeout-ms": "60000" }, atLeastMs: 50_000 },
    { call: calls.gRPC, headers: { "grpc-timeout": "3000000S" }, atLeastMs: longestMs - 60_000 },
    { call: calls.gRPC, headers: { "grpc-timeout": "99999999H" }, atLeastMs: longestMs - 60_000 },
    { call: calls.gRPC, headers: { "grpc-timeout": "35792M" }, atLeastMs: longestMs - 60_000 },
    { call: calls.gRPC, headers: { "grpc-timeout": "2147483S" }, atLeastMs: longestMs - 60_000 },
    { call: calls.gRPC, headers: { "grpc-timeout": "99999999u" }, atLeastMs: 90_000 },
    { call: calls.gRPC, headers: { "grpc-timeout": "60000m" }, atLeastMs: 50_000 },
  ];
  for (const { call, headers, atLeastMs } of legal) {
    test(`is kept or capped: ${JSON.stringify(headers)}`, async () => {
      assert.ok(await call(headers));
      const left = implementation.seen?.remainingMs ?? 0;
      assert.ok(left > atLeastMs && left <= longestMs, `${left}`);
      assert.ok((callee.seen?.remainingMs ?? 0) > atLeastMs - 1000, "what is left goes on to callees");
    });
  }

  test("that is none is refused where the protocol has an error for it, and left out on the gRPC port", async () => {
    for (const value of ["x", "-1", "1.5", "99999999999", ""]) {
      const status = await overHttp({ "connect-timeout-ms": value });
      assert.equal(status, 400, `"${value}"`);
    }
    for (const value of ["x", "-1S", "1", "999999999S", "1s"]) {
      assert.equal(await overGrpc({ "grpc-timeout": value }), "0", value);
      const left = implementation.seen?.remainingMs ?? 0;
      assert.ok(left > 20_000 && left <= 30_000, `the default: ${left}`);
    }
  });
});

describe("streams that are reset as soon as they are opened", () => {
  test("end their connection at most; other callers are served meanwhile", async () => {
    const session = connect(`http://127.0.0.1:${first.grpcPort}`);
    session.on("error", () => undefined);
    const type = { ":method": "POST", ":path": echo, "content-type": "application/grpc", te: "trailers" };
    let opened = 0;
    while (opened < 20_000 && !session.destroyed && !session.closed) {
      for (let burst = 0; burst < 100 && !session.destroyed && !session.closed; burst += 1) {
        const stream = session.request(type);
        stream.on("error", () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
        opened += 1;
      }
      assert.equal(await overGrpc({}), "0");
    }
    session.destroy();
    assert.ok(opened >= 100, `${opened}`);
    assert.ok(opened < 20_000, "the server has ended the connection");
    const metrics = await (await fetch(`http://127.0.0.1:${first.httpPort}/metrics`)).text();
    assert.match(metrics, /^rpc_server_in_flight\S* 0$/m);
  });
});
