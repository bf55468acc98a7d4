// One implementation behaves alike in every protocol.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ConformanceService, ErrorKind } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { collect, failure, numbers } from "./calls.ts";
import { hiddenText, type RunningConformance, startConformance } from "./conformance.ts";
import { type Face, faces, largeBytes, limitBytes } from "./faces.ts";

function unaryCases(
  face: Face,
  client: () => Client<typeof ConformanceService>,
  service: () => RunningConformance,
): void {
  test("success", async () => {
    const answer = await client().echo({ text: "grüße", payloadBytes: 3 });
    assert.equal(answer.text, "grüße");
    assert.deepEqual([...answer.payload], [0, 0, 0]);
    assert.ok(answer.remainingMs > 0n, "a call without a deadline gets the default one");
  });

  test("headers and trailers", async () => {
    const seen: Record<string, string | null> = {};
    await client().echo(
      {},
      {
        headers: { "x-ask": "why", "x-request-id": "caller-1" },
        onHeader: (header) => Object.assign(seen, { header: header.get("x-answer") }),
        onTrailer: (trailer) =>
          Object.assign(seen, { trailer: trailer.get("x-after"), binary: trailer.get("x-after-bin") }),
      },
    );
    assert.equal(seen.header, "why");
    assert.equal(seen.trailer, "why");
    assert.equal(Buffer.from(seen.binary ?? "", "base64").toString(), "why");
  });

  test("the caller's request id", async () => {
    const answer = await client().echo({}, { headers: { "x-request-id": "caller-1" } });
    assert.equal(answer.requestId, "caller-1");
  });

  test("typed error", async () => {
    const error = await failure(client().echo({ error: ErrorKind.DOMAIN }));
    assert.equal(error.code, Code.AlreadyExists);
    assert.equal(error.rawMessage, "no, because äöü");
    const [info] = error.findDetails(ErrorInfoSchema);
    assert.equal(info?.reason, "REQUEST_ID_REUSED");
    assert.equal(info.domain, "testing.ordermesh");
    assert.deepEqual(info.metadata, { sku: "A-1" });
  });

  test("an error tells when to come back", async () => {
    const error = await failure(client().echo({ error: ErrorKind.OVERLOADED }));
    assert.equal(error.code, Code.ResourceExhausted);
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    assert.deepEqual([delay?.seconds, delay?.nanos], [1n, 500_000_000]);
  });

  test("a conflict in the database may be repeated", async () => {
    const error = await failure(client().echo({ error: ErrorKind.CONFLICT }));
    assert.equal(error.code, Code.Aborted);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "CONFLICT");
    assert.equal(error.findDetails(RetryInfoSchema).length, 1);
  });

  test("an internal error says nothing", async () => {
    const error = await failure(client().echo({ error: ErrorKind.INTERNAL }));
    assert.equal(error.code, Code.Internal);
    assert.equal(error.rawMessage, "internal error");
    assert.ok(!JSON.stringify([error.details, ...error.metadata]).includes(hiddenText));
  });

  test("validation names every wrong field as the caller spells it", async () => {
    const error = await failure(client().echo({ text: "x".repeat(65), payloadBytes: -1 }));
    assert.equal(error.code, Code.InvalidArgument);
    const fields = error.findDetails(BadRequestSchema)[0]?.fieldViolations.map((violation) => violation.field);
    assert.deepEqual(fields, ["text", face.json ? "payloadBytes" : "payload_bytes"]);
    assert.match(error.rawMessage, face.json ? /; payloadBytes: / : /; payload_bytes: /);
  });

  test("the number of a payment card is refused, and told nobody", async () => {
    const error = await failure(client().echo({ text: "it is 4111 1111 1111 1111" }));
    assert.equal(error.code, Code.InvalidArgument);
    const [violation] = error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [];
    assert.deepEqual([violation?.field, violation?.reason], ["text", "card_number"]);
    assert.match(error.rawMessage, /^text: must not hold the number of a payment card; pay with a card token$/);
    assert.doesNotMatch(JSON.stringify([error.details, ...error.metadata]), /1111/);
  });

  test("deadline", async (t) => {
    const error = await failure(client().echo({ hold: t.fullName }, { timeoutMs: 100 }));
    assert.equal(error.code, Code.DeadlineExceeded);
    // On HTTP/1.1 the client closes the connection at the same moment, and either may come first.
    assert.ok(await service().implementation.gone(t.fullName));
  });

  test("deadline that the implementation ignores", async (t) => {
    const error = await failure(client().echo({ hold: t.fullName, stubborn: true }, { timeoutMs: 100 }));
    assert.equal(error.code, Code.DeadlineExceeded);
    service().implementation.release(t.fullName);
  });

  test("cancellation reaches the implementation", async (t) => {
    const controller = new AbortController();
    const call = failure(client().echo({ hold: t.fullName }, { signal: controller.signal }));
    await service().implementation.held(t.fullName);
    controller.abort();
    assert.equal((await call).code, Code.Canceled);
    assert.ok(await service().implementation.gone(t.fullName));
  });

  test("large messages", async () => {
    const answer = await client().echo({ payload: new Uint8Array(largeBytes), payloadBytes: largeBytes });
    assert.equal(answer.receivedBytes, largeBytes);
    assert.equal(answer.payload.length, largeBytes);
  });

  test("a request over the limit", async () => {
    const error = await failure(client().echo({ payload: new Uint8Array(limitBytes + 1) }));
    assert.equal(error.code, Code.ResourceExhausted);
  });

  test("an answer over the limit", async () => {
    const error = await failure(client().echo({ payloadBytes: limitBytes + 1 }));
    assert.equal(error.code, Code.ResourceExhausted);
  });
}

