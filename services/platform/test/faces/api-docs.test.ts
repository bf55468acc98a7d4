// The contract as a service shows it: as OpenAPI, and on a page where calls can be tried.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/process/service.ts";
import { testEnvironment } from "./conformance.ts";

const served = [OrderService, AuditService];
const definition = {
  name: "shown",
  config: {},
  build: () => ({ services: [register(OrderService, {}), register(AuditService, {})] }),
};

interface Document {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
}

let service: RunningService;
before(async () => {
  service = await launch(definition, testEnvironment);
});
after(() => service.drain());

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${service.httpPort}${path}`, { redirect: "manual", ...init });
}

async function document(): Promise<Document> {
  return (await (await ask("/openapi.json")).json()) as Document;
}

describe("the OpenAPI document of a service", () => {
  test("has each of its calls but the streams, and GET for what has no side effects", async () => {
    const { openapi, paths, tags } = await document();
    assert.match(openapi, /^3\.1\./);
    assert.deepEqual(tags.map(({ name }) => name).sort(), served.map(({ typeName }) => typeName).sort());
    const methods = served.flatMap((each) => Object.values(each.method)).filter((each) => each.methodKind === "unary");
    const expected = methods.map(({ parent, name, idempotency }) => {
      const reads = idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
      return [`/${parent.typeName}/${name}`, reads ? ["get", "post"] : ["post"]] as const;
    });
    const found = Object.entries(paths).map(([path, operations]) => [path, Object.keys(operations).sort()] as const);
    assert.deepEqual(new Map(found), new Map(expected));
  });

  test("points only to what it has, and has nothing else", async () => {
    const { paths, components } = await document();
    const texts = [JSON.stringify(paths), JSON.stringify(components)].join();
    const pointed = new Set([...texts.matchAll(/"\$ref":"#\/components\/(.+?)"/g)].map(([, ref]) => ref));
    const there = Object.entries(components).flatMap(([kind, all]) =>
      Object.keys(all).map((name) => `${kind}/${name}`),
    );
    assert.deepEqual([...pointed].sort(), there.sort());
    assert.doesNotMatch(texts, /shop\.payments|PAYMENT_NOT_FOUND/);
  });

  test("says the rules, the reasons and an example of a call", async () => {
    const { paths, components } = await document();
    const create = JSON.stringify(paths["/shop.orders.v1.OrderService/CreateOrder"]);
    for (const status of ["200", "400", "404", "409", "415", "429", "500", "503", "504"]) {
      assert.match(create, new RegExp(`"${status}":`));
    }
    assert.match(create, /"cardToken":"tok_approve"/);
    assert.match(create, /404-orders\.CUSTOMER_NOT_FOUND/);
    assert.match(create, /Called by: agent, a customer about what is its own/);
    const { "shop.orders.v1.CreateOrderRequest": request, "shop.type.v1.Money.Input": money } =
      components.schemas ?? {};
    assert.partialDeepStrictEqual(request, {
      required: ["requestId", "customerId", "lines", "shippingAddress", "cardToken"],
      additionalProperties: false,
      properties: { lines: { minItems: 1, maxItems: 100 }, requestId: { maxLength: 128 } },
    });
    assert.match(JSON.stringify(money), /"EUR"/);
    assert.doesNotMatch(JSON.stringify(money), /"XXX"/);
    const reasons = JSON.stringify(components.responses?.["404-orders.CUSTOMER_NOT_FOUND"]);
    assert.match(reasons, /"reason":\{"enum":\["CUSTOMER_NOT_FOUND"\]\}/);
  });
});

describe("what is there to read", () => {
  test("may be kept, and is asked about", async () => {
    for (const path of ["/openapi.json", "/docs/", "/docs/swagger-ui.css"]) {
      const first = await ask(path);
      assert.equal(first.status, 200, path);
      assert.equal(first.headers.get("cache-control"), "no-cache");
      const etag = String(first.headers.get("etag"));
      assert.equal((await ask(path, { headers: { "if-none-match": etag } })).status, 304);
      assert.equal((await ask(path, { headers: { "if-none-match": '"other"' } })).status, 200);
      const head = await ask(path, { method: "HEAD" });
      assert.deepEqual([head.status, await head.text()], [200, ""]);
    }
  });

  test("is only read, and is nothing else", async () => {
    const post = await ask("/openapi.json", { method: "POST", body: "{}" });
    assert.equal(post.status, 405);
    assert.equal(post.headers.get("allow"), "GET, HEAD");
    assert.equal(((await post.json()) as { code: string }).code, "unimplemented");
    for (const path of ["/docs/index.js", "/docs/..%2fpackage.json", "/docs/swagger-ui.js", "/openapi.json/"]) {
      assert.equal((await ask(path)).status, 404, path);
    }
  });

  test("is a page whose parts all come from here, under a policy that lets nothing else in", async () => {
    const moved = await ask("/docs");
    assert.deepEqual([moved.status, moved.headers.get("location")], [308, "docs/"]);
    const page = await ask("/docs/");
    const html = await page.text();
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|https?:|<script>/);
    const types = { ".js": "text/javascript", ".css": "text/css", ".png": "image/png" };
    const parts = [...html.matchAll(/(?:src|href)="(.+?)"/g)].map(([, part = ""]) => part);
    assert.equal(parts.length, 4);
    for (const part of parts) {
      const got = await ask(`/docs/${part}`);
      assert.equal(got.status, 200, part);
      const extension = /\.\w+$/.exec(part)?.[0] as keyof typeof types;
      assert.ok(got.headers.get("content-type")?.startsWith(types[extension]), part);
      assert.equal(got.headers.get("x-content-type-options"), "nosniff");
      assert.ok((await got.bytes()).length > 100, part);
    }
    const policy = String(page.headers.get("content-security-policy"));
    for (const said of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
      assert.ok(policy.split("; ").includes(said), said);
    }
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  });

  test("is not there when the setting says so", async () => {
    const quiet = await launch(definition, { ...testEnvironment, HTTP_API_DOCS: "false" });
    try {
      for (const path of ["/openapi.json", "/docs", "/docs/", "/docs/swagger-ui.css"]) {
        assert.equal((await fetch(`http://127.0.0.1:${quiet.httpPort}${path}`)).status, 404, path);
      }
    } finally {
      await quiet.drain();
    }
  });
});
