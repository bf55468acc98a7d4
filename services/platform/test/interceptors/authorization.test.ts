// Who may call, as the contract says it: every kind of caller at every kind of rule, and what the implementation knows of it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { credentialRefused } from "#platform/authorization/errors.ts";
import type { Caller } from "#platform/caller.ts";
import { requestContext } from "#platform/context.ts";
import { authorizationInterceptor } from "#platform/interceptors/authorization.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { Limits } from "#platform/interceptors/limits.ts";
import { ClientAddresses } from "#platform/limits/client-address.ts";
import { contractOf } from "../authorization/contract-of.ts";

const everyRole = [1, 2, 3, 4, 5, 6, 7] as const satisfies Role[];

const customerId = "0123456789ABCDEFGHJKMNPQRS";

const callers: Readonly<Record<string, Caller>> = {
  customer: { subject: customerId, roles: new Set([Role.CUSTOMER]) },
  agent: { subject: "A1", roles: new Set([Role.AGENT]) },
  "agent-who-buys": { subject: customerId, roles: new Set([Role.AGENT, Role.CUSTOMER]) },
  worker: { subject: "service:worker", roles: new Set(), service: "worker" },
  shipping: { subject: "service:shipping", roles: new Set(), service: "shipping" },
  // What a service shows names no role; should it, that counts for nothing.
  "worker-with-roles": { subject: "service:worker", roles: new Set(everyRole), service: "worker" },
  "key-of-a-customer": { subject: "key:C1", roles: new Set([Role.CUSTOMER]) },
  nobody: { subject: "N1", roles: new Set() },
  "somebody-without-roles": { subject: customerId, roles: new Set() },
  admin: { subject: "A2", roles: new Set([Role.ADMIN]) },
  "key-of-an-admin": { subject: "key:A1", roles: new Set(everyRole) },
  treasurer: { subject: "T1", roles: new Set([Role.FINANCE]), person: true },
  "key-of-finance": { subject: "key:F1", roles: new Set([Role.FINANCE]) },
  "program-of-finance": { subject: "service:probe", roles: new Set([Role.FINANCE]), person: false },
};

/** The contract of a call, by what is allowed in it. */
const orders = contractOf({
  CreateOrder: { roles: [Role.AGENT], own: { of: { case: "field", value: "customer_id" } } },
  GetOrder: { roles: [Role.AGENT], own: { of: { case: "rows", value: true } } },
  ListOrders: { roles: [Role.AGENT, Role.FINANCE] },
  CancelOrder: { services: ["worker"] },
  BulkCreateOrders: { anyone: true },
  // A rule that a check has let through.
  WatchOrder: undefined,
}) as typeof OrderService;

/** Another one, of what people do about themselves. */
const forPeople = contractOf({
  CreateOrder: { roles: [Role.ADMIN], person: { of: { case: "field", value: "customer_id" } } },
  GetOrder: { person: { of: { case: "rows", value: true } } },
}) as typeof OrderService;

interface Seen {
  readonly subject: string | undefined;
  readonly actor: string | undefined;
  readonly owner: string | undefined;
}

/** Calls a method as somebody, and returns what the implementation saw, or the refusal. */
function world(limits?: Limits, service = orders) {
  const seen: Seen[] = [];
  const refused: string[] = [];
  const note = () => {
    const { caller, actor, owner } = requestContext();
    seen.push({ subject: caller?.subject, actor, owner });
    return {};
  };
  const credentials = {
    isKnown: (credential: string) => credential === "agent",
    async verify(credential: string): Promise<Caller> {
      const caller = callers[credential];
      if (!caller) throw credentialRefused("invalid");
      return caller;
    },
  };
  const interceptors = [
    contextInterceptor(1_000),
    errorInterceptor(),
    authorizationInterceptor({
      services: [service],
      credentials,
      onRefused: (reason) => refused.push(reason),
      limits,
    }),
  ];
  const transport = createRouterTransport(
    (router) =>
      router.service(service, {
        createOrder: note,
        getOrder: note,
        listOrders: note,
        cancelOrder: note,
        bulkCreateOrders: note,
        async *watchOrder() {
          yield note();
        },
      }),
    { router: { interceptors } },
  );
  return { client: createClient(service, transport), seen, refused };
}

