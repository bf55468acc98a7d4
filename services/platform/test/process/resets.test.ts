// Callers that open calls and reset them at once, as many as they can: on both ports of a process, whose memory is small and whose log is looked at.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { describe, test } from "node:test";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { ConformanceService, EchoRequestSchema } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { until } from "#testing/until.ts";
import { connect, Fixture } from "./fixture.ts";

const path = `/${ConformanceService.typeName}/Echo`;
const grpcHeaders = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
const request = create(EchoRequestSchema, { payloadBytes: 1_000 });
const json = toJsonString(EchoRequestSchema, request);
/** As gRPC sends it: after whether it is compressed, and its length. */
const bytes = toBinary(EchoRequestSchema, request);
const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, bytes.length]), bytes]);
/** More than a server should ever take of one connection. */
const many = 20_000;

/** Opens streams on one connection and resets each, until the server ends the connection or it was enough. Returns how many. */
async function resetStreams(port: number, othersAreServed: () => Promise<void>): Promise<number> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  let opened = 0;
  while (opened < many && !session.destroyed && !session.closed) {
    for (let burst = 0; burst < 100 && !session.destroyed && !session.closed; burst += 1) {
      const stream = session.request(grpcHeaders);
      stream.on("error", () => undefined);
      stream.write(frame);
      stream.close(constants.NGHTTP2_CANCEL);
      opened += 1;
    }
    await othersAreServed();
  }
  session.destroy();
  return opened;
}

/** Sends a request over HTTP/1.1 and is gone, some in the middle of the body. */
async function abortRequest(port: number, whole: boolean): Promise<void> {
  const socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n`;
  socket.write(`${head}${whole ? json : json.slice(0, 5)}`);
  await new Promise((resolve) => setImmediate(resolve));
  socket.resetAndDestroy();
}

describe("calls that are reset as soon as they are made", () => {
  test("are bounded, leave nothing, and are no errors", async () => {
    // If some kilobytes of each were kept, the process would not live to the end.
    await using fixture = new Fixture({ NODE_OPTIONS: "--max-old-space-size=72" });
    using connected = await connect(fixture);
    const grpcPort = Number(connected.ports["server.grpc.port"]);
    const httpPort = Number(connected.ports["server.http.port"]);
    const metric = async (name: string) => {
      const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
      const lines = [...text.matchAll(new RegExp(`^${name}(?:{.*})? (\\S+)$`, "gm"))];
      return lines.reduce((sum, [, value]) => sum + Number(value), 0);
    };
    const othersAreServed = async () => {
      assert.equal((await connected.client.echo({ text: "served" })).text, "served");
    };
    const storm = async () => {
      for (let connection = 0; connection < 4; connection += 1) {
        const opened = await resetStreams(grpcPort, othersAreServed);
        assert.ok(opened >= 100 && opened < many, `the server ends a connection after ${opened} resets`);
        await Promise.all(Array.from({ length: 50 }, (_, index) => abortRequest(httpPort, index % 2 === 0)));
        await othersAreServed();
      }
      await until(async () => (await metric("rpc_server_in_flight")) === 0, "no call is left");
    };
    for (let round = 0; round < 2; round += 1) await storm();
    const errors = fixture.lines.filter((line) => JSON.parse(line)["log.level"] === "error");
    assert.deepEqual(errors.slice(0, 3), []);
    fixture.child.kill("SIGTERM");
    assert.equal(await fixture.exit, 0);
  });
});
