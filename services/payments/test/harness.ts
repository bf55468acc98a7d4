import { create, type MessageInitShape } from "@bufbuild/protobuf";
import pg from "pg";
import { AuthorizePaymentRequestSchema } from "#gen/shop/payments/v1/payment_service_pb.js";
import { Database } from "#platform/database/database.ts";
import { newId } from "#platform/id.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { toAuthorize } from "../src/api/payment-proto.ts";
import type { Gateway } from "../src/gateway/gateway.ts";
import { SimulatorGateway } from "../src/gateway/simulator/simulator-gateway.ts";
import { migrations } from "../src/migrations/list.ts";
import { Payments, type PaymentsOptions } from "../src/move/money-mover.ts";
import { OperationRepository } from "../src/operation/operation.repository.ts";
import type { AuthorizeInput, ChangeInput } from "../src/operation/operation-request.ts";
import { entities } from "../src/payment/payment.entity.ts";
import { PaymentRepository } from "../src/payment/payment.repository.ts";

/** A log that keeps quiet: what goes wrong in these tests is meant to. */
export const quiet = { warn: () => {}, error: () => {} };

/** A database, the simulated gateway and everything of the service that is not a transport. */
export interface Harness extends AsyncDisposable {
  readonly test: TestDatabase;
  readonly database: Database;
  readonly operations: OperationRepository;
  readonly repository: PaymentRepository;
  readonly simulator: SimulatorGateway;
  /** What one process of the service would have; the last options win. */
  payments(options?: Partial<PaymentsOptions>): Payments;
  /** Runs SQL as a superuser. */
  admin<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>;
  /** Makes everything due that is undecided, as if its process had died a while ago. */
  expireLeases(): Promise<void>;
}

/** Opens a fresh harness. */
export async function openHarness(settings: { slowMs?: number; leaseMs?: number } = {}): Promise<Harness> {
  const test = await testDatabase("payments", { entities, migrations });
  const simulatorDatabase = await Database.open({ url: test.url, name: "simulator-test", entities: [], poolMax: 4 });
  const simulator = new SimulatorGateway(simulatorDatabase, { slowMs: settings.slowMs ?? 10_000, latencyMs: 0 });
  const operations = new OperationRepository(test.database, settings.leaseMs ?? 60_000);
  const client = new pg.Pool({ connectionString: test.adminUrl, max: 2 });
  const started: Payments[] = [];
  return {
    test,
    database: test.database,
    operations,
    repository: new PaymentRepository(test.database),
    simulator,
    payments(options = {}) {
      const limits = { timeoutMs: 3_000, inflight: 256 };
      const defaults = {
        repository: operations,
        gateway: simulator as Gateway,
        log: quiet,
        limits,
        answerWithinMs: 5_000,
      };
      const payments = new Payments({ ...defaults, ...options });
      started.push(payments);
      return payments;
    },
    admin: async (sql, values = []) => (await client.query(sql, values)).rows,
    async expireLeases() {
      await client.query("update payment_operation set next_attempt_time = now() where state = 'pending'");
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((payments) => payments.drain(0)));
      await simulator.close();
      await Promise.all([simulatorDatabase.close(), client.end()]);
      await test[Symbol.asyncDispose]();
    },
  };
}

/** An authorization of 1000 EUR cents, if nothing else is said. */
export function authorization(given: Partial<AuthorizeInput> = {}): AuthorizeInput {
  const init: MessageInitShape<typeof AuthorizePaymentRequestSchema> = {
    requestId: given.requestId ?? newId(),
    paymentId: given.paymentId ?? newId(),
    orderId: given.orderId ?? newId(),
    customerId: given.customerId ?? newId(),
    amount: { currency: given.currency ?? "EUR", amount: given.amount ?? 1000n },
    cardToken: given.cardToken ?? "tok_approve",
  };
  return toAuthorize(create(AuthorizePaymentRequestSchema, init));
}

/** A capture, void or refund; without an amount: of all that is left. */
export function change(
  kind: ChangeInput["kind"],
  paymentId: string,
  given: { amount?: bigint; requestId?: string } = {},
): ChangeInput {
  const { requestId = newId(), amount } = given;
  const fingerprint = Buffer.from(`${paymentId} ${amount}`);
  const money = amount === undefined ? undefined : { currency: "EUR", amount };
  return { kind, requestId, paymentId, amount: money, reason: "", fingerprint };
}

/** Waits until the condition holds. @throws after 60 seconds */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("the condition does not come true");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