test("what is for people alone is for no program, and for no service, whatever its roles", async () => {
  const people = contractOf({ ListOrders: { roles: [Role.FINANCE], people: true } }) as typeof OrderService;
  const { client, seen, refused } = world(undefined, people);
  const list = (authorization: string) => client.listOrders({}, { headers: { authorization } });
  await list("Bearer treasurer");
  assert.deepEqual(seen, [{ subject: "T1", actor: "T1", owner: undefined }]);
  const others = ["key-of-finance", "program-of-finance", "worker-with-roles", "agent", "nobody"];
  for (const name of others) {
    await assert.rejects(list(`Bearer ${name}`), (error) => ConnectError.from(error).code === Code.PermissionDenied);
  }
  assert.deepEqual(refused, Array(others.length).fill("NOT_PERMITTED"));
  assert.equal(seen.length, 1);
});

type Call = "createOrder" | "getOrder" | "listOrders" | "cancelOrder" | "bulkCreateOrders";

async function outcomeOf(
  call: Call,
  authorization: string | undefined,
  { request = {}, service = orders } = {},
): Promise<string> {
  const { client, seen, refused } = world(undefined, service);
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  try {
    await client[call](request, { headers });
  } catch (error) {
    const told = ConnectError.from(error);
    const reason = told.findDetails(ErrorInfoSchema)[0]?.reason ?? told.message;
    assert.deepEqual([seen, refused], [[], [reason]]);
    assert.equal(told.code, reason === "NOT_PERMITTED" ? Code.PermissionDenied : Code.Unauthenticated);
    assert.equal(told.metadata.get("www-authenticate")?.slice(0, 6) ?? "", reason === "NOT_PERMITTED" ? "" : "Bearer");
    return reason;
  }
  assert.deepEqual(refused, []);
  const { subject = "-", actor = "-", owner = "-" } = seen[0] ?? {};
  return `${subject} ${actor} ${owner}`;
}

describe("the contract decides", () => {
  const denied = "NOT_PERMITTED";
  const own = `${customerId} ${customerId} ${customerId}`;
  const all = `${customerId} ${customerId} -`;
  const table: readonly (readonly [Call, Readonly<Record<string, string>>])[] = [
    [
      "createOrder",
      {
        customer: own,
        agent: "A1 A1 -",
        "agent-who-buys": all,
        worker: denied,
        "worker-with-roles": denied,
        nobody: denied,
      },
    ],
    [
      "getOrder",
      {
        customer: own,
        "key-of-a-customer": denied,
        agent: "A1 A1 -",
        "agent-who-buys": all,
        worker: denied,
        nobody: denied,
      },
    ],
    ["listOrders", { customer: denied, agent: "A1 A1 -", worker: denied, "worker-with-roles": denied, nobody: denied }],
    [
      "cancelOrder",
      {
        customer: denied,
        agent: denied,
        worker: "service:worker service:worker -",
        "worker-with-roles": "service:worker service:worker -",
        shipping: denied,
        nobody: denied,
      },
    ],
    ["bulkCreateOrders", { customer: "- anonymous -", nobody: "- anonymous -" }],
  ];
  for (const [call, expected] of table) {
    for (const [who, outcome] of Object.entries(expected)) {
      test(`${call} by ${who}: ${outcome}`, async () => {
        assert.equal(
          await outcomeOf(call, `Bearer ${who}`, { request: call === "createOrder" ? { customerId } : {} }),
          outcome,
        );
      });
    }
  }

  for (const other of ["1123456789ABCDEFGHJKMNPQRS", "", customerId.toLowerCase()]) {
    test(`a customer does not order for "${other}"`, async () => {
      assert.equal(await outcomeOf("createOrder", "Bearer customer", { request: { customerId: other } }), denied);
    });
  }

  const people: Readonly<Record<string, readonly [mine: string, others: string]>> = {
    customer: [own, denied],
    "somebody-without-roles": [own, denied],
    "agent-who-buys": [own, denied],
    agent: [denied, denied],
    admin: ["A2 A2 -", "A2 A2 -"],
    "key-of-an-admin": ["key:A1 key:A1 -", "key:A1 key:A1 -"],
    "worker-with-roles": [denied, denied],
  };
  for (const [who, [mine, others]] of Object.entries(people)) {
    test(`what is for people about themselves, or for admins, by ${who}: ${mine}`, async () => {
      const outcomes = [customerId, "1123456789ABCDEFGHJKMNPQRS"].map((id) =>
        outcomeOf("createOrder", `Bearer ${who}`, { request: { customerId: id }, service: forPeople }),
      );
      assert.deepEqual(await Promise.all(outcomes), [mine, others]);
      const expected = mine === own ? own : denied;
      assert.equal(await outcomeOf("getOrder", `Bearer ${who}`, { service: forPeople }), expected);
    });
  }

  test("what has no rule is for nobody", async () => {
    for (const who of Object.keys(callers)) {
      const { client, seen } = world();
      const stream = client.watchOrder({}, { headers: { authorization: `Bearer ${who}` } });
      await assert.rejects(async () => {
        for await (const _ of stream) assert.fail("a message");
      }, /not for this call/);
      assert.deepEqual(seen, []);
    }
  });
});

