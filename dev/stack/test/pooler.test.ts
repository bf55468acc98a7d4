// The real PgBouncer between the services and a real PostgreSQL: it hands out two connections, by transaction.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { newId } from "#platform/id.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { migrations as inventoryMigrations } from "../../../services/inventory/src/migrations/list.ts";
import { migrations as ordersMigrations } from "../../../services/orders/src/migrations/list.ts";
import { tool } from "../../tools/tool.ts";
import { freePorts } from "../free-ports.ts";

interface Pooler extends AsyncDisposable {
  /** The same connection through the pooler. */
  through(url: string): string;
}

/** Starts PgBouncer before a server, with two connections for each database and role. */
async function startPooler(databases: readonly TestDatabase[], more = ""): Promise<Pooler> {
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-pooler-"));
  await chmod(folder, 0o755);
  const [port] = (await freePorts()).spare;
  const urls = databases.flatMap(({ url, ownerUrl }) => [new URL(url), new URL(ownerUrl)]);
  const names = new Set(urls.map(({ pathname, port: at }) => `${pathname.slice(1)} = host=127.0.0.1 port=${at}`));
  const users = urls.map(({ username, password }) => `"${username}" "${password}"\n`);
  await writeFile(join(folder, "users"), users.join(""), { mode: 0o644 });
  const settings = `[databases]\n${[...names].join("\n")}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =
auth_type = plain\nauth_file = ${join(folder, "users")}\npool_mode = transaction\ndefault_pool_size = 2\n${more}\n`;
  await writeFile(join(folder, "settings"), settings, { mode: 0o644 });
  // It refuses to run as root.
  const as = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = spawn(await tool("pgbouncer"), [...as, join(folder, "settings")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said: string[] = [];
  createInterface(child.stderr).on("line", (line) => said.push(line));
  await until(() => said.some((line) => line.includes("process up")), `PgBouncer is up: ${said.join("\n")}`);
  return {
    through(url) {
      const pooled = new URL(url);
      pooled.port = String(port);
      return pooled.href;
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.kill("SIGINT");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const env = {
  PATH: process.env.PATH,
  PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
  TOKEN_ISSUERS: "none",
  GRPC_PORT: "0",
  HTTP_PORT: "0",
  LOG_FORMAT: "json",
};

function start(service: string, given: Record<string, string>, args: string[] = []): ChildProcess {
  const main = join(root, "services", service, "src/main.ts");
  return spawn(process.execPath, [main, ...args], { env: { ...env, ...given }, stdio: ["ignore", "pipe", "pipe"] });
}

/** What a process says that ends at once. */
async function lastWords(child: ChildProcess): Promise<string> {
  assert.ok(child.stderr && child.stdout);
  child.stdout.resume();
  const [said] = await Promise.all([text(child.stderr), once(child, "exit")]);
  assert.equal(child.exitCode, 1);
  return said;
}

/** The address of a process that serves. */
async function served(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout && child.stderr);
  child.stderr.pipe(process.stderr);
  for await (const line of createInterface(child.stdout)) {
    const { message, ...fields } = JSON.parse(line);
    if (message !== "listening") continue;
    child.stdout.resume();
    return `http://127.0.0.1:${fields["server.http.port"]}`;
  }
  throw new Error("it does not listen");
}

describe("behind a pooler by transaction", () => {
  let inventory: TestDatabase;
  let orders: TestDatabase;
  const children = new Set<ChildProcess>();

  const run = (...given: Parameters<typeof start>) => {
    const child = start(...given);
    children.add(child);
    return child;
  };

  before(async () => {
    inventory = await testDatabase("inventory", { entities: [], migrations: inventoryMigrations });
    orders = await testDatabase("orders", { entities: [], migrations: ordersMigrations });
  });
  after(async () => {
    for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
    await inventory[Symbol.asyncDispose]();
    await orders[Symbol.asyncDispose]();
  });

  async function bringTimeOuts(database: TestDatabase, role: string): Promise<void> {
    const client = new pg.Client({ connectionString: database.adminUrl });
    await client.connect();
    for (const [name, ms] of Object.entries(ends))
      await client.query(
        `alter role ${role} in database "${new URL(database.url).pathname.slice(1)}" set ${name} = ${ms}`,
      );
    await client.end();
  }
  const ends = { statement_timeout: 5_000, lock_timeout: 2_000, idle_in_transaction_session_timeout: 10_000 };

  test("a service and its migrations say in a sentence what to set", async () => {
    await using strict = await startPooler([inventory, orders]);
    const DATABASE_URL = strict.through(inventory.url);
    const refused = await lastWords(run("inventory", { DATABASE_URL }));
    assert.match(
      refused,
      /^inventory: the database is behind a pooler that keeps no sessions: set DATABASE_POOLED=true.*\n$/,
    );
    const migrating = run("inventory", { DATABASE_MIGRATION_URL: strict.through(inventory.ownerUrl) }, [
      "migrate",
      "up",
    ]);
    const direct = /^inventory: migrations need a session: let DATABASE_MIGRATION_URL lead to the server itself.*\n$/;
    assert.match(await lastWords(migrating), direct);
    const endless = await lastWords(run("inventory", { DATABASE_URL, DATABASE_POOLED: "true" }));
    assert.match(
      endless,
      /^inventory: behind a pooler the role has to bring its time-outs: alter role inventory set .*\n$/,
    );

    await using lax = await startPooler([inventory], `ignore_startup_parameters = ${Object.keys(ends).join(",")}`);
    const silent = await lastWords(run("inventory", { DATABASE_URL: lax.through(inventory.url) }));
    assert.match(silent, /^inventory: .* set DATABASE_POOLED=true.* \(it leaves out .*statement_timeout.*\)\n$/);
    const owner = { DATABASE_MIGRATION_URL: lax.through(inventory.ownerUrl) };
    assert.match(await lastWords(run("inventory", owner, ["migrate", "up"])), direct);
  });

  test("calls of many go through two connections", async () => {
    await bringTimeOuts(inventory, "inventory");
    await using pooler = await startPooler([inventory]);
    const given = { DATABASE_URL: pooler.through(inventory.url), DATABASE_POOLED: "true", DATABASE_POOL_MAX: "8" };
    const address = await served(run("inventory", given));
    const call = async (method: string, body: object): Promise<unknown> => {
      const url = `${address}/shop.inventory.v1.InventoryService/${method}`;
      const headers = { "content-type": "application/json" };
      const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
      const said = await answer.text();
      assert.equal(answer.status, 200, `${method}: ${said}`);
      return JSON.parse(said);
    };
    const level = { sku: "A", locationId: "BER" };
    await call("AdjustStock", { requestId: newId(), ...level, delta: "1000", reason: "delivery" });
    const many = Array.from({ length: 200 }, (_, index) => async () => {
      const orderId = newId();
      await call("ReserveStock", { requestId: newId(), orderId, lines: [{ sku: "A", quantity: "1" }] });
      await call("GetStockLevel", { sku: "A" });
      await call("ListStockMovements", { sku: "A", pageSize: 5 });
      if (index % 2) await call("ReleaseReservation", { requestId: newId(), orderId });
    });
    await Promise.all(many.map((work) => work()));
    const rows = await inventory.database.query<{ reserved: bigint }>("select reserved from stock_level");
    assert.deepEqual(rows, [{ reserved: 100n }]);
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
  });

  test("orders listens at the server itself", async () => {
    await bringTimeOuts(orders, "orders");
    await using pooler = await startPooler([orders]);
    const given = { DATABASE_URL: pooler.through(orders.url), DATABASE_POOLED: "true" };
    assert.match(await lastWords(run("orders", given)), /^orders: .*set DATABASE_DIRECT_URL to the server itself\n$/);
    const address = await served(run("orders", { ...given, DATABASE_DIRECT_URL: orders.url }));
    const heard =
      "select count(*)::int as listening from pg_stat_activity where query ilike 'listen%' and datname = current_database()";
    const [row] = await orders.database.query<{ listening: number }>(heard);
    assert.equal(row?.listening, 1);
    await until(async () => (await fetch(`${address}/readyz`)).status === 200, "orders is ready");
  });
});
