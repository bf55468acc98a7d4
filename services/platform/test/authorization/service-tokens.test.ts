// Services prove to each other who they are, with keys of their own.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import type { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { credentialRefused } from "#platform/authorization/errors.ts";
import { ExchangedKeys } from "#platform/authorization/exchanged-keys.ts";
import { ServiceTokens, serviceIssuers } from "#platform/authorization/service-tokens.ts";
import { TokenVerifier } from "#platform/authorization/token-verifier.ts";
import { requestContext } from "#platform/context.ts";
import { Clients } from "#platform/grpc/clients.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import type { ServiceContext } from "#platform/process/service-definition.ts";
import { register } from "#platform/registration.ts";
import { quietLogger } from "#testing/logger.ts";
import { testEnvironment } from "../faces/conformance.ts";
import { contractOf } from "./contract-of.ts";

async function keyOf(service: string): Promise<{ secret: JWK; open: JWK }> {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  return { secret: await exportJWK(privateKey), open: { ...(await exportJWK(publicKey)), kid: service } };
}

const [worker, shipping] = [await keyOf("worker"), await keyOf("shipping")];
const verifier = new TokenVerifier(serviceIssuers({ keys: [worker.open, shipping.open] }));

describe("a service that calls another one", () => {
  const service = contractOf({ CancelOrder: { services: ["worker"] } }) as typeof OrderService;
  const actors: (string | undefined)[] = [];
  let callee: RunningService;
  before(async () => {
    const cancelOrder = () => {
      actors.push(requestContext().actor);
      return {};
    };
    const build = () => ({ services: [register(service, { cancelOrder })], credentials: verifier });
    callee = await launch({ name: "callee", config: {}, build }, testEnvironment);
  });
  after(() => callee.drain());

  async function call(name: string, key: JWK | undefined): Promise<string> {
    using tokens = key && (await ServiceTokens.open(name, { text: JSON.stringify(key) }, quietLogger()));
    const limits = { defaultTimeoutMs: 5_000, maxMessageBytes: 1_000_000 };
    // What it says of itself is another matter.
    const clients = new Clients({
      ...limits,
      service: "worker",
      ...(tokens && { authorization: () => tokens.authorization }),
    });
    try {
      const orderId = "0".repeat(26);
      await clients
        .client(service, `127.0.0.1:${callee.grpcPort}`)
        .cancelOrder({ requestId: "1", orderId, reason: "x" });
      return `taken from ${actors.pop()}`;
    } catch (error) {
      return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? String(error);
    } finally {
      clients.close();
    }
  }

  test("is known by its key, and only by that", async () => {
    assert.equal(await call("worker", worker.secret), "taken from service:worker");
    assert.equal(await call("shipping", shipping.secret), "NOT_PERMITTED");
    assert.equal(await call("worker", undefined), "CREDENTIAL_MISSING");
    assert.equal(await call("worker", shipping.secret), "CREDENTIAL_REFUSED");
    assert.equal(await call("payments", worker.secret), "CREDENTIAL_REFUSED");
  });

  test("tells its own caller that something is away when its key is not taken, and not that his is not", async () => {
    const address = `127.0.0.1:${callee.grpcPort}`;
    const middle = contractOf({ CancelOrder: { anyone: true } }) as typeof OrderService;
    const build = ({ client }: ServiceContext<Record<never, never>>) => ({
      services: [register(middle, { cancelOrder: (request) => client(service, address).cancelOrder(request) })],
    });
    // The key of another one: what the callee knows as the worker's is not this.
    const env = { ...testEnvironment, SERVICE_KEY: JSON.stringify(shipping.secret) };
    const running = await launch({ name: "worker", config: {}, build }, env);
    const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 1_000_000 });
    try {
      const request = { requestId: "1", orderId: "0".repeat(26), reason: "x" };
      const asked = clients.client(middle, `127.0.0.1:${running.grpcPort}`).cancelOrder(request);
      const error = await asked.then(() => assert.fail("it was taken"), ConnectError.from);
      const [info] = error.findDetails(ErrorInfoSchema);
      assert.deepEqual(
        [error.code, info?.reason, info?.metadata],
        [Code.Unavailable, "UNAVAILABLE", { dependency: "credential" }],
      );
      assert.equal(error.findDetails(RetryInfoSchema).length, 1);
    } finally {
      clients.close();
      await running.drain();
    }
  });
});

test("a service that names its own key in another's token is not taken for that one", async () => {
  const name = "service:worker";
  const forged = await new SignJWT({ client_id: name, sub: name, jti: "1" })
    .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid: "shipping" })
    .setIssuer(name)
    .setAudience("ordermesh")
    .setIssuedAt()
    .setExpirationTime("1m")
    .sign(await importJWK(shipping.secret, "EdDSA"));
  await assert.rejects(verifier.verify(forged), { reasonName: "CREDENTIAL_REFUSED" });
});

