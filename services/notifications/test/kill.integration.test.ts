// The service is killed between its lines: what it was about to do is done by the next one, and nobody is told nothing.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { OrderEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { decodeId } from "#platform/id.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/process/service.ts";
import { bareEnvironment } from "#testing/bare-environment.ts";
import { until } from "#testing/until.ts";
import { World } from "./world.ts";

const main = fileURLToPath(import.meta.resolve("../src/main.ts"));
let world: World;
let orders: RunningService;
before(async () => {
  world = await World.open();
  const getOrder = async ({ orderId }: { orderId: string }) => ({ order: world.orders.get(orderId) });
  const definition = {
    name: "orders",
    config: {},
    build: () => ({ services: [register(OrderService, { getOrder })] }),
  };
  const env = { GRPC_PORT: "0", HTTP_PORT: "0", TOKEN_ISSUERS: "none", PAGE_TOKEN_SECRET: "s".repeat(32) };
  orders = await launch(definition, env, new PassThrough().resume());
});
after(async () => {
  await orders?.drain();
  await world?.[Symbol.asyncDispose]();
});

async function start(): Promise<ChildProcess> {
  // What dies is what the test kills: on a machine that is slow for a while no attempt is given up, which would be one more.
  const patient = { MAIL_TIMEOUT_MS: "5000", ORDERS_TIMEOUT_MS: "5000" };
  const own = { LOG_FORMAT: "json", ORDERS_ADDRESS: `127.0.0.1:${orders.grpcPort}`, ...patient };
  const env = { ...bareEnvironment, ...world.environment(own) };
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout }))
    if (JSON.parse(line)["server.grpc.port"] !== undefined) break;
  child.stdout.resume();
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

const confirm = ({ orderId }: Order) =>
  world.tell({ type: "shop.orders.order.confirmed.v1", schema: OrderEventSchema, data: { orderId } });

test("killed before the server has the mail: it is sent by the next one, once", async (t) => {
  const order = world.orders.add();
  const asked = Promise.withResolvers<void>();
  let first: ChildProcess | undefined;
  world.mailbox.behaviour = {
    recipient: () => {
      first?.kill("SIGKILL");
      asked.resolve();
      world.mailbox.behaviour = {};
      return undefined;
    },
  };
  first = await start();
  await confirm(order);
  await asked.promise;
  await kill(first);
  assert.equal(world.mailsOf(order).length, 0);
  const second = await start();
  t.after(() => kill(second));
  await until(() => world.mailsOf(order).length === 1, "it is told", { deadlineMs: 60_000 });
});

test("killed when the server has the mail, before that is noted: it comes again under its Message-ID, and no more", async (t) => {
  const order = world.orders.add();
  let first: ChildProcess | undefined;
  const taken = Promise.withResolvers<void>();
  world.mailbox.behaviour = {
    losesAnswer: ({ subject }) => {
      // The test before may have left one that was not noted.
      if (!subject.includes(order.orderId)) return false;
      first?.kill("SIGKILL");
      taken.resolve();
      world.mailbox.behaviour = {};
      return true;
    },
  };
  first = await start();
  await confirm(order);
  await taken.promise;
  await kill(first);
  const second = await start();
  t.after(() => kill(second));
  await until(() => world.mailsOf(order).length === 2, "it is told again", { deadlineMs: 60_000 });
  const sql = "select attempts from notification where status = 'sent' and order_id = $1";
  const row = await until(async () => {
    const rows = await world.test.database.query<{ attempts: number }>(sql, [decodeId(order.orderId)]);
    return rows[0];
  }, "it is noted");
  assert.equal(row.attempts, 2);
  assert.equal(new Set(world.mailsOf(order).map(({ messageId }) => messageId)).size, 1);
});

test("killed at any moment, again and again, it tells everybody, and nobody more often than it was killed with the mail on its way", async () => {
  world.mailbox.behaviour = {};
  world.mailbox.clear();
  const all: Order[] = [];
  const kills = 6;
  for (let round = 0; round < kills; round += 1) {
    const orders = Array.from({ length: 15 }, () => world.orders.add());
    all.push(...orders);
    for (const order of orders) await confirm(order);
    const before = world.mailbox.mails.length;
    const child = await start();
    await until(() => world.mailbox.mails.length > before, "something is told", { deadlineMs: 30_000 });
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 100));
    await kill(child);
  }
  const last = await start();
  try {
    const everybody = () => all.every((order) => world.mailsOf(order).length > 0);
    // What somebody took when he was killed is another one's after a minute.
    await until(everybody, "everybody is told", { deadlineMs: 150_000, everyMs: 100 });
    const ended = async () => {
      const rows = await world.test.database.query("select from notification where status = 'pending'");
      return rows.length === 0;
    };
    await until(ended, "all is noted", { deadlineMs: 30_000 });
  } finally {
    await kill(last);
  }
  const twice = all.reduce((sum, order) => sum + world.mailsOf(order).length - 1, 0);
  // So many mails may be on their way at the same time.
  assert.ok(twice <= kills * 4, `${twice} came twice`);
  for (const order of all) assert.equal(new Set(world.mailsOf(order).map(({ messageId }) => messageId)).size, 1);
});
