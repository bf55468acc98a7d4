// A whole service, which asks who calls, is killed while people approve and reject; and takes another limit from its file of settings.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { RefundRequestStatus } from "#gen/shop/payments/v1/refund_request_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { type ServedSimulators, serveSimulators } from "../../simulators/test/served-simulators.ts";
import { authorization, change, type Harness, openHarness } from "./harness.ts";

const main = fileURLToPath(import.meta.resolve("../src/main.ts"));
const folder = mkdtempSync(join(tmpdir(), "ordermesh-refunds-"));
const settings = join(folder, "settings.yaml");
const audience = "ordermesh";
let harness: Harness;
let gateway: ServedSimulators;
let issuer: Server;
let issuerUrl: string;
let authorizationOf: (name: string) => Promise<string>;

before(async () => {
  harness = await openHarness();
  gateway = await serveSimulators(harness.outside.url);
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: "1" };
  issuer = createServer((_, response) => response.end(JSON.stringify({ keys: [jwk] }))).listen(0, "127.0.0.1");
  await once(issuer, "listening");
  issuerUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  authorizationOf = async (name) => {
    const claims = { client_id: "console", roles: ["finance"], jti: name };
    const token = new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid: "1" });
    token.setIssuer(issuerUrl).setSubject(name).setAudience(audience).setIssuedAt().setExpirationTime("1h");
    return `Bearer ${await token.sign(privateKey)}`;
  };
});
after(async () => {
  issuer?.closeAllConnections();
  issuer?.close();
  rmSync(folder, { recursive: true });
  await gateway?.[Symbol.asyncDispose]();
  await harness?.[Symbol.asyncDispose]();
});

type People = Readonly<Record<"ada" | "bob", Client<typeof PaymentService>>>;

/** A running payments service, as two people see it. */
interface Running {
  readonly people: People;
  /** As `kill -9`. */
  kill(): Promise<void>;
}

async function start(): Promise<Running> {
  const env = {
    CONFIG_FILE: settings,
    SECRETS_REFRESH_MS: "50",
    DATABASE_URL: harness.test.url,
    PAGE_TOKEN_SECRET: "a secret of at least 32 characters",
    TOKEN_ISSUERS: JSON.stringify([{ issuer: issuerUrl, audience, keys: issuerUrl }]),
    RATE_LIMIT_SENSITIVE: "off",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    LOG_FORMAT: "json",
    GATEWAY_TIMEOUT_MS: "300",
    GATEWAY_CONNECTOR_ADDRESS: gateway.address,
    PAYMENTS_ANSWER_WITHIN_MS: "200",
    PAYMENTS_RESOLVE_EVERY_MS: "100",
  };
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
  const address = `127.0.0.1:${await grpcPort(child)}`;
  const open = async (name: string) => {
    const authorization = await authorizationOf(name);
    const options = { defaultTimeoutMs: 10_000, maxMessageBytes: 4_000_000, authorization: () => authorization };
    return new Clients(options);
  };
  const clients = await Promise.all(["ada", "bob"].map(open));
  const [ada, bob] = clients.map((each) => each.client(PaymentService, address)) as [People["ada"], People["bob"]];
  const kill = async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    for (const each of clients) each.close();
  };
  return { people: { ada, bob }, kill };
}

async function grpcPort(child: ChildProcess): Promise<number> {
  assert.ok(child.stdout);
  for await (const line of createInterface({ input: child.stdout })) {
    const port: unknown = JSON.parse(line)["server.grpc.port"];
    if (typeof port === "number") {
      child.stdout.resume();
      return port;
    }
  }
  return assert.fail("the service does not start");
}

const cards = ["tok_approve", "tok_refund_timeout_after_success", "tok_refund_decline"];

/** Payments of which 1,000 EUR cents are captured, and what refunds all of each. */
async function capturedPayments(count: number) {
  const mover = harness.mover();
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const { payment } = await mover.authorize(authorization({ cardToken: cards[index % cards.length] ?? "" }));
      await mover.change(change("capture", payment.paymentId));
      return { requestId: newId(), paymentId: payment.paymentId, amount: { currency: "EUR", amount: 1_000n } };
    }),
  );
}

