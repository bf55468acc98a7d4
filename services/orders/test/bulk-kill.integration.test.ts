import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Client } from "@connectrpc/connect";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { until } from "#testing/until.ts";
import { CustomerRepository } from "../src/customer/customer.repository.ts";
import { orderRequest, ordersDatabase, unique } from "./harness.ts";

const main = fileURLToPath(import.meta.resolve("../src/main.ts"));

/** A running orders service. */
interface Running {
  readonly client: Client<typeof OrderService>;
  /** As `kill -9`. */
  kill(): Promise<void>;
}

async function start(url: string): Promise<Running> {
  const env = {
    DATABASE_URL: url,
    PAGE_TOKEN_SECRET: "a secret of at least 32 characters",
    TOKEN_ISSUERS: "none",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    LOG_FORMAT: "json",
    // Nobody carries the orders, and nobody is refused for that.
    WORKER_ADDRESS: "127.0.0.1:1",
    ORDER_CONFIRM_WITHIN_MS: "3600000",
    // So that there is a middle to be killed in.
    ORDER_LIST_MAX: "8",
    ORDER_INSERT_LANES: "1",
  };
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
  const clients = new Clients({ defaultTimeoutMs: 30_000, maxMessageBytes: 8_000_000 });
  const client = clients.client(OrderService, `127.0.0.1:${await grpcPort(child)}`);
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

test("a service that is killed amid many orders has each of them once when the call is repeated", async (t) => {
  const held = await ordersDatabase();
  t.after(() => held[Symbol.asyncDispose]());
  const { database, url } = held;
  const details = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com", phone: "" };
  const keyed = { requestId: unique("customer"), fingerprint: Buffer.from("ada"), details };
  const { customerId } = await new CustomerRepository(database).create(keyed);
  const requests = Array.from({ length: 1_000 }, () => orderRequest(customerId));
  const count = async () => {
    const [row] = await database.query<{ orders: number }>("select count(*)::int as orders from customer_order");
    return row?.orders ?? 0;
  };

  const first = await start(url);
  t.after(first.kill);
  const lost = first.client.bulkCreateOrders({ requests }).then(
    () => "answered",
    () => "lost",
  );
  await until(async () => (await count()) > 0, "the first of them are there");
  await first.kill();
  assert.equal(await lost, "lost");
  const kept = await count();
  assert.ok(kept > 0 && kept < requests.length, `killed after ${kept}`);

  const second = await start(url);
  t.after(second.kill);
  const { outcomes } = await second.client.bulkCreateOrders({ requests });
  const ids = outcomes.map(({ outcome }) => (outcome.case === "response" ? outcome.value.order?.orderId : undefined));
  assert.equal(new Set(ids).size, requests.length);
  assert.ok(!ids.includes(undefined));
  assert.equal(await count(), requests.length);
});