function streamCases(
  face: Face,
  client: () => Client<typeof ConformanceService>,
  service: () => RunningConformance,
): void {
  test("server stream with headers and trailers", async () => {
    const seen: Record<string, string | null> = {};
    const messages = client().count(
      { count: 2500 },
      {
        onHeader: (header) => Object.assign(seen, { header: header.get("x-answer") }),
        onTrailer: (trailer) => Object.assign(seen, { trailer: trailer.get("x-after") }),
      },
    );
    const all = await collect(messages);
    assert.equal(all.length, 2500);
    assert.equal(all.at(-1)?.number, 2500);
    assert.deepEqual(seen, { header: "count", trailer: "2500" });
  });

  test("server stream without messages", async () => {
    assert.deepEqual(await collect(client().count({ count: 0 })), []);
  });

  test("server stream that ends with an error", async () => {
    const got: number[] = [];
    const read = async () => {
      for await (const { number } of client().count({ count: 3, error: ErrorKind.DOMAIN })) got.push(number);
    };
    const error = await failure(read());
    assert.deepEqual(got, [1, 2, 3]);
    assert.equal(error.code, Code.AlreadyExists);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "REQUEST_ID_REUSED");
  });

  test("validation of a stream's request", async () => {
    const error = await failure(collect(client().count({ count: -1 })));
    assert.equal(error.code, Code.InvalidArgument);
    assert.equal(error.findDetails(BadRequestSchema).length, 1);
  });

  test("deadline of a stream", async (t) => {
    const error = await failure(collect(client().count({ count: 1, hold: t.fullName }, { timeoutMs: 100 })));
    assert.equal(error.code, Code.DeadlineExceeded);
    // On HTTP/1.1 the client closes the connection at the same moment, and either may come first.
    assert.ok(await service().implementation.gone(t.fullName));
  });

  test("cancellation of a stream", async (t) => {
    const controller = new AbortController();
    const messages = client().count({ count: 1, hold: t.fullName }, { signal: controller.signal });
    const call = failure(collect(messages));
    await service().implementation.held(t.fullName);
    controller.abort();
    assert.equal((await call).code, Code.Canceled);
    assert.ok(await service().implementation.gone(t.fullName));
  });

  test("client stream", async () => {
    assert.equal((await client().sum(numbers(1, 2, 39))).sum, 42n);
  });

  test("validation inside a client stream", async () => {
    const error = await failure(client().sum(numbers(1, -1)));
    assert.equal(error.code, Code.InvalidArgument);
  });

  const skip = !face.duplex && "HTTP/1.1 cannot";
  test("bidirectional stream", { skip }, async () => {
    const sums = await collect(client().accumulate(numbers(1, 2, 3)));
    assert.deepEqual(
      sums.map(({ sum }) => sum),
      [1n, 3n, 6n],
    );
  });

  test("bidirectional stream in turns", { skip }, async () => {
    const received: (() => void)[] = [];
    async function* inTurns() {
      for (const number of [1, 2, 3]) {
        const answered = new Promise<void>((resolve) => received.push(resolve));
        yield { number };
        await answered;
      }
    }
    const sums: bigint[] = [];
    for await (const { sum } of client().accumulate(inTurns())) {
      sums.push(sum);
      received.shift()?.();
    }
    assert.deepEqual(sums, [1n, 3n, 6n]);
  });
}

for (const face of faces) {
  describe(face.name, () => {
    let service: RunningConformance;
    let opened: ReturnType<Face["transport"]>;
    let client: Client<typeof ConformanceService>;
    before(async () => {
      service = await startConformance({ MAX_MESSAGE_BYTES: String(limitBytes) });
      opened = face.transport(service);
      client = createClient(ConformanceService, opened.transport);
    });
    after(async () => {
      opened.close();
      await service.drain();
    });
    unaryCases(
      face,
      () => client,
      () => service,
    );
    streamCases(
      face,
      () => client,
      () => service,
    );
  });
}
