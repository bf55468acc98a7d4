// Every call of every process, on both ports, where all of them ask who calls: with no credential, with bad ones, as somebody
// else, and as whom it is for. An order that comes through with all doors shut.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { until } from "#testing/until.ts";
import { Ordermesh } from "../../../clients/typescript/src/ordermesh.ts";
import { programs } from "../../../deploy/infrastructure/service-keys.ts";
import { type Service, services } from "../../../services/services.ts";
import { fillShelves } from "../../shop/catalogue.ts";
import { clientOptionsFor } from "../../shop/clients.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { each } from "./contract-caller.ts";
import { type ContractCall, contractCalls } from "./contract-fields.ts";
import { doors } from "./doors.ts";

const roles = ["agent", "warehouse", "finance", "operator", "auditor", "admin"];
const audience = "ordermesh";
const callsAtOnce = 16;
const timeoutMs = 20_000;

interface Key {
  readonly name: string;
  readonly secret: JWK;
  readonly open: JWK;
}

async function keyOf(name: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  return { name, secret: await exportJWK(privateKey), open: { ...(await exportJWK(publicKey)), kid: name } };
}

interface Said {
  readonly issuer: string;
  readonly subject: string;
  readonly roles?: readonly string[];
  readonly audience?: string;
  readonly end?: string;
  /** The program that it is given to for somebody else than itself. */
  readonly program?: string;
}

function sign({ secret, name }: Pick<Key, "name" | "secret">, said: Said): Promise<string> {
  return new SignJWT({
    client_id: said.program ?? said.subject,
    sub: said.subject,
    jti: said.subject,
    roles: said.roles ?? [],
  })
    .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid: name })
    .setIssuer(said.issuer)
    .setAudience(said.audience ?? audience)
    .setIssuedAt("-2 minutes")
    .setExpirationTime(said.end ?? "5 minutes")
    .sign({ ...secret, alg: "EdDSA" });
}

const ada = { requestId: "doors-ada", givenName: "Ada", familyName: "Lovelace", email: "ada@example.com" };
const newOrder = {
  lines: [{ sku: "espresso-cup", quantity: 1, unitPrice: { currency: "EUR", amount: 950n } }],
  shippingAddress: { recipient: "Ada", lines: ["1 Way"], city: "London", postalCode: "SW1Y 4JH", country: "GB" },
  cardToken: "tok_approve",
};

function nameOf({ method }: ContractCall): string {
  return `${method.parent.name}.${method.name}`;
}

