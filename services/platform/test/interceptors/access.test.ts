// The line of a call that was refused: who proved to make it and from where, and nothing that anybody only says.
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import ipaddr from "ipaddr.js";
import { Registry } from "prom-client";
import type { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { credentialRefused } from "#platform/authorization/errors.ts";
import { type Caller, serviceCaller } from "#platform/caller.ts";
import { accessInterceptor } from "#platform/interceptors/access.ts";
import { authorizationInterceptor } from "#platform/interceptors/authorization.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { httpWayIn } from "#platform/interceptors/known-call.ts";
import { Limits } from "#platform/interceptors/limits.ts";
import { ClientAddresses } from "#platform/limits/client-address.ts";
import { createLogger } from "#platform/log/logger.ts";
import { CallMetrics } from "#platform/metrics/metrics.ts";
import { contractOf } from "../authorization/contract-of.ts";

const customerId = "0123456789ABCDEFGHJKMNPQRS";
const service = contractOf({
  ListOrders: { roles: [Role.AGENT] },
  GetOrder: { roles: [Role.AGENT] },
  CancelOrder: { services: ["worker"] },
  WatchOrder: { roles: [Role.AGENT] },
}) as typeof OrderService;

const callers: Readonly<Record<string, Caller>> = {
  customer: { subject: customerId, roles: new Set([Role.CUSTOMER]) },
  agent: { subject: "key:A1", roles: new Set([Role.AGENT]) },
  mailed: { subject: "ada@example.com", roles: new Set() },
  shipping: serviceCaller("shipping"),
};

type Line = Readonly<Record<string, unknown>>;

/** What is logged of a call that comes through a proxy of ours. */
function world({ certified, calls }: { certified?: string; calls?: number } = {}) {
  const lines: Line[] = [];
  const stream = new Writable({ write: (chunk, _, done) => done(void lines.push(JSON.parse(String(chunk)) as Line)) });
  const { logger } = createLogger({ name: "orders", level: "info", format: "json", stream });
  const addresses = new ClientAddresses([[ipaddr.parse("10.0.0.0"), 8]], "x-forwarded-for");
  const quota = calls === undefined ? undefined : { calls, windowMs: 60_000 };
  const limits = new Limits({
    quotas: { read: quota, write: quota, sensitive: undefined, service: undefined },
    addresses,
  });
  const credentials = {
    async verify(credential: string): Promise<Caller> {
      const caller = callers[credential];
      if (!caller) throw credentialRefused("invalid", new Error("of an issuer that nobody named"));
      return caller;
    },
  };
  const transport = createRouterTransport(
    (router) =>
      router.service(service, {
        getOrder: () => {
          throw new ConnectError("there is no such order", Code.NotFound);
        },
        listOrders: () => {
          throw new ConnectError("the database is away", Code.Unavailable);
        },
        async *watchOrder() {
          yield {};
          throw new ConnectError("there is no such order", Code.NotFound);
        },
      }),
    {
      router: {
        interceptors: [
          (next) => (request) => {
            const peer = certified === undefined ? undefined : { service: certified };
            request.contextValues.set(httpWayIn, { peer: "10.1.2.3", certified: peer, setHeader: () => undefined });
            return next(request);
          },
          contextInterceptor(1_000),
          accessInterceptor(logger, new CallMetrics(new Registry(), () => ({})), addresses),
          errorInterceptor(),
          authorizationInterceptor({ services: [service], credentials, onRefused: () => undefined }),
          limits.interceptor(),
        ],
      },
    },
  );
  return { client: createClient(service, transport), lines };
}

const headersOf = (credential: string) => ({
  authorization: `Bearer ${credential}`,
  "x-forwarded-for": "203.0.113.9",
  baggage: "user.id=u-1",
});

/** What a line says of who was refused. */
function whoIn(line: Line | undefined) {
  const { "client.user.id": by, "user.effective.id": on, "client.address": address } = line ?? {};
  return { by, on, address };
}

async function lineOf(credential: string, call: "getOrder" | "listOrders" | "cancelOrder", certified?: string) {
  const { client, lines } = world(certified === undefined ? {} : { certified });
  await assert.rejects(client[call]({}, { headers: headersOf(credential) }));
  assert.equal(lines.length, 1);
  return lines[0] ?? {};
}

describe("the line of a call that was refused", () => {
  const address = "203.0.113.9";

  test("says who proved to make it and had no right to, and the address behind our proxy", async () => {
    assert.deepEqual(whoIn(await lineOf("customer", "listOrders")), { by: customerId, on: undefined, address });
  });

  test("says for whom a service called", async () => {
    const line = await lineOf("customer", "listOrders", "shipping");
    assert.deepEqual(whoIn(line), { by: "service:shipping", on: customerId, address });
  });

  test("says who it was whom the implementation refused", async () => {
    assert.deepEqual(whoIn(await lineOf("agent", "getOrder")), { by: "key:A1", on: undefined, address });
  });

  test("says of who made up a credential no more than from where, and never what was shown", async () => {
    const line = await lineOf("made-up-9f3b", "listOrders");
    assert.deepEqual(whoIn(line), { by: undefined, on: undefined, address });
    assert.doesNotMatch(JSON.stringify(line), /made-up/);
  });

  test("says why a credential is not taken, which its holder is not told", async () => {
    const { client, lines } = world();
    const call = client.listOrders({}, { headers: headersOf("made-up-9f3b") });
    await assert.rejects(call, { rawMessage: "the credential is not valid here" });
    assert.equal(lines[0]?.["error.message"], "of an issuer that nobody named");
  });

  test("holds no name that an issuer gave", async () => {
    const line = await lineOf("mailed", "cancelOrder");
    assert.deepEqual(whoIn(line), { by: "[e-mail]", on: undefined, address });
  });

  test("says who called too often", async () => {
    const { client, lines } = world({ calls: 1 });
    for (let call = 0; call < 2; call += 1) await assert.rejects(client.getOrder({}, { headers: headersOf("agent") }));
    assert.match(String(lines[1]?.message), /^failed: .*resource_exhausted/);
    assert.deepEqual(whoIn(lines[1]), { by: "key:A1", on: undefined, address });
  });

  test("says who was refused in the middle of a stream", async () => {
    const { client, lines } = world();
    await assert.rejects(async () => {
      for await (const _ of client.watchOrder({}, { headers: headersOf("agent") }));
    }, /no such order/);
    assert.deepEqual(whoIn(lines[0]), { by: "key:A1", on: undefined, address });
  });

  test("is no line of a fault of ours, which says nothing of who called", async () => {
    assert.deepEqual(whoIn(await lineOf("agent", "listOrders")), { by: undefined, on: undefined, address: undefined });
  });
});
