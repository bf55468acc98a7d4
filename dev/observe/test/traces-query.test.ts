import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { traceUrl } from "../../observers/jaeger.ts";
import { edgesOf, type JaegerSpan, type JaegerTrace, linksOf, untilSeen } from "../../observers/jaeger-query.ts";

function span(spanID: string, processID: string, references: JaegerSpan["references"] = []): JaegerSpan {
  return { traceID: "t", spanID, processID, references, operationName: spanID, startTime: 0, duration: 1, tags: [] };
}

const childOf = (spanID: string, traceID = "t") => ({ refType: "CHILD_OF", traceID, spanID });
const linkTo = (spanID: string, traceID: string) => ({ refType: "FOLLOWS_FROM", traceID, spanID });
const processes = { p1: { serviceName: "orders" }, p2: { serviceName: "worker" }, p3: { serviceName: "worker" } };

describe("a trace", () => {
  const trace: JaegerTrace = {
    traceID: "t",
    processes,
    spans: [
      span("a", "p1", [childOf("gone")]),
      span("b", "p2", [childOf("a"), linkTo("x", "other")]),
      span("c", "p3", [childOf("b")]),
      span("d", "p3", [childOf("a")]),
      span("e", "p1", [linkTo("b", "t")]),
    ],
  };

  test("has an edge where a span has its parent in another service, whichever replica that was", () => {
    assert.deepEqual(edgesOf(trace), ["orders → worker"]);
  });

  test("has links to spans of other traces", () => {
    assert.deepEqual(trace.spans.flatMap(linksOf), [{ traceID: "other", spanID: "x" }]);
  });
});

describe("the address of a trace", () => {
  async function addressWith(page: string): Promise<string> {
    const server = createServer((_, answer) => answer.end(page));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      return (await traceUrl(base, "abc")).replace(base, "");
    } finally {
      server.close();
    }
  }

  for (const [name, page, address] of [
    ["the page of a Jaeger that has pages", "<html><title>Jaeger UI</title></html>", "/trace/abc"],
    [
      "the query API's where there are none",
      "<h1>This is not the Jaeger UI you are looking for!</h1>",
      "/api/traces/abc",
    ],
    ["the query API's where nothing is said", "", "/api/traces/abc"],
  ] as const) {
    test(`is ${name}`, async () => assert.equal(await addressWith(page), address));
  }
});

test("what does not come in time fails with the last answer", async () => {
  const never = untilSeen(
    async () => ({ spans: 3 }),
    () => false,
    300,
  );
  await assert.rejects(never, /not within 300 ms; the last answer was \{"spans":3\}/);
});