describe("a credential", () => {
  const cases: readonly (readonly [string, string | undefined, string])[] = [
    ["that is missing", undefined, "CREDENTIAL_MISSING"],
    ["of another scheme", "Basic agent", "CREDENTIAL_MISSING"],
    ["that is empty", "Bearer ", "CREDENTIAL_MISSING"],
    ["of two", "Bearer agent, Bearer agent", "CREDENTIAL_MISSING"],
    ["that nobody knows", "Bearer stranger", "CREDENTIAL_REFUSED"],
    ["whose scheme is in other letters", "bEaReR agent", "A1 A1 -"],
  ];
  for (const [what, authorization, expected] of cases) {
    test(`${what}: ${expected}`, async () => assert.equal(await outcomeOf("listOrders", authorization), expected));
  }

  test("is not asked for where everybody may call, nor does one that is wrong matter", async () => {
    assert.equal(await outcomeOf("bulkCreateOrders", undefined), "- anonymous -");
    assert.equal(await outcomeOf("bulkCreateOrders", "Bearer stranger"), "- anonymous -");
  });
});

describe("guessing credentials", () => {
  const quotas = { read: undefined, write: undefined, sensitive: { calls: 3, windowMs: 60_000 }, service: undefined };
  const addresses = new ClientAddresses([], "x-forwarded-for");

  async function reasonOf(call: Promise<unknown>): Promise<string> {
    const error = await call.then(() => undefined, ConnectError.from);
    return error?.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
  }

  test("ends when too many were made up; who was known before gets through", async () => {
    const { client, refused } = world(new Limits({ quotas, addresses }));
    const as = (who: string) => reasonOf(client.listOrders({}, { headers: { authorization: `Bearer ${who}` } }));
    // What is good, and what is for another call, is no guess.
    for (const who of ["agent-who-buys", "worker", "nobody", "agent"]) await as(who);
    const outcomes: string[] = [];
    for (const guess of ["a", "b", "c", "d", "agent-who-buys", "agent"]) outcomes.push(await as(guess));
    const guessed = ["CREDENTIAL_REFUSED", "CREDENTIAL_REFUSED", "CREDENTIAL_REFUSED"];
    assert.deepEqual(outcomes, [...guessed, "RATE_LIMITED", "RATE_LIMITED", ""]);
    assert.deepEqual(refused, ["NOT_PERMITTED", "NOT_PERMITTED", ...guessed]);
    assert.equal(await reasonOf(client.bulkCreateOrders({})), "");
  });
});
