// Services know each other by the certificates of their connections, on both ports; beside them a token says for whom they call.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { after, before, describe, test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { auditEvents, auditOrigin } from "#platform/audit/audit-entry.ts";
import { credentialRefused } from "#platform/authorization/errors.ts";
import { type Caller, serviceCaller } from "#platform/caller.ts";
import { requestContext, runInContext } from "#platform/context.ts";
import { Clients } from "#platform/grpc/clients.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/registration.ts";
import { TlsFiles } from "#platform/tls/tls-files.ts";
import { Authority } from "#testing/certificates.ts";
import { testEnvironment } from "../faces/conformance.ts";
import { contractOf } from "./contract-of.ts";

const customerId = "0123456789ABCDEFGHJKMNPQRS";
const callers: Readonly<Record<string, Caller>> = {
  customer: { subject: customerId, roles: new Set([Role.CUSTOMER]) },
  agent: { subject: "key:A1", roles: new Set([Role.AGENT]) },
  worker: serviceCaller("worker"),
  shipping: serviceCaller("shipping"),
};
const credentials = {
  async verify(credential: string): Promise<Caller> {
    const caller = callers[credential];
    if (!caller) throw credentialRefused("invalid");
    return caller;
  },
};
const service = contractOf({
  CancelOrder: { services: ["worker"] },
  GetOrder: { roles: [Role.AGENT], own: { of: { case: "rows", value: true } } },
  ListOrders: { anyone: true },
  WatchOrder: { services: ["worker"] },
}) as typeof OrderService;

const id = (name: string, domain = "mesh.test") => `spiffe://${domain}/ns/shop/sa/mesh-${name}`;
/** Who shows which URIs. */
const holders: Readonly<Record<string, readonly string[]>> = {
  worker: [id("worker")],
  shipping: [id("shipping")],
  program: [],
  double: [id("worker"), id("shipping")],
  foreign: [id("worker", "other.test")],
  unknown: [id("somebody")],
};

let authority: Authority;
let callee: RunningService;
const files = new Map<string, Awaited<ReturnType<Authority["issue"]>>>();
const seen: string[] = [];
const lines: string[] = [];

/** Who did it and for whom, as the audit log has it, and whose rows are looked at. */
function note() {
  const [record] = JSON.parse(auditEvents([{ action: "a.b", details: { x: "1" }, origin: auditOrigin() }]));
  const { actor, details } = record as { actor: string; details: Record<string, string> };
  seen.push([actor, details.on_behalf_of ?? "-", requestContext().owner ?? "-"].join(" "));
  assert.equal(details.x, "1");
  return {};
}

before(async () => {
  authority = await Authority.create();
  for (const [name, uris] of Object.entries(holders)) files.set(name, await authority.issue(name, uris));
  const own = await authority.issue("localhost", [id("orders")]);
  const build = () => ({
    services: [
      register(service, {
        cancelOrder: note,
        getOrder: note,
        listOrders: note,
        async *watchOrder() {
          yield note();
        },
      }),
    ],
    credentials,
  });
  const known = { [id("worker")]: "worker", [id("shipping")]: "shipping" };
  const environment = { ...testEnvironment, ...own, HTTP_TLS: "tls", SPIFFE_SERVICES: JSON.stringify(known) };
  const output = new (await import("node:stream")).Writable({
    write: (chunk, _, done) => {
      lines.push(...String(chunk).split("\n"));
      done();
    },
  });
  callee = await launch({ name: "callee", config: {}, build }, { ...environment, LOG_LEVEL: "info" }, output);
});
after(async () => {
  await callee?.drain();
  await authority?.[Symbol.asyncDispose]();
});

type Call = "cancelOrder" | "getOrder" | "listOrders";
interface Asked {
  readonly call: Call;
  /** Whose certificate is shown; none, over HTTP, without it. */
  readonly as?: string;
  readonly token?: string;
}

/** Says to be somebody else, as whoever forges would. */
const forged = { baggage: "user.id=1123456789ABCDEFGHJKMNPQRS" };

async function byGrpc({ call, as = "", token }: Asked, at = callee): Promise<string> {
  const mine = files.get(as);
  assert.ok(mine);
  using tls = TlsFiles.open({ ...mine, GRPC_TLS_REFRESH_MS: 60_000 });
  const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 1e6, service: "payments", tls });
  const headers: Record<string, string> = { ...forged, ...(token && { authorization: `Bearer ${token}` }) };
  try {
    const client = clients.client(service, `localhost:${at.grpcPort}`);
    await client[call](bodies[call] as object, { headers });
    return seen.pop() ?? "";
  } catch (error) {
    return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? String(error);
  } finally {
    clients.close();
  }
}