test("a key that is swapped for one that signs nothing is said, and the token before is shown on", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const key = { text: JSON.stringify(worker.secret) };
  const said: string[] = [];
  using tokens = await ServiceTokens.open("worker", key, { error: (message) => void said.push(message) });
  const before = tokens.authorization;
  key.text = JSON.stringify({ kty: "OKP", crv: "Ed25519", x: "no key" });
  context.mock.timers.tick(120_000);
  await new Promise(setImmediate);
  assert.deepEqual([said.length, tokens.authorization], [1, before]);
});

describe("a key that is shown as it is", () => {
  test("is exchanged for all who wait for it, also when the first of them waits no longer", async () => {
    using tokens = await ServiceTokens.open("agent", { text: JSON.stringify(worker.secret) }, quietLogger());
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const exchangeApiKey = async () => {
      asked.resolve();
      await answer.promise;
      return { accessToken: tokens.authorization.slice("Bearer ".length) };
    };
    const build = () => ({ services: [register(IdentityService, { exchangeApiKey } as never)] });
    const identity = await launch({ name: "issuer", config: {}, build }, testEnvironment);
    const service = contractOf({ CancelOrder: { roles: [Role.AGENT] } }) as typeof OrderService;
    const reader = await launch(
      { name: "reader", config: {}, build: () => ({ services: [register(service, { cancelOrder: () => ({}) })] }) },
      {
        ...testEnvironment,
        TOKEN_ISSUERS: '[{"issuer":"https://nobody.test","audience":"ordermesh"}]',
        SERVICE_KEYS: JSON.stringify({ keys: [{ ...worker.open, kid: "agent", roles: ["agent"] }] }),
        IDENTITY_ADDRESS: `127.0.0.1:${identity.grpcPort}`,
      },
    );
    const authorization = () => "Bearer ordermesh_key_x";
    const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 1_000_000, authorization });
    try {
      const orders = clients.client(service, `127.0.0.1:${reader.grpcPort}`);
      const request = { requestId: "1", orderId: "0".repeat(26), reason: "x" };
      const first = orders.cancelOrder(request, { timeoutMs: 500 });
      await asked.promise;
      const second = orders.cancelOrder({ ...request, requestId: "2" });
      await assert.rejects(first, { code: Code.DeadlineExceeded });
      answer.resolve();
      await second;
    } finally {
      clients.close();
      await reader.drain();
      await identity.drain();
    }
  });

  test("is exchanged once a minute, at the same time by one of many, and again when it was refused", async () => {
    using tokens = await ServiceTokens.open("worker", { text: JSON.stringify(worker.secret) }, quietLogger());
    const asked: string[] = [];
    let good = true;
    const keys = new ExchangedKeys(verifier, async (key) => {
      asked.push(key);
      if (!good) throw credentialRefused("invalid");
      return tokens.authorization.slice("Bearer ".length);
    });
    const key = "ordermesh_key_x";
    const callers = await Promise.all(Array.from({ length: 9 }, () => keys.verify(key)));
    assert.deepEqual([callers.length, asked], [9, [key]]);
    good = false;
    for (const again of [1, 2]) {
      await assert.rejects(keys.verify("ordermesh_key_y"), { reasonName: "CREDENTIAL_REFUSED" });
      assert.equal(asked.length, 1 + again);
    }
    assert.equal((await keys.verify(tokens.authorization.slice("Bearer ".length))).service, "worker");
  });

  test("is not refused when the token that it was exchanged for is not good here: a clock is wrong", async (context) => {
    using tokens = await ServiceTokens.open("worker", { text: JSON.stringify(worker.secret) }, quietLogger());
    const keys = new ExchangedKeys(verifier, async () => tokens.authorization.slice("Bearer ".length));
    context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 3_600_000 });
    await assert.rejects(keys.verify("ordermesh_key_x"), { reasonName: "UNAVAILABLE", retryAfterMs: 1_000 });
  });

  test("is good while its issuer is away, for as long as its last token would be", async (context) => {
    using tokens = await ServiceTokens.open("worker", { text: JSON.stringify(worker.secret) }, quietLogger());
    context.mock.timers.enable({ apis: ["Date"], now: Date.now() });
    let failure: Error | undefined;
    const keys = new ExchangedKeys(verifier, async () => {
      if (failure) throw failure;
      return tokens.authorization.slice("Bearer ".length);
    });
    const taken = () => keys.verify("ordermesh_key_x").then(({ service }) => service, String);
    assert.equal(await taken(), "worker");
    failure = new ConnectError("away", Code.Unavailable);
    const answers: string[] = [];
    for (let minute = 1; minute <= 5; minute += 1) {
      context.mock.timers.tick(61_000);
      answers.push((await taken()) ?? "");
    }
    // The token is of five minutes, and its last one is left for what is remembered.
    assert.deepEqual(answers, ["worker", "worker", "worker", String(failure), String(failure)]);
    failure = undefined;
    context.mock.timers.setTime(Date.now() - 240_000);
    assert.equal(await taken(), "worker");
    failure = credentialRefused("invalid");
    context.mock.timers.tick(61_000);
    await assert.rejects(keys.verify("ordermesh_key_x"), { reasonName: "CREDENTIAL_REFUSED" });
  });
});
