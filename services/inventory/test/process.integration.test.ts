import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { newId } from "#platform/id.ts";
import { bareEnvironment } from "#testing/bare-environment.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { migrations } from "../src/migrations/list.ts";

const names = migrations.map(({ name }) => name);
const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

describe("inventory process", () => {
  let test: TestDatabase;
  const children = new Set<Child>();
  before(async () => {
    test = await testDatabase("inventory", { entities: [], migrations: [] });
  });
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await test[Symbol.asyncDispose]();
  });

  function run(...args: string[]): Child {
    const env = {
      ...bareEnvironment,
      DATABASE_URL: test.url,
      DATABASE_MIGRATION_URL: test.ownerUrl,
      GRPC_PORT: "0",
      HTTP_PORT: "0",
      LOG_FORMAT: "json",
      LOW_STOCK_EVERY_MS: "20",
      PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
      TOKEN_ISSUERS: "none",
    };
    const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    child.once("exit", () => children.delete(child));
    return child;
  }

  it("does not serve on a schema that is too old, and says so in one sentence", async () => {
    const { code, text } = await ended(run());
    assert.notEqual(code, 0);
    assert.ok(text.includes(`lacks ${names.length} migration(s): ${names.join(", ")}; run "migrate up" first`), text);
  });

  it("migrates, serves both faces, and loses no call when it is told to stop", async () => {
    const migrated = await ended(run("migrate", "up"));
    assert.deepEqual([migrated.code, migrated.text], [0, names.map((name) => `up ${name}\n`).join("")]);
    const child = run();
    const { grpcPort, httpPort } = await listening(child);
    const client = createClient(InventoryService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }));
    await client.adjustStock({ requestId: "first", sku: "mug", locationId: "berlin", delta: 500n, reason: "delivery" });
    const response = await fetch(`http://127.0.0.1:${httpPort}/shop.inventory.v1.InventoryService/GetStockLevel`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sku: "mug" }),
    });
    assert.match(await response.text(), /"available":\s*"500"/);
    await client.adjustStock({ requestId: "few", sku: "cap", locationId: "berlin", delta: 5n, reason: "delivery" });
    await shows(httpPort, /^inventory_low_stock_levels\{service="inventory"\} 1$/m);
    const lines = [{ sku: "mug", quantity: 1n }];
    const calls = Array.from({ length: 200 }, () =>
      client.reserveStock({ requestId: newId(), orderId: newId(), lines }),
    );
    await calls[0];
    child.kill("SIGTERM");
    const results = await Promise.allSettled(calls);
    const done = results.filter((result) => result.status === "fulfilled").length;
    const [row] = await test.database.query<{ count: bigint }>("select count(*) from reservation");
    assert.equal(Number(row?.count), done, "what was answered is what was done");
    assert.equal((await ended(child)).code, 0);
  });
});

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Waits until the metrics of a process say so. */
async function shows(httpPort: number, sample: RegExp): Promise<void> {
  await until(async () => {
    const response = await fetch(`http://127.0.0.1:${httpPort}/metrics`);
    assert.match(await response.text(), sample);
    return true;
  }, `the metrics say ${sample}`);
}

/** How a process ended and all that it wrote. */
async function ended(child: Child): Promise<{ code: number | null; text: string }> {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += String(data)));
  const code = child.exitCode ?? ((await once(child, "close")) as [number | null])[0];
  return { code, text };
}

/** The ports of a process, once it listens. */
async function listening(child: Child): Promise<{ grpcPort: number; httpPort: number }> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    const [, grpcPort] = /"grpc":\{"port":(\d+)/.exec(line) ?? /"server\.grpc\.port":(\d+)/.exec(line) ?? [];
    const [, httpPort] = /"http":\{"port":(\d+)/.exec(line) ?? /"server\.http\.port":(\d+)/.exec(line) ?? [];
    if (grpcPort && httpPort) return { grpcPort: Number(grpcPort), httpPort: Number(httpPort) };
  }
  throw new Error(`the process does not listen:\n${lines.join("\n")}`);
}