const bodies = {
  cancelOrder: { requestId: "1", orderId: "0".repeat(26), reason: "x" },
  getOrder: { orderId: "0".repeat(26) },
  listOrders: {},
} as const;

async function byHttp({ call, as, token }: Asked, at = callee): Promise<string> {
  const mine = as === undefined ? undefined : files.get(as);
  const shown = mine && { cert: readFileSync(mine.GRPC_TLS_CERT), key: readFileSync(mine.GRPC_TLS_KEY) };
  const headers = { ...forged, "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const ca = readFileSync(`${authority.folder}/ca.crt`);
  const name = `${call[0]?.toUpperCase()}${call.slice(1)}`;
  const path = `/shop.orders.v1.OrderService/${name}`;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = {
    host: "localhost",
    port: at.httpPort,
    path,
    method: "POST",
    headers,
    ca,
    agent: false,
    ...shown,
  };
  const request = httpsRequest(options, (response) => {
    let text = "";
    response.on("data", (chunk) => (text += chunk));
    response.on("end", () => {
      if (response.statusCode === 200) return resolve(seen.pop() ?? "");
      resolve(JSON.parse(text).details?.[0]?.debug?.reason ?? text);
    });
  });
  request.on("error", reject);
  request.end(JSON.stringify(bodies[call]));
  return promise;
}

const cases: readonly (readonly [Asked, string])[] = [
  [{ call: "cancelOrder", as: "worker" }, "service:worker - -"],
  [{ call: "cancelOrder", as: "worker", token: "worker" }, "service:worker - -"],
  [{ call: "cancelOrder", as: "worker", token: "customer" }, `service:worker ${customerId} -`],
  [{ call: "cancelOrder", as: "program", token: "worker" }, "service:worker - -"],
  [{ call: "cancelOrder", as: "shipping" }, "NOT_PERMITTED"],
  // Whoever took a token has not the certificate.
  [{ call: "cancelOrder", as: "shipping", token: "worker" }, "CREDENTIAL_REFUSED"],
  [{ call: "cancelOrder", as: "worker", token: "shipping" }, "CREDENTIAL_REFUSED"],
  [{ call: "cancelOrder", as: "worker", token: "nobody" }, "CREDENTIAL_REFUSED"],
  [{ call: "cancelOrder", as: "shipping", token: "agent" }, "NOT_PERMITTED"],
  [{ call: "cancelOrder", as: "program" }, "CREDENTIAL_REFUSED"],
  [{ call: "cancelOrder", as: "double" }, "CREDENTIAL_REFUSED"],
  [{ call: "cancelOrder", as: "foreign" }, "CREDENTIAL_REFUSED"],
  [{ call: "cancelOrder", as: "unknown" }, "CREDENTIAL_REFUSED"],
  [{ call: "getOrder", as: "program", token: "customer" }, `${customerId} - ${customerId}`],
  [{ call: "getOrder", as: "double", token: "customer" }, `${customerId} - ${customerId}`],
  [{ call: "getOrder", as: "shipping", token: "customer" }, `service:shipping ${customerId} ${customerId}`],
  [{ call: "getOrder", as: "shipping", token: "agent" }, "service:shipping key:A1 -"],
  [{ call: "getOrder", as: "shipping" }, "NOT_PERMITTED"],
  [{ call: "listOrders", as: "double" }, "anonymous - -"],
  [{ call: "listOrders", as: "worker", token: "nobody" }, "anonymous - -"],
];
const ways = { gRPC: byGrpc, HTTP: byHttp };

for (const [face, way] of Object.entries(ways)) {
  describe(`over ${face}`, () => {
    for (const [asked, outcome] of cases) {
      const { call, as, token } = asked;
      test(`${call} with the certificate of ${as} and ${token ? `the token of ${token}` : "no token"}: ${outcome}`, async () => {
        assert.equal(await way(asked), outcome);
      });
    }
  });
}

describe("a caller without a certificate, over HTTP", () => {
  test("is known by its token alone, and refused without one", async () => {
    assert.equal(await byHttp({ call: "cancelOrder", token: "worker" }), "service:worker - -");
    assert.equal(await byHttp({ call: "getOrder", token: "customer" }), `${customerId} - ${customerId}`);
    assert.equal(await byHttp({ call: "cancelOrder" }), "CREDENTIAL_MISSING");
  });

  test("with one of another authority is as if it had none that counts", async () => {
    await using other = await Authority.create();
    files.set("stranger", await other.issue("stranger", [id("worker")]));
    assert.equal(await byHttp({ call: "cancelOrder", as: "stranger" }), "CREDENTIAL_REFUSED");
    assert.equal(await byHttp({ call: "getOrder", as: "stranger", token: "agent" }), "key:A1 - -");
  });
});

test("the log says what was wrong with a certificate", () => {
  for (const problem of [
    "has no URI",
    "has 2 URIs",
    "of the trust domain other.test",
    "sa/mesh-somebody, which is no service",
    "not trusted",
  ]) {
    assert.ok(
      lines.some((line) => line.includes("a caller is nobody") && line.includes(problem)),
      problem,
    );
  }
});

test("a stream is of whoever opens it, too", async () => {
  const outcome = async (as: string) => {
    using tls = TlsFiles.open({ ...files.get(as), GRPC_TLS_REFRESH_MS: 60_000 });
    const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 1e6, tls });
    try {
      const stream = clients.client(service, `localhost:${callee.grpcPort}`).watchOrder(bodies.getOrder);
      for await (const _ of stream) return seen.pop();
    } catch (error) {
      return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason;
    } finally {
      clients.close();
    }
  };
  assert.equal(await outcome("worker"), "service:worker - -");
  assert.equal(await outcome("double"), "CREDENTIAL_REFUSED");
});

