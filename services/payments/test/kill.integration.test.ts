import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Client } from "@connectrpc/connect";
import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { type ServedSimulators, serveSimulators } from "../../simulators/test/served-simulators.ts";
import { type Harness, openHarness } from "./harness.ts";

const main = fileURLToPath(import.meta.resolve("../src/main.ts"));
const tokens = ["tok_approve", "tok_decline", "tok_timeout_after_success", "tok_error_500", "tok_slow"];
let harness: Harness;
let gateway: ServedSimulators;

before(async () => {
  harness = await openHarness();
  gateway = await serveSimulators(harness.outside.url);
});
after(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await harness?.[Symbol.asyncDispose]();
});

/** A running payments service. */
interface Running {
  readonly client: Client<typeof PaymentService>;
  /** As `kill -9`. */
  kill(): Promise<void>;
}

async function start(): Promise<Running> {
  const env = {
    DATABASE_URL: harness.test.url,
    PAGE_TOKEN_SECRET: "a secret of at least 32 characters",
    TOKEN_ISSUERS: "none",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    LOG_FORMAT: "json",
    GATEWAY_TIMEOUT_MS: "300",
    GATEWAY_CONNECTOR_ADDRESS: gateway.address,
    PAYMENTS_ANSWER_WITHIN_MS: "200",
    PAYMENTS_RESOLVE_EVERY_MS: "100",
  };
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
  const clients = new Clients({ defaultTimeoutMs: 2_000, maxMessageBytes: 4_000_000 });
  const client = clients.client(PaymentService, `127.0.0.1:${await grpcPort(child)}`);
  const kill = async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    clients.close();
  };
  return { client, kill };
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

/** Begins calls of all kinds; resolves when some of them are answered. */
async function someAnswers(calls: Promise<unknown>[], wanted: number): Promise<void> {
  let answered = 0;
  await new Promise<void>((resolve) => {
    for (const call of calls) {
      call
        .catch(() => undefined)
        .then(() => {
          answered += 1;
          if (answered === wanted) resolve();
        });
    }
  });
}

test("a service that is killed at any moment loses no money and takes none twice", async (t) => {
  const asked = Array.from({ length: 60 }, (_, index) => ({
    requestId: newId(),
    paymentId: newId(),
    orderId: newId(),
    customerId: newId(),
    amount: { currency: "EUR", amount: 1_000n },
    cardToken: tokens[index % tokens.length] ?? "",
  }));
  const captures = asked.map(({ paymentId }) => ({
    requestId: newId(),
    paymentId,
    amount: { currency: "EUR", amount: 400n },
  }));
  const voids = asked.map(({ paymentId }) => ({ requestId: newId(), paymentId }));
  for (const killAfter of [5, 40]) {
    const { client, kill } = await start();
    t.after(kill);
    const calls = asked.flatMap((request, index) => {
      const step = [captures[index], voids[index]] as const;
      return [
        client.authorizePayment(request),
        ...(step[0] ? [client.capturePayment(step[0])] : []),
        ...(step[1] && killAfter > 5 && index % 2 ? [client.voidPayment(step[1])] : []),
      ];
    });
    const ended = Promise.allSettled(calls);
    await someAnswers(calls, killAfter);
    await kill();
    await ended;
  }
  const { client, kill } = await start();
  t.after(kill);
  const decided = async () => {
    await harness.expireLeases();
    const { outcomes } = await client.batchAuthorizePayments({ requests: asked });
    const pending = outcomes.some(({ outcome }) => {
      return outcome.case === "response" && outcome.value.payment?.status === PaymentStatus.PENDING;
    });
    return !pending && (await harness.operations.backlog()).undecided === 0;
  };
  await until(decided, "everything is decided", { deadlineMs: 60_000 });
  await harness.assertBalance();
  // One with a card that is declined and that nobody voids: a void may come before the payment does.
  const { payment } = await client.getPayment({ paymentId: asked[6]?.paymentId ?? "" });
  assert.equal(payment?.status, PaymentStatus.DECLINED);
});
