// Calls without side effects by GET and HEAD, as browsers, proxies and caches make them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { after, before, describe, test } from "node:test";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { type RunningConformance, startConformance } from "./conformance.ts";

const page = "https://shop.example";
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
let service: RunningConformance;
before(async () => {
  service = await startConformance({ HTTP_CORS_ORIGINS: page });
});
after(async () => {
  agent.destroy();
  await service.drain();
});

interface Asked {
  readonly method?: string;
  readonly call?: string;
  readonly query?: Record<string, string> | string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** As it is on the wire: nothing is asked for, kept or decompressed that the test does not say. */
async function ask({
  method = "GET",
  call = "ListItems",
  query = {},
  headers = {},
  body,
}: Asked = {}): Promise<Answer> {
  const search = typeof query === "string" ? query : new URLSearchParams({ encoding: "json", message: "{}", ...query });
  const path = `/${ConformanceService.typeName}/${call}${method === "POST" ? "" : `?${search}`}`;
  const request = httpRequest({ port: service.httpPort, host: "127.0.0.1", method, path, headers, agent });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(await response.toArray()) };
}

/** Five items, of which the page has two. */
const message = JSON.stringify({ count: 5, pageSize: 2, itemSize: 4 });

describe("a read by GET", () => {
  test("is answered as one by POST is, and may be kept by who asked and be asked about", async () => {
    const { status, headers, body } = await ask({ query: { message } });
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers["cache-control"], "private, no-cache");
    assert.equal(headers.vary, "origin, accept-encoding");
    assert.match(String(headers.etag), /^"[\w-]+"$/);
    const json = { "content-type": "application/json" };
    assert.deepEqual(body, (await ask({ method: "POST", headers: json, body: message })).body);
    const binary = await ask({ query: { encoding: "proto", base64: "1", message: "", connect: "v1" } });
    assert.equal(binary.headers["content-type"], "application/proto");
  });

  test("is answered with 304 while nothing changes, also on a page before others", async () => {
    const first = await ask({ query: { message } });
    assert.notEqual(JSON.parse(String(first.body)).nextPageToken, undefined);
    const { etag = "" } = first.headers;
    for (const given of [etag, `W/${etag}`, `"other", W/${etag}`, `"other",${etag} , "more"`, "*"]) {
      const again = await ask({ query: { message }, headers: { "if-none-match": given, origin: page } });
      assert.equal(again.status, 304, given);
      assert.equal(again.body.length, 0);
      assert.equal(again.headers.etag, etag);
      assert.equal(again.headers["cache-control"], "private, no-cache");
      assert.equal(again.headers.vary, "origin, accept-encoding");
      assert.equal(again.headers["access-control-allow-origin"], page);
      assert.equal(again.headers["content-type"], undefined);
    }
  });

  test("is answered anew when the answer is another one", async () => {
    const other = await ask({ query: { message: '{"count":1}' } });
    for (const given of [String(other.headers.etag), '"x"', "x", "", 'W/"', String(other.headers.etag).slice(1, -1)]) {
      const answer = await ask({ query: { message }, headers: { "if-none-match": given } });
      assert.equal(answer.status, 200, given);
      assert.notEqual(answer.headers.etag, other.headers.etag);
    }
  });

  test("has a tag for each encoding, so that none is taken for another", async () => {
    const query = { message: '{"count":9,"itemSize":900}' };
    const tags = new Map<string, string>();
    for (const encoding of ["identity", "gzip", "br"]) {
      const headers = { "accept-encoding": encoding };
      const { headers: told } = await ask({ query, headers });
      assert.equal(told["content-encoding"] ?? "identity", encoding);
      assert.match(String(told.vary), /\baccept-encoding\b/);
      const tag = String(told.etag);
      for (const [other, known] of tags) {
        assert.equal((await ask({ query, headers: { ...headers, "if-none-match": known } })).status, 200, other);
      }
      const kept = await ask({ query, headers: { ...headers, "if-none-match": tag } });
      assert.equal(kept.status, 304);
      assert.equal(kept.headers["content-encoding"], undefined);
      tags.set(encoding, tag);
    }
    assert.equal(new Set(tags.values()).size, 3);
  });

  test("is not to be kept when it fails", async () => {
    for (const query of [
      { message: '{"pageSize":-1}' },
      { message: '{"cuont":1}' },
      { message: "{" },
      { message: "" },
    ]) {
      const { status, headers, body } = await ask({ query, headers: { "if-none-match": "*" } });
      assert.equal(status, 400, query.message);
      assert.equal(headers["cache-control"], "no-store");
      assert.equal(headers.etag, undefined);
      assert.equal(JSON.parse(String(body)).code, "invalid_argument");
    }
  });

  test("is refused when its query says what would be overlooked", async () => {
    const cases: readonly [query: string, status: number, told: RegExp][] = [
      ["encoding=json&message={}&customerId=X", 400, /customerId: is no parameter of a query/],
      ["encoding=json&mesage={}", 400, /mesage: is no parameter/],
      ["encoding=json&message={}&message={}", 400, /message: is said twice/],
      ["encoding=json", 400, /message: is missing/],
      ["message={}", 415, /encoding=json is/],
      ["message={}&encoding=xml", 415, /encoding=json is/],
    ];
    for (const [query, status, told] of cases) {
      const answer = await ask({ query });
      assert.equal(answer.status, status, query);
      assert.match(JSON.parse(String(answer.body)).message, told);
      assert.equal(answer.headers["cache-control"], "no-store");
    }
  });
});

describe("HEAD", () => {
  test("is answered as GET is, without the body", async () => {
    const got = await ask({ query: { message } });
    const { status, headers, body } = await ask({ method: "HEAD", query: { message } });
    assert.equal(status, 200);
    assert.equal(body.length, 0);
    for (const name of ["etag", "content-length", "content-type", "cache-control", "vary"]) {
      assert.equal(headers[name], got.headers[name], name);
    }
    const given = { "if-none-match": String(got.headers.etag) };
    assert.equal((await ask({ method: "HEAD", query: { message }, headers: given })).status, 304);
    assert.equal((await ask({ method: "HEAD", query: { message: "{" } })).status, 400);
  });
});

describe("a call with side effects, and a stream", () => {
  test("is made by POST alone", async () => {
    for (const call of ["Echo", "Observe", "Count"]) {
      for (const method of ["GET", "HEAD"]) {
        const { status, headers } = await ask({ method, call });
        assert.equal(status, 405, `${method} ${call}`);
        assert.equal(headers.allow, "POST");
        assert.equal(headers.etag, undefined);
      }
    }
    assert.equal(service.implementation.calls, 0);
  });

  test("is never answered with what was kept", async () => {
    const headers = { "content-type": "application/json", "if-none-match": "*" };
    for (const call of ["Echo", "ListItems"]) {
      const answer = await ask({ method: "POST", call, headers, body: "{}" });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.etag, undefined);
    }
  });
});
