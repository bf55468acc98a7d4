import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Http2Server, type Http2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { cancelOrderSignal } from "../src/workflows/messages.ts";
import { anOrder, bundleOf, localEnvironment, startSaga } from "./harness.ts";
import { World } from "./world.ts";
import { shopRoutes } from "./world-routes.ts";
import { on, type Rule } from "./world-rules.ts";
import { shippingRoutes } from "./world-shipping.ts";

const script = fileURLToPath(new URL("./worker-process.ts", import.meta.url));
/** A killed worker is noticed after these. */
const impatient = { stepTimeoutMs: 1_000, heartbeatMs: 1_000, attempts: 5, patienceMs: 60_000 };

const world = new World();
const sessions = new Set<Http2Session>();
let environment: TestWorkflowEnvironment;
let shop: Http2Server;
let folder: string;
let worker: ChildProcess | undefined;

before(async () => {
  environment = await localEnvironment();
  folder = await mkdtemp(join(tmpdir(), "ordermesh-kill-"));
  await writeFile(join(folder, "bundle.js"), (await bundleOf()).code);
  const routes = (router: Parameters<typeof shopRoutes>[0]) => {
    shopRoutes(router, world);
    shippingRoutes(router, world);
  };
  shop = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  shop.on("session", (session) => sessions.add(session.once("close", () => sessions.delete(session))));
  await once(shop, "listening");
});

after(async () => {
  await kill();
  for (const session of sessions) session.destroy();
  shop?.close();
  await environment?.teardown();
  if (folder) await rm(folder, { recursive: true });
});

async function startWorker(): Promise<void> {
  const address = shop.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const child = fork(script, [environment.address, `http://127.0.0.1:${port}`, join(folder, "bundle.js")]);
  worker = child;
  await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => Promise.reject(new Error("the worker does not start"))),
  ]);
}

async function kill(): Promise<void> {
  const child = worker;
  worker = undefined;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** Kills the worker, once, when a service has done what it was asked for and has not answered. */
function killAfter(steps: string[]): { killed: string[] } {
  const open = [...steps];
  const killed: string[] = [];
  world.onCall = async (step, when) => {
    if (when !== "after" || step !== open[0]) return;
    open.shift();
    await kill();
    killed.push(step);
    await startWorker();
  };
  return { killed };
}

const forward = ["transition", "prepare", "ship", "capture", "commit", "transition", "look", "transition"];
const declined = (orderId: string) => on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
const packing = (orderId: string) => on("prepare", { kind: "refuse", reason: "PACKING_FAILED" }, { orderId });

const cases: { name: string; kills: string[]; rules?: (orderId: string) => Rule[]; stage: string; effects: number }[] =
  [
    { name: "reserve", kills: ["reserve"], stage: "DELIVERED", effects: 11 },
    { name: "authorize", kills: ["authorize"], stage: "DELIVERED", effects: 11 },
    { name: "confirm", kills: ["confirm"], stage: "DELIVERED", effects: 11 },
    { name: "every step from the confirmed order on", kills: forward, stage: "DELIVERED", effects: 11 },
    {
      ...{ name: "every compensation", kills: ["void", "release", "transition"], stage: "REJECTED", effects: 4 },
      rules: (orderId) => [declined(orderId)],
    },
    {
      ...{ name: "every step that drops a parcel", kills: ["cancel", "void", "release"], stage: "FAILED", effects: 9 },
      rules: (orderId) => [packing(orderId)],
    },
  ];

describe("a worker that is killed and started again, after", () => {
  for (const { name, kills, rules, stage, effects } of cases) {
    test(`${name}: nothing has an effect twice`, async () => {
      const orders = [anOrder(), anOrder()];
      for (const { orderId } of orders) world.rules.push(...(rules?.(orderId) ?? []));
      if (!worker) await startWorker();
      const plan = killAfter(kills);
      const handle = await startSaga(environment, orders, impatient, "2s");
      const result = await handle.result();
      assert.deepEqual(plan.killed, kills);
      for (const order of result.orders) {
        assert.equal(order.stage, stage);
        const ids = world.effects.filter(({ orderId }) => orderId === order.orderId).map(({ id }) => id);
        assert.equal(ids.length, effects, ids.join());
        assert.equal(new Set(ids).size, effects, ids.join());
      }
    });
  }

  // The new worker hears of the cancellation before it has repeated anything of the task that was lost.
  test("authorize, and the order is cancelled before the start: the card is voided", async () => {
    const order = anOrder();
    const { orderId } = order;
    if (!worker) await startWorker();
    const started = Promise.withResolvers<Awaited<ReturnType<typeof startSaga>>>();
    world.onCall = async (step, when) => {
      if (when !== "after" || step !== "authorize") return;
      world.onCall = () => {};
      await kill();
      const handle = await started.promise;
      await handle.signal(cancelOrderSignal, { orderId, reason: "too slow" });
      await startWorker();
    };
    started.resolve(await startSaga(environment, [order], impatient, "2s"));
    const { orders } = await (await started.promise).result();
    assert.deepEqual(orders, [{ orderId, stage: "CANCELLED" }]);
    assert.deepEqual(world.trace(orderId), ["reserve", "authorize", "void", "release", "CANCELLED"]);
  });
});
