// The contract as a service shows it: as OpenAPI, and on a page where calls can be tried.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { fromJsonString } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import { OrderService, WatchOrderResponseSchema } from "#gen/shop/orders/v1/order_service_pb.js";
import { openApiOf } from "#platform/http/open-api.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/process/service.ts";
import { testEnvironment } from "./conformance.ts";

const served = [OrderService, AuditService];
const refusing = "01KB6Q2M7RZ8E4X0V5T9WNA3CE";
const orders = register(OrderService, {
  async *watchOrder({ orderId }) {
    yield { order: { orderId } };
    if (orderId === refusing) throw new ConnectError("there is none", Code.NotFound);
    yield { order: { orderId } };
  },
});
const parts = { services: [orders, register(AuditService, {})] };
const definition = { name: "shown", config: {}, build: () => parts };
/** One that asks whoever calls for a credential. */
const asking = {
  ...definition,
  build: () => ({ ...parts, credentials: { verify: () => Promise.reject(new Error("nobody shows any")) } }),
};

interface Operation {
  readonly description: string;
  readonly security: readonly object[];
  readonly requestBody: Body;
  readonly responses: Readonly<Record<string, Body>>;
}

interface Body {
  readonly content: Readonly<Record<string, { readonly "x-frames": object }>>;
}

interface Document {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
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
  test("has each of its calls, and GET for what has no side effects and is no stream", async () => {
    const { openapi, paths, tags } = await document();
    assert.match(openapi, /^3\.1\./);
    assert.deepEqual(tags.map(({ name }) => name).sort(), served.map(({ typeName }) => typeName).sort());
    const methods = served.flatMap((each) => Object.values(each.method));
    const expected = methods.map(({ parent, name, idempotency, methodKind }) => {
      const reads = idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS && methodKind === "unary";
      return [`/${parent.typeName}/${name}`, reads ? ["get", "post"] : ["post"]] as const;
    });
    const found = Object.entries(paths).map(([path, operations]) => [path, Object.keys(operations).sort()] as const);
    assert.deepEqual(new Map(found), new Map(expected));
  });

