// The gRPC face as a client sees it that knows nothing of Connect: grpc-js with the method definitions of the protos.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { create, fromBinary, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import {
  AccumulateRequestSchema,
  ConformanceService,
  CountRequestSchema,
  EchoRequestSchema,
  type EchoResponse,
  ErrorKind,
  SumRequestSchema,
} from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { methodDefinition } from "#platform/grpc/codec.ts";
import { hiddenText, type RunningConformance, startConformance } from "./conformance.ts";

const { echo, count, sum, accumulate } = ConformanceService.method;

interface Answer {
  error: grpc.ServiceError | null;
  message: EchoResponse | undefined;
  header: grpc.Metadata | undefined;
  status: grpc.StatusObject;
}

describe("gRPC, bare grpc-js client", () => {
  let service: RunningConformance;
  let client: grpc.Client;
  before(async () => {
    service = await startConformance();
    client = new grpc.Client(`127.0.0.1:${service.grpcPort}`, grpc.credentials.createInsecure());
  });
  after(async () => {
    client.close();
    await service.drain();
  });

  function start(init: MessageInitShape<typeof EchoRequestSchema>, metadata = new grpc.Metadata(), options = {}) {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(echo);
    const answer: Partial<Answer> = {};
    const ended = Promise.withResolvers<Answer>();
    const request: Message = create(EchoRequestSchema, init);
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      options,
      (error, message) => {
        Object.assign(answer, { error, message });
      },
    );
    call.on("metadata", (header) => Object.assign(answer, { header }));
    call.on("status", (status) => ended.resolve(Object.assign(answer, { status }) as Answer));
    return { call, ended: ended.promise };
  }

  test("success, headers and trailers", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("x-ask", "why");
    const { error, message, header, status } = await start({ text: "hello" }, metadata).ended;
    assert.equal(error, null);
    assert.equal(message?.text, "hello");
    assert.deepEqual(header?.get("x-answer"), ["why"]);
    assert.deepEqual(status.metadata.get("x-after"), ["why"]);
    assert.deepEqual(status.metadata.get("x-after-bin"), [Buffer.from("why")]);
  });

  test("typed error in grpc-status-details-bin", async () => {
    const { error } = await start({ error: ErrorKind.DOMAIN }).ended;
    assert.equal(error?.code, grpc.status.ALREADY_EXISTS);
    assert.equal(error.details, "no, because äöü");
    const details = error.metadata.get("grpc-status-details-bin")[0];
    assert.ok(details instanceof Buffer);
    const status = fromBinary(StatusSchema, details);
    assert.equal(status.code, grpc.status.ALREADY_EXISTS);
    const [any] = status.details;
    assert.equal(any && anyUnpack(any, ErrorInfoSchema)?.reason, "REQUEST_ID_REUSED");
  });

  test("an internal error says nothing", async () => {
    const { error, status } = await start({ error: ErrorKind.INTERNAL }).ended;
    assert.equal(error?.code, grpc.status.INTERNAL);
    assert.equal(error.details, "internal error");
    assert.ok(!JSON.stringify(status).includes(hiddenText));
  });

  test("deadline", async (t) => {
    const { error } = await start({ hold: t.fullName }, new grpc.Metadata(), { deadline: Date.now() + 100 }).ended;
    assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED);
    // The client's clock runs out a moment before the server's; what the server sees first may be the cancellation.
    assert.match(await service.implementation.gone(t.fullName), /deadline passed|cancelled/);
  });

  test("cancellation", async (t) => {
    const { call, ended } = start({ hold: t.fullName });
    await service.implementation.held(t.fullName);
    call.cancel();
    assert.equal((await ended).error?.code, grpc.status.CANCELLED);
    assert.equal(await service.implementation.gone(t.fullName), "the caller cancelled the call");
  });

  test("server stream", async () => {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(count);
    const request: Message = create(CountRequestSchema, { count: 3, error: ErrorKind.DOMAIN });
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    const received: unknown[] = [];
    call.on("data", (message) => received.push(message.number));
    const [error] = await once(call, "error");
    assert.deepEqual(received, [1, 2, 3]);
    assert.equal(error.code, grpc.status.ALREADY_EXISTS);
  });

  test("client stream", async () => {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(sum);
    const answer = Promise.withResolvers<unknown>();
    const done = (error: Error | null, message?: unknown) => (error ? answer.reject(error) : answer.resolve(message));
    const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, done);
    for (const number of [1, 2, 39]) call.write(create(SumRequestSchema, { number }));
    call.end();
    assert.equal(((await answer.promise) as { sum: bigint }).sum, 42n);
  });

  test("bidirectional stream, cancelled by the client", async () => {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(accumulate);
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    call.write(create(AccumulateRequestSchema, { number: 5 }));
    const [message] = await once(call, "data");
    assert.equal(message.sum, 5n);
    call.cancel();
    const [error] = await once(call, "error");
    assert.equal(error.code, grpc.status.CANCELLED);
  });

  test("an unknown method", async () => {
    const { requestSerialize, responseDeserialize } = methodDefinition(echo);
    const request: Message = create(EchoRequestSchema);
    const path = "/ordermesh.testing.v1.ConformanceService/Nothing";
    const failed = Promise.withResolvers<grpc.ServiceError | null>();
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error) => failed.resolve(error));
    assert.equal((await failed.promise)?.code, grpc.status.UNIMPLEMENTED);
  });
});
