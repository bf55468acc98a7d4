// What is no request is refused as such, by the name of the field as the caller spells it, on every face; never as an error of
// ours.
import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { after, before, describe, test } from "node:test";
import { type JsonValue, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import { credentials, Client as GrpcClient, type ServiceError } from "@grpc/grpc-js";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";
import { ConformanceService, EchoRequestSchema } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { fromServiceError } from "#platform/grpc/status.ts";
import { failure } from "./calls.ts";
import { type RunningConformance, startConformance } from "./conformance.ts";
import { faces } from "./faces.ts";

const echo = `/${ConformanceService.typeName}/Echo`;
/** A call of the HTTP port; the answer as Connect's clients understand it. */
interface Post {
  readonly type?: string;
  readonly headers?: Record<string, string>;
  readonly path?: string;
}

let service: RunningConformance;
before(async () => {
  service = await startConformance();
});
after(() => service.drain());

const base = () => `http://127.0.0.1:${service.httpPort}`;

async function post(
  body: string | Uint8Array<ArrayBuffer>,
  { type = "application/json", headers, path = echo }: Post = {},
) {
  const init = { method: "POST", headers: { "content-type": type, ...headers }, body };
  return fetch(`${base()}${path}`, init);
}

async function refusalOf(response: Response): Promise<ConnectError> {
  const body = (await response.json()) as JsonValue;
  return errorFromJson(body, undefined, new ConnectError("no error of Connect", Code.DataLoss));
}

function violationsIn(error: ConnectError) {
  return error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
}

describe("JSON that is no request", () => {
  const cases: readonly { name: string; body: string; field: string; reason: string }[] = [
    { name: "a misspelt key", body: '{"txet":"a"}', field: "txet", reason: "unknown_field" },
    { name: "a key in a list", body: '{"parts":[{},{"txt":"a"}]}', field: "parts[1].txt", reason: "unknown_field" },
    { name: "an enum's unknown name", body: '{"error":"ERROR_KIND_X"}', field: "error", reason: "unknown_enum_value" },
    {
      name: "an enum's unknown name in a list",
      body: '{"parts":[{"kind":"X"}]}',
      field: "parts[0].kind",
      reason: "unknown_enum_value",
    },
    { name: "a text for a number", body: '{"payloadBytes":"many"}', field: "payloadBytes", reason: "malformed" },
    { name: "a number too large", body: '{"payload_bytes":2147483648}', field: "payload_bytes", reason: "malformed" },
    { name: "a number for a text", body: '{"parts":[{"text":1}]}', field: "parts[0].text", reason: "malformed" },
    { name: "an object for a list", body: '{"parts":{}}', field: "parts", reason: "malformed" },
    { name: "half of a character", body: '{"text":"\\ud83d"}', field: "text", reason: "malformed" },
    { name: "a time after all times", body: '{"time":"10000-01-01T00:00:00Z"}', field: "time", reason: "malformed" },
    { name: "a duration of too long", body: '{"duration":"315576000001s"}', field: "duration", reason: "malformed" },
    { name: "a rule that is broken", body: '{"payloadBytes":-1}', field: "payloadBytes", reason: "int32.gte_lte" },
  ];
  for (const { name, body, field, reason } of cases) {
    test(`is refused by the field: ${name}`, async () => {
      const response = await post(body);
      assert.equal(response.status, 400);
      const error = await refusalOf(response);
      assert.equal(error.code, Code.InvalidArgument);
      assert.ok(error.rawMessage.startsWith(`${field}: `), error.rawMessage);
      const [violation] = violationsIn(error);
      assert.deepEqual([violation?.field, violation?.reason], [field, reason]);
    });
  }

  test("is refused with what is at hand when no field can be named", async () => {
    for (const body of [
      "{",
      "[]",
      "null",
      "1",
      '{"text":"a","text":"b"}',
      '{"text":"a","\\u0074ext":"b"}',
      "\ufeff{",
    ]) {
      const error = await refusalOf(await post(body));
      assert.equal(error.code, Code.InvalidArgument, body);
    }
    const bytes = Buffer.concat([Buffer.from('{"text":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    assert.equal((await refusalOf(await post(bytes))).code, Code.InvalidArgument);
    const deep = await post(`{"parts":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
    assert.equal((await refusalOf(deep)).code, Code.InvalidArgument);
  });

  test("shows neither the number of a card nor more than some lines of it", async () => {
    const error = await refusalOf(await post(`{"4111 1111 1111 1111":1}`));
    assert.ok(!JSON.stringify([error.rawMessage, violationsIn(error)]).includes("4111"), error.rawMessage);
    const long = await post(`{"${"k".repeat(100_000)}":1}`);
    assert.ok((await long.text()).length < 2_000);
  });

  test("is refused in the query of a read, too", async () => {
    const message = encodeURIComponent('{"cuont":1}');
    const response = await fetch(`${base()}/${ConformanceService.typeName}/ListItems?encoding=json&message=${message}`);
    assert.equal(violationsIn(await refusalOf(response))[0]?.field, "cuont");
    const wrong = encodeURIComponent('{"itemSize":-1}');
    const broken = await fetch(`${base()}/${ConformanceService.typeName}/ListItems?encoding=json&message=${wrong}`);
    assert.equal(violationsIn(await refusalOf(broken))[0]?.field, "itemSize");
  });

  test("is refused as gRPC-Web with JSON and as a stream of Connect with JSON", async () => {
    const json = Buffer.from('{"txet":"a"}');
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, json.length]), json]);
    const web = await (await post(frame, { type: "application/grpc-web+json" })).text();
    assert.match(web, /grpc-status: ?3\r\n/i);
    assert.match(decodeURIComponent(web), /key "txet" is unknown/);
    const path = `/${ConformanceService.typeName}/Count`;
    const stream = await (await post(frame, { type: "application/connect+json", path })).text();
    assert.match(stream, /"code":"invalid_argument".*txet/);
  });
});

describe("bytes that are no request", () => {
  // Field 1 is a text: half of a character in UTF-8, more bytes than there are.
  const cases = { "half of a character": [10, 3, 237, 160, 128], "a cut field": [10, 9, 97] };
  for (const [name, bytes] of Object.entries(cases)) {
    test(`are refused on both ports: ${name}`, async () => {
      const wrong = Buffer.from(bytes);
      const connect = await post(wrong, { type: "application/proto" });
      assert.equal(connect.status, 400);
      assert.match((await refusalOf(connect)).rawMessage, /^the request is no ordermesh\.testing\.v1\.EchoRequest: /);
      const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, wrong.length]), wrong]);
      const web = await (await post(frame, { type: "application/grpc-web+proto" })).text();
      assert.match(web, /grpc-status: ?3\r\n/i);
      const path = `/${ConformanceService.typeName}/Count`;
      assert.match(await (await post(frame, { type: "application/connect+proto", path })).text(), /"invalid_argument"/);
      assert.equal((await overGrpc("Echo", wrong)).code, Code.InvalidArgument);
      assert.equal((await overGrpc("Count", wrong)).code, Code.InvalidArgument);
      assert.equal((await overGrpc("Sum", wrong)).code, Code.InvalidArgument);
      assert.equal((await overGrpc("Accumulate", wrong)).code, Code.InvalidArgument);
    });
  }

  test("are taken with fields that are not known yet: those of a newer contract", async () => {
    const known = toBinary(EchoRequestSchema, { ...emptyEcho, text: "a" });
    const newer = Buffer.concat([known, Buffer.from([0xf8, 0x3f, 1])]);
    assert.equal((await post(newer, { type: "application/proto" })).status, 200);
    await assert.rejects(overGrpc("Echo", newer), /the call succeeded/);
  });

  async function overGrpc(method: string, bytes: Buffer): Promise<ConnectError> {
    const client = new GrpcClient(`127.0.0.1:${service.grpcPort}`, credentials.createInsecure());
    const same = (buffer: Buffer) => buffer;
    try {
      const error = await new Promise<ServiceError | undefined>((resolve) => {
        const call = client.makeBidiStreamRequest(`/${ConformanceService.typeName}/${method}`, same, same);
        call.on("error", resolve).on("end", () => resolve(undefined));
        call.resume().end(bytes);
      });
      if (!error) throw new Error("the call succeeded");
      return fromServiceError(error);
    } finally {
      client.close();
    }
  }
});

const emptyEcho = {
  $typeName: EchoRequestSchema.typeName,
  ...{
    text: "",
    payloadBytes: 0,
    payload: new Uint8Array(),
    error: 0,
    hold: "",
    stubborn: false,
    rests: false,
    parts: [],
  },
} as const;

describe("times that are none", () => {
  const year10000 = 253_402_300_800n;
  const cases = [
    { wrong: { time: { seconds: 9_000_000_000_000n, nanos: 0 } }, field: "time" },
    { wrong: { time: { seconds: year10000, nanos: 0 } }, field: "time" },
    { wrong: { time: { seconds: -62_135_596_801n, nanos: 0 } }, field: "time" },
    { wrong: { time: { seconds: 0n, nanos: -1 } }, field: "time" },
    { wrong: { time: { seconds: 0n, nanos: 1_000_000_000 } }, field: "time" },
    { wrong: { duration: { seconds: 315_576_000_001n, nanos: 0 } }, field: "duration" },
    { wrong: { duration: { seconds: 1n, nanos: -1 } }, field: "duration" },
    { wrong: { duration: { seconds: 0n, nanos: -1_000_000_000 } }, field: "duration" },
    { wrong: { parts: [{}, { time: { seconds: year10000, nanos: 0 } }] }, field: "parts[1].time" },
  ];
  // JSON has no way to say them but as texts, which are above.
  for (const face of faces.filter(({ name }) => name !== "Connect, JSON")) {
    test(`are refused by the name of the field: ${face.name}`, async () => {
      const { transport, close } = face.transport(service);
      for (const { wrong, field } of cases) {
        const error = await failure(createClient(ConformanceService, transport).echo(wrong));
        assert.equal(error.code, Code.InvalidArgument, error.message);
        assert.deepEqual(
          violationsIn(error).map((violation) => [violation.field, violation.reason]),
          [[field, "time_range"]],
        );
      }
      close();
    });
  }

  test("leave the first and the last one that are", async () => {
    await withEach(async (transport) => {
      const client = createClient(ConformanceService, transport);
      await client.echo({
        time: { seconds: -62_135_596_800n, nanos: 0 },
        duration: { seconds: -315_576_000_000n, nanos: 0 },
      });
      await client.echo({
        time: { seconds: year10000 - 1n, nanos: 999_999_999 },
        duration: { seconds: -1n, nanos: -1 },
      });
    });
  });

  async function withEach(work: (transport: Transport) => Promise<void>): Promise<void> {
    for (const face of faces) {
      const { transport, close } = face.transport(service);
      await work(transport);
      close();
    }
  }
});

describe("what is no call", () => {
  test("gets an error of Connect's form", async () => {
    const wrongs = [
      { response: post("{}", { path: "/nothing" }), status: 404, message: /nothing at this path/ },
      { response: post("{}", { type: "text/plain" }), status: 415, message: /"text\/plain" is not served/ },
      { response: fetch(`${base()}${echo}`), status: 405, message: /made by POST, not by GET/ },
      {
        response: post("", { type: "application/connect+json", path: `/${ConformanceService.typeName}/Accumulate` }),
        status: 505,
        message: /gRPC has/,
      },
    ];
    for (const { response, status, message } of wrongs) {
      const answer = await response;
      assert.equal(answer.status, status);
      const error = await refusalOf(answer);
      assert.deepEqual([error.code, message.test(error.rawMessage)], [Code.Unimplemented, true], error.rawMessage);
    }
  });

  /** Everything that the server answers to some bytes until it closes the connection. */
  function raw(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = "";
      const socket = connectTcp(service.httpPort, "127.0.0.1", () => socket.write(text));
      socket.setEncoding("utf8").on("data", (part: string) => {
        answer += part;
      });
      socket.on("end", () => resolve(answer)).on("error", reject);
    });
  }

  test("is served when the name of the host is none, or is not said", async () => {
    const rest = "Content-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    for (const host of ["Host: [\r\n", "Host: a b^c\r\n", "Host: a:99999\r\n", "Host: \r\n"]) {
      assert.match(await raw(`POST ${echo} HTTP/1.1\r\n${host}${rest}`), /^HTTP\/1\.1 200 OK/);
    }
    assert.match(await raw(`POST ${echo} HTTP/1.0\r\n${rest}`), /^HTTP\/1\.1 200 OK/);
  });
});