/** What a repetition of a refund is told in the end. */
async function endOf(
  { people }: Running,
  request: Awaited<ReturnType<typeof capturedPayments>>[number],
): Promise<string> {
  return await until(async () => {
    try {
      const { pending, payment } = await people.ada.refundPayment(request);
      return pending ? undefined : `refunded ${payment?.refunded?.amount}`;
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      return code === Code.FailedPrecondition ? rawMessage : undefined;
    }
  }, "the end of a refund");
}

test("a service that is killed while people decide pays each refund back once, or not at all", {
  timeout: 240_000,
}, async (t) => {
  writeFileSync(settings, "REFUND_LIMIT_MAJOR_UNITS: 5\n");
  const requests = await capturedPayments(36);
  let running = await start();
  t.after(() => running.kill());
  const ids = await Promise.all(
    requests.map(
      async (request) => (await running.people.ada.refundPayment(request)).refundRequest?.refundRequestId ?? "",
    ),
  );
  // Each is approved by some, and each fifth is rejected by others at the same moment; all are asked again after each death.
  const approvals = ids.map((refundRequestId) => ({ requestId: newId(), refundRequestId }));
  const rejections = ids.map((refundRequestId) => ({ requestId: newId(), refundRequestId, reason: "no" }));
  const decideAll = () => {
    const { bob } = running.people;
    return ids.flatMap((_, index) => [
      bob.approveRefund(approvals[index] ?? {}),
      ...(index % 5 === 0 ? [bob.rejectRefund(rejections[index] ?? {})] : []),
    ]);
  };
  for (const answers of [1, 6, 14]) {
    const calls = decideAll();
    const ended = Promise.allSettled(calls);
    let answered = 0;
    await new Promise<void>((resolve) => {
      const count = () => {
        answered += 1;
        if (answered === answers) resolve();
      };
      for (const call of calls) call.then(count, count);
    });
    await running.kill();
    await ended;
    running = await start();
  }
  await Promise.allSettled(decideAll());
  await harness.expireLeases();

  const { bob } = running.people;
  for (const [index, request] of requests.entries()) {
    const { refundRequest } = await bob.getRefundRequest({ refundRequestId: ids[index] ?? "" });
    const status = refundRequest?.status ?? RefundRequestStatus.UNSPECIFIED;
    const declines = cards[index % cards.length] === "tok_refund_decline";
    const expected = declines ? /^the gateway refused/ : /^refunded 1000$/;
    const end = await endOf(running, request);
    assert.match(
      end,
      status === RefundRequestStatus.REJECTED ? /its request is rejected$/ : expected,
      RefundRequestStatus[status],
    );
    if (index % 5 !== 0) assert.equal(status, RefundRequestStatus.APPROVED);
  }
  await until(async () => (await harness.operations.backlog()).undecided === 0, "everything is decided");
  await harness.assertBalance();
  const twice = await harness.admin(
    "select payment_id from ledger_entry where kind = 'refund' group by 1 having count(*) > 1",
  );
  assert.deepEqual(twice, []);
});

test("another limit in the file of settings counts without a restart", { timeout: 60_000 }, async (t) => {
  writeFileSync(settings, "REFUND_LIMIT_MAJOR_UNITS: off\n");
  const running = await start();
  t.after(() => running.kill());
  const { ada } = running.people;
  const [first, ...others] = await capturedPayments(12);
  assert.equal((await ada.refundPayment(first ?? {})).refundRequest, undefined);
  writeFileSync(settings, "REFUND_LIMIT_MAJOR_UNITS: 500\nREFUND_LIMITS_MINOR_UNITS: { EUR: 999 }\n");
  const rests = async () => (await ada.refundPayment(others.pop() ?? {})).refundRequest !== undefined;
  await until(rests, "a refund that needs a second person", { everyMs: 200 });
});
