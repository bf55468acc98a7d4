import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { DomainError, PlatformError, toConnectError, toFailure } from "#platform/errors.ts";

const { OVERLOADED, REQUEST_ID_REUSED } = PlatformErrorReason;

function withCode(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

test("a refusal knows its reason by number and by name", () => {
  const error = new PlatformError(REQUEST_ID_REUSED, "used before", { request_id: "r" });
  assert.ok(error instanceof DomainError && error instanceof Error);
  assert.equal(error.reason, REQUEST_ID_REUSED);
  assert.equal(error.reasonName, "REQUEST_ID_REUSED");
  assert.equal(error.name, "PlatformError");
  assert.equal(error.code, Code.AlreadyExists);
});

test("a refusal is told with its facts and the time to come back", () => {
  const error = toConnectError(new PlatformError(OVERLOADED, "later", { queue: "q" }, { retryAfterMs: 2_250 }));
  assert.equal(error.code, Code.ResourceExhausted);
  assert.equal(error.details.length, 2);
  const [info, retry] = error.details;
  assert.ok(info && "desc" in info && retry && "desc" in retry);
  assert.equal(info.desc, ErrorInfoSchema);
  assert.deepEqual(info.value, { reason: "OVERLOADED", domain: "platform.shop", metadata: { queue: "q" } });
  assert.equal(retry.desc, RetryInfoSchema);
  assert.deepEqual(retry.value, { retryDelay: { seconds: 2n, nanos: 250_000_000 } });
});

test("what another service said is told with details that can be read, and those of strangers as they are", () => {
  const answered = new ConnectError("no", Code.AlreadyExists);
  const value = { reason: "REQUEST_ID_REUSED", domain: "platform.shop", metadata: { request_id: "r" } };
  const stranger = { type: "example.Stranger", value: new Uint8Array([1]) };
  const bytes = toBinary(ErrorInfoSchema, create(ErrorInfoSchema, value));
  answered.details = [{ type: ErrorInfoSchema.typeName, value: bytes }, stranger];
  const told = toConnectError(answered);
  const [info, other] = told.details;
  assert.ok(info && "desc" in info);
  assert.equal(info.desc, ErrorInfoSchema);
  assert.partialDeepStrictEqual(info.value, value);
  assert.equal(other, stranger);
});

describe("what is not a refusal", () => {
  const cases: readonly [string, unknown, Code][] = [
    ["serialization failure", withCode("40001"), Code.Aborted],
    ["deadlock, wrapped", new Error("wrapped", { cause: withCode("40P01") }), Code.Aborted],
    ["lock not available", withCode("55P03"), Code.Aborted],
    ["optimistic lock", Object.assign(new Error("version"), { name: "OptimisticLockError" }), Code.Aborted],
    ["connection refused", withCode("ECONNREFUSED"), Code.Unavailable],
    ["admin shutdown", withCode("57P01"), Code.Unavailable],
    ["crash shutdown", withCode("57P02"), Code.Unavailable],
    ["cannot connect now: it starts, or recovers", withCode("57P03"), Code.Unavailable],
    ["read-only transaction, as after a failover", withCode("25006"), Code.Unavailable],
    ["read-only transaction, wrapped", new Error("wrapped", { cause: withCode("25006") }), Code.Unavailable],
    ["too many connections", withCode("53300"), Code.Unavailable],
    ["disk full", withCode("53100"), Code.Unavailable],
    ["statement timeout", withCode("57014"), Code.Unavailable],
    ["no active transaction: a fault in the code", withCode("25P01"), Code.Internal],
    ["connection exception", withCode("08006"), Code.Unavailable],
    ["protocol violation", withCode("08P01"), Code.Unavailable],
    ["connection terminated", new Error("Connection terminated unexpectedly"), Code.Unavailable],
    ["a NUL in a text", withCode("22021"), Code.InvalidArgument],
    ["a NUL in JSON", new Error("wrapped", { cause: withCode("22P05") }), Code.InvalidArgument],
    ["abort", new DOMException("stopped", "AbortError"), Code.Canceled],
    ["timeout", new DOMException("late", "TimeoutError"), Code.DeadlineExceeded],
    ["a fault in the code", new TypeError("x is not a function"), Code.Internal],
    ["something that is no error", "oops", Code.Internal],
  ];
  for (const [name, thrown, code] of cases) {
    test(name, () => {
      const error = toConnectError(thrown);
      assert.equal(error.code, code);
      const passes = code === Code.Unavailable || code === Code.Aborted;
      assert.equal(error.findDetails(RetryInfoSchema).length, passes ? 1 : 0, "when to come back");
    });
  }

  test("an internal error says nothing, and keeps its cause for the log", () => {
    const cause = new Error("the password is hunter2");
    const error = toConnectError(cause);
    assert.equal(error.rawMessage, "internal error");
    assert.equal(error.details.length, 0);
    assert.equal(error.cause, cause);
  });

  test("causes that point at each other do not hang", () => {
    const error = new Error("a");
    error.cause = new Error("b", { cause: error });
    assert.equal(toConnectError(error).code, Code.Internal);
  });

  test("a ConnectError stays what it is", () => {
    const error = new ConnectError("no", Code.NotFound);
    error.details = [{ desc: BadRequestSchema, value: {} }];
    assert.equal(toConnectError(error), error);
  });
});

describe("outcomes of a list", () => {
  test("a refusal that blames the entry", () => {
    const failure = toFailure(new PlatformError(REQUEST_ID_REUSED, "used before", { request_id: "r" }));
    assert.equal(failure.code, Code.AlreadyExists);
    assert.equal(failure.reason, "REQUEST_ID_REUSED");
    assert.equal(failure.domain, "platform.shop");
    assert.deepEqual(failure.metadata, { request_id: "r" });
  });

  test("a refusal of another service", () => {
    const error = new ConnectError("no", Code.NotFound, undefined, [
      { desc: ErrorInfoSchema, value: { reason: "UNKNOWN_SKU", domain: "inventory.shop", metadata: { sku: "A" } } },
    ]);
    const failure = toFailure(error);
    assert.deepEqual([failure.reason, failure.domain, failure.message], ["UNKNOWN_SKU", "inventory.shop", "no"]);
  });

  for (const error of [
    new PlatformError(OVERLOADED, "later"),
    new ConnectError("away", Code.Unavailable),
    withCode("40001"),
    new TypeError("x"),
  ]) {
    test(`${error.message} fails the whole list`, () => {
      assert.throws(
        () => toFailure(error),
        (thrown) => thrown === error,
      );
    });
  }
});