test("a certificate is judged once for a connection", async (context) => {
  const { ServiceCertificates } = await import("#platform/authorization/service-certificates.ts");
  const judge = context.mock.method(ServiceCertificates.prototype, "judge");
  const mine = files.get("worker");
  assert.ok(mine);
  using tls = TlsFiles.open({ ...mine, GRPC_TLS_REFRESH_MS: 60_000 });
  const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 1e6, tls });
  const client = clients.client(service, `localhost:${callee.grpcPort}`);
  for (let n = 0; n < 20; n += 1) await runInContext({}, () => client.cancelOrder(bodies.cancelOrder));
  clients.close();
  assert.equal(judge.mock.callCount(), 1);
});

describe("where people are not asked", () => {
  let open: RunningService;
  before(async () => {
    const build = () => ({ services: [register(service, { cancelOrder: note, getOrder: note, listOrders: note })] });
    const own = await authority.issue("localhost");
    const env = {
      ...testEnvironment,
      ...own,
      HTTP_TLS: "tls",
      SPIFFE_SERVICES: JSON.stringify({ [id("worker")]: "worker" }),
    };
    open = await launch({ name: "callee", config: {}, build }, env);
  });
  after(() => open?.drain());

  test("calls that are for services alone are taken from those that prove to be one", async () => {
    assert.equal(await byGrpc({ call: "cancelOrder", as: "worker" }, open), "service:worker - -");
    assert.equal(await byHttp({ call: "cancelOrder", as: "worker" }, open), "service:worker - -");
    for (const as of ["program", "shipping", "double"]) {
      assert.equal(await byGrpc({ call: "cancelOrder", as }, open), "CREDENTIAL_REFUSED");
      assert.equal(await byHttp({ call: "cancelOrder", as }, open), "CREDENTIAL_REFUSED");
    }
    assert.equal(await byHttp({ call: "cancelOrder" }, open), "CREDENTIAL_MISSING");
    assert.equal(await byGrpc({ call: "cancelOrder", as: "program", token: "worker" }, open), "CREDENTIAL_REFUSED");
  });

  test("all others are as they were, with the actor that was said", async () => {
    const said = "1123456789ABCDEFGHJKMNPQRS - -";
    for (const as of ["program", "worker"]) {
      assert.equal(await byGrpc({ call: "getOrder", as }, open), said);
      assert.equal(await byGrpc({ call: "listOrders", as }, open), said);
    }
    assert.equal(await byHttp({ call: "getOrder" }, open), said);
  });
});

test("SPIFFE_SERVICES and HTTP_TLS without certificates are refused at the start", async () => {
  const build = () => ({ services: [] });
  const env = { ...testEnvironment, HTTP_TLS: "mutual", SPIFFE_SERVICES: JSON.stringify({ [id("worker")]: "worker" }) };
  await assert.rejects(launch({ name: "callee", config: {}, build }, env), {
    name: "ConfigError",
    message: /SPIFFE_SERVICES and HTTP_TLS cannot be without GRPC_TLS_CERT/,
  });
});
