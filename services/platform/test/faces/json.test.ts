// The HTTP face as `curl` uses it, and what it tells operators.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hiddenText, type RunningConformance, startConformance } from "./conformance.ts";

describe("plain JSON over HTTP", () => {
  let service: RunningConformance;
  before(async () => {
    service = await startConformance({ MAX_INFLIGHT: "2" });
  });
  after(() => service.drain());

  const url = (path: string) => `http://127.0.0.1:${service.httpPort}${path}`;

  function post(method: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    const headers = { "content-type": "application/json", ...init.headers };
    const path = `/ordermesh.testing.v1.ConformanceService/${method}`;
    return fetch(url(path), { ...init, method: "POST", body: JSON.stringify(body), headers });
  }

  test("success, headers and trailers", async () => {
    const response = await post("Echo", { text: "hello" }, { headers: { "x-ask": "why", "x-request-id": "curl-1" } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("x-answer"), "why");
    assert.equal(response.headers.get("trailer-x-after"), "why");
    const { text, requestId } = (await response.json()) as Record<string, unknown>;
    assert.deepEqual({ text, requestId }, { text: "hello", requestId: "curl-1" });
  });

  const errors = [
    { error: "ERROR_KIND_DOMAIN", status: 409, code: "already_exists", reason: "REQUEST_ID_REUSED" },
    { error: "ERROR_KIND_OVERLOADED", status: 429, code: "resource_exhausted", reason: "OVERLOADED" },
    { error: "ERROR_KIND_CONFLICT", status: 409, code: "aborted", reason: "CONFLICT" },
  ];
  for (const { error, status, code, reason } of errors) {
    test(`typed error ${code}, its details readable`, async () => {
      const response = await post("Echo", { error });
      assert.equal(response.status, status);
      const body = (await response.json()) as { code: string; details: { type: string; debug: { reason: string } }[] };
      assert.equal(body.code, code);
      assert.equal(body.details[0]?.type, "google.rpc.ErrorInfo");
      assert.equal(body.details[0].debug.reason, reason);
    });
  }

  test("an internal error says nothing", async () => {
    const response = await post("Echo", { error: "ERROR_KIND_INTERNAL" });
    assert.equal(response.status, 500);
    const text = await response.text();
    assert.ok(text.includes("internal error") && !text.includes(hiddenText));
  });

  test("validation names the field", async () => {
    const response = await post("Echo", { payloadBytes: -1 });
    assert.equal(response.status, 400);
    const { details } = (await response.json()) as { details: { debug: { fieldViolations: { field: string }[] } }[] };
    assert.equal(details[0]?.debug.fieldViolations[0]?.field, "payloadBytes");
  });

  test("JSON that is none", async () => {
    const headers = { "content-type": "application/json" };
    const path = url("/ordermesh.testing.v1.ConformanceService/Echo");
    const response = await fetch(path, { method: "POST", headers, body: "{" });
    assert.equal(response.status, 400);
  });

  for (const stubborn of [false, true]) {
    const name = `deadline kept by the server${stubborn ? ", even when the implementation does not look" : ""}`;
    test(name, async () => {
      const hold = `deadline ${stubborn}`;
      const response = await post("Echo", { hold, stubborn }, { headers: { "connect-timeout-ms": "100" } });
      assert.equal(response.status, 504);
      assert.equal(((await response.json()) as { code: string }).code, "deadline_exceeded");
      assert.match(await service.implementation.gone(hold), /deadline passed|timed out/);
      service.implementation.release(hold);
    });
  }

  test("more calls than the process takes are refused, and told when to come back", async () => {
    const holds = [1, 2].map((index) => `full ${index}`);
    const held = holds.map((hold) => post("Echo", { hold }));
    for (const hold of holds) await service.implementation.held(hold);
    const refused = await post("Echo", {});
    assert.equal(refused.status, 429);
    const { details } = (await refused.json()) as { details: { type: string }[] };
    assert.deepEqual(
      details.map(({ type }) => type),
      ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"],
    );
    for (const hold of holds) service.implementation.release(hold);
    for (const call of held) assert.equal((await call).status, 200);
  });

  test("health, readiness, metrics, and nothing else", async () => {
    assert.equal((await fetch(url("/healthz"))).status, 200);
    assert.equal((await fetch(url("/readyz"))).status, 200);
    const metrics = await (await fetch(url("/metrics"))).text();
    assert.match(
      metrics,
      /rpc_server_duration_seconds_count\{.*rpc="ordermesh.testing.v1.ConformanceService\/Echo",code="OK"\} \d/,
    );
    assert.match(metrics, /nodejs_eventloop_lag_seconds/);
    assert.equal((await fetch(url("/nothing"))).status, 404);
  });
});