  test("points only to what it has, and has nothing else", async () => {
    const { paths, components } = await document();
    const texts = [JSON.stringify(paths), JSON.stringify(components)].join();
    const pointed = new Set([...texts.matchAll(/"\$ref":"#\/components\/(.+?)"/g)].map(([, ref]) => ref));
    const { securitySchemes: _, ...others } = components;
    const there = Object.entries(others).flatMap(([kind, all]) => Object.keys(all).map((name) => `${kind}/${name}`));
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

describe("a stream in the document", () => {
  const path = "/shop.orders.v1.OrderService/WatchOrder";

  /** What is in the frames of an answer: each one's first byte, and its text. */
  function framesOf(bytes: Buffer): [flags: number, text: string][] {
    const frames: [number, string][] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      frames.push([bytes.readUInt8(at), bytes.toString("utf8", at + 5, end)]);
      at = end;
    }
    return frames;
  }

  async function watch(orderId: string | undefined) {
    const { post } = (await document()).paths[path] ?? {};
    const [, made = "", type = ""] = /^(printf .*) \|\n.*content-type: (.+?)'/m.exec(post?.description ?? "") ?? [];
    const command = orderId ? made.replace("01KB6Q2M7RZ8E4X0V5T9WNA3CD", orderId) : made;
    const body = execFileSync("sh", ["-c", command]);
    const answer = await ask(path, { method: "POST", headers: { "content-type": type }, body });
    const frames = framesOf(Buffer.from(await answer.arrayBuffer()));
    return { post, answer, messages: frames.slice(0, -1), end: frames.at(-1) };
  }

  test("is made by what the document says, and answered in the frames that it says", async () => {
    const { post, answer, messages, end } = await watch(undefined);
    const type = String(answer.headers.get("content-type"));
    assert.deepEqual([answer.status, type], [200, "application/connect+json"]);
    assert.deepEqual(post?.requestBody.content[type]?.["x-frames"], {
      0: { $ref: "#/components/schemas/shop.orders.v1.WatchOrderRequest" },
    });
    assert.partialDeepStrictEqual(post?.responses[200]?.content[type]?.["x-frames"], {
      0: { $ref: "#/components/schemas/shop.orders.v1.WatchOrderResponse" },
      2: { $ref: "#/components/schemas/connect.EndOfStream" },
    });
    const ids = messages.map(([flags, text]) => [flags, fromJsonString(WatchOrderResponseSchema, text).order?.orderId]);
    assert.deepEqual(ids, Array(2).fill([0, "01KB6Q2M7RZ8E4X0V5T9WNA3CD"]));
    assert.deepEqual(end, [2, "{}"]);
  });

  test("ends with its error in the last frame, as the document says", async () => {
    const { post, answer, messages, end } = await watch(refusing);
    assert.deepEqual([answer.status, messages.length, end?.[0]], [200, 1, 2]);
    assert.partialDeepStrictEqual(JSON.parse(end?.[1] ?? ""), { error: { code: "not_found" } });
    const told = JSON.stringify(post?.responses[200]?.content);
    for (const said of ['"not_found"', '"ORDER_NOT_FOUND"']) assert.ok(told.includes(said), said);
    assert.equal((await ask(path)).status, 405);
    const unframed = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    assert.equal((await ask(path, unframed)).status, 415);
  });
});

describe("the credential in the document", () => {
  const bearer = { bearer: [] };

  test("may be shown where nobody asks for one", async () => {
    const { paths, components } = await document();
    assert.partialDeepStrictEqual(components.securitySchemes, { bearer: { type: "http", scheme: "bearer" } });
    const said = Object.values(paths).flatMap((verbs) => Object.values(verbs).map(({ security }) => security));
    for (const security of said) assert.deepEqual(security, [{}, bearer]);
  });

  test("is needed where it is asked for, but for what everybody may call", async () => {
    const service = await launch(asking, testEnvironment);
    try {
      const { paths } = (await (await fetch(`http://127.0.0.1:${service.httpPort}/openapi.json`)).json()) as Document;
      const said = Object.values(paths).flatMap((verbs) => Object.values(verbs).map(({ security }) => security));
      for (const security of said) assert.deepEqual(security, [bearer]);
      const answer = await fetch(`http://127.0.0.1:${service.httpPort}/shop.orders.v1.OrderService/GetOrder`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      assert.deepEqual([answer.status, answer.headers.get("www-authenticate")], [401, "Bearer"]);
      const refused = paths["/shop.orders.v1.OrderService/GetOrder"]?.post?.responses[401];
      assert.match(JSON.stringify(refused), /401-platform\.CREDENTIAL_MISSING/);
    } finally {
      await service.drain();
    }
    const open = JSON.parse(openApiOf([IdentityService], true)) as Document;
    const { security, responses } = open.paths["/shop.identity.v1.IdentityService/ExchangeApiKey"]?.post ?? {};
    assert.deepEqual(security, []);
    assert.doesNotMatch(JSON.stringify(responses), /CREDENTIAL|NOT_PERMITTED/);
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

  test("is what somebody is told of who comes to where nothing is", async () => {
    const answer = await ask("/");
    assert.deepEqual([answer.status, answer.headers.get("content-type")], [404, "application/json"]);
    assert.match(await answer.text(), /nothing at this path; what can be called is shown at \/docs\//);
  });

  test("is not there when the setting says so", async () => {
    const quiet = await launch(definition, { ...testEnvironment, HTTP_API_DOCS: "false" });
    try {
      for (const path of ["/openapi.json", "/docs", "/docs/", "/docs/swagger-ui.css"]) {
        const answer = await fetch(`http://127.0.0.1:${quiet.httpPort}${path}`);
        assert.equal(answer.status, 404, path);
        assert.doesNotMatch(await answer.text(), /docs/);
      }
    } finally {
      await quiet.drain();
    }
  });
});