describe("a stack in which every service asks who calls", () => {
  const transports = new Map<string, Transport>();
  let issuer: string;
  let known: Key;
  let server: Server;
  let stack: Stack;
  let calls: ContractCall[];

  before(async () => {
    calls = await contractCalls();
    known = await keyOf("known");
    server = createServer((_, response) => response.end(JSON.stringify({ keys: [known.open] })));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ports = await freePorts();
    const issuers = [
      { issuer, audience, keys: issuer },
      { issuer: `http://127.0.0.1:${ports.http.identity}`, audience },
    ];
    // Nobody guesses as often as this test does.
    const all = { TOKEN_ISSUERS: JSON.stringify(issuers), RATE_LIMIT_SENSITIVE: "off" };
    stack = await Stack.start({ ports, logLevel: "debug", environment: { all } });
    for (const service of services) {
      transports.set(`${service} gRPC`, createGrpcTransport({ baseUrl: `http://${stack.address(service)}` }));
      const json = { baseUrl: stack.httpUrl(service), httpVersion: "1.1", useBinaryFormat: false } as const;
      transports.set(`${service} HTTP`, createConnectTransport(json));
    }
  });
  after(async () => {
    await stack?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  /** What becomes of a call that says nothing: the code by which it was refused, or undefined. */
  async function outcomeOf({ server, method }: ContractCall, face: string, credential?: string) {
    const transport = transports.get(`${server} ${face}`) as Transport;
    const client = createClient(method.parent, transport) as unknown as Record<
      string,
      (...given: unknown[]) => unknown
    >;
    const headers: Record<string, string> = credential === undefined ? {} : { authorization: `Bearer ${credential}` };
    try {
      const answer = client[method.localName]?.(create(method.input), { headers, timeoutMs });
      if (method.methodKind === "unary") await answer;
      else for await (const _ of answer as AsyncIterable<unknown>) break;
      return undefined;
    } catch (error) {
      return ConnectError.from(error).code;
    }
  }

  const isDoor = (code: Code | undefined) => code === Code.Unauthenticated || code === Code.PermissionDenied;
  const wordsOf = (call: ContractCall) => (doors[nameOf(call)] ?? "").split(" ");

  /** Identity takes no other issuer's tokens: there somebody has a key that it gave. */
  async function proofOf(role: string, server: Service): Promise<string> {
    const [kind, name = ""] = role.split(":");
    if (kind === "service") return sign(keyOfService(name), { issuer: role, subject: role });
    if (server === "identity") return keyAtIdentity(name || role);
    if (kind === "people") return sign(known, { issuer, subject: "Ada", roles: [name], program: "console" });
    return sign(known, { issuer, subject: `somebody with ${role}`, roles: [role] });
  }

  function keyOfService(name: string): Pick<Key, "name" | "secret"> {
    return { name, secret: stack.blueprint.credentials.serviceKeys[name as Service] as JWK };
  }

  const keysAtIdentity = new Map<string, Promise<string>>();
  function keyAtIdentity(role: string): Promise<string> {
    const made = keysAtIdentity.get(role) ?? makeKey(role);
    keysAtIdentity.set(role, made);
    return made;
  }

  async function makeKey(role: string): Promise<string> {
    const { headers } = stack;
    const client = createClient(IdentityAdminService, transports.get("identity gRPC") as Transport);
    const value = Role[role.toUpperCase() as keyof typeof Role];
    return (await client.createApiKey({ name: role, roles: [value] }, { headers })).secret;
  }

  async function judge(who: string, credentialOf: (call: ContractCall) => Promise<string | undefined>, wanted: Wanted) {
    const wrong: string[] = [];
    let judged = 0;
    await each(calls, callsAtOnce, async (call) => {
      const expected = wanted(call);
      if (expected === "skipped") return;
      const credential = await credentialOf(call);
      for (const face of ["gRPC", "HTTP"]) {
        judged++;
        const code = await outcomeOf(call, face, credential);
        const isAsWanted = expected === "taken" ? !isDoor(code) : code === expected;
        if (!isAsWanted) wrong.push(`${nameOf(call)} of ${call.server}, ${face}, ${who}: ${code && Code[code]}`);
      }
    });
    assert.deepEqual(wrong, []);
    assert.ok(judged > 0, who);
  }
  type Wanted = (call: ContractCall) => Code | "taken" | "skipped";

  test("has a row for every call, and none for others", () => {
    assert.deepEqual([...new Set(calls.map(nameOf))].sort(), Object.keys(doors).sort());
  });

  const isOpen = (call: ContractCall) => wordsOf(call).includes("anyone");
  const bad: Readonly<Record<string, () => Promise<string | undefined>>> = {
    "without a credential": async () => undefined,
    "with an expired one": () => sign(known, { issuer, subject: "late", roles, end: "-1 minute" }),
    "with one for somebody else": () => sign(known, { issuer, subject: "payee", roles, audience: "payroll" }),
    "with one of a stranger": () => sign(known, { issuer: "https://stranger.test", subject: "stranger", roles }),
    "with one that somebody else signed": async () =>
      sign({ ...(await keyOf("known")), name: "known" }, { issuer, subject: "forger", roles }),
  };
  for (const [who, credentialOf] of Object.entries(bad)) {
    test(`lets nobody in ${who}`, async () => {
      await judge(who, credentialOf, (call) => (isOpen(call) ? "taken" : Code.Unauthenticated));
    });
  }

  for (const role of [
    ...roles,
    "people:finance",
    "people:auditor",
    ...services.map((service) => `service:${service}`),
  ]) {
    test(`lets ${role} in where it belongs, and nowhere else`, async () => {
      const wanted: Wanted = (call) => {
        const [kind, name = ""] = role.split(":");
        // Identity asks for its own credentials alone.
        if (kind === "service" && call.server === "identity") return isOpen(call) ? "taken" : Code.Unauthenticated;
        // Some stand for a program of somebody's, with roles.
        const words = kind === "people" ? [role, name] : [role, ...((kind === "service" && programs[name]) || [])];
        const isFor = isOpen(call) || wordsOf(call).some((word) => words.includes(word));
        return isFor ? "taken" : Code.PermissionDenied;
      };
      await judge(role, ({ server }) => proofOf(role, server), wanted);
    });
  }

  test("brings an order to its customer, of somebody who shows an API key as it is", async () => {
    using shop = new Ordermesh(clientOptionsFor(stack));
    await fillShelves(shop.inventory);
    const { customer } = await shop.customers.createCustomer(ada);
    const customerId = customer?.customerId ?? "";
    const { order } = await shop.orders.createOrder({ ...newOrder, customerId });
    const orderId = order?.orderId ?? "";
    const isDelivered = async () => (await shop.orders.getOrder({ orderId })).order?.status === OrderStatus.DELIVERED;
    await until(isDelivered, "the delivery", { deadlineMs: 60_000, everyMs: 250 });
  });
});
