// A backup that is older than an erasure brings the erased back. A list that lies elsewhere has them forgotten again.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { readAuditLog } from "#testing/audit-log.ts";
import { bareEnvironment } from "#testing/bare-environment.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { textOfTables } from "#testing/table-text.ts";
import { FakeWorker } from "./fake-worker.ts";
import { eventually, orderRequest, ordersDatabase, type Replica, refusal, startReplica, unique } from "./harness.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const forgetsAtOnce = { PERSONAL_DATA_KEEP_DAYS: 0, PERSONAL_DATA_SWEEP_MS: 20 };

/** What the service's own command says and ends with. */
async function command(test: TestDatabase, args: readonly string[], input = "") {
  const env = { ...bareEnvironment, DATABASE_URL: test.url, PERSONAL_DATA_KEEP_DAYS: "0" };
  const child = spawn(process.execPath, [program, "erased", ...args], { env, timeout: 60_000 });
  child.stdin.end(input);
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await closed, said, complained };
}

async function asAdmin(test: TestDatabase, sql: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: test.adminUrl });
  await client.connect();
  for (const statement of sql) await client.query(statement);
  await client.end();
}

async function tablesOf(test: TestDatabase): Promise<string[]> {
  const all = `select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
    and relname not like 'schema_migration%' order by relname = 'order_line' desc`;
  return (await test.database.query<{ name: string }>(all)).map(({ name }) => name);
}

async function newPerson(replica: Replica, name: string): Promise<string> {
  const person = { givenName: name, familyName: name, email: `${name}@persons.example` };
  const { customer } = await replica.customers.createCustomer({ requestId: unique("customer"), ...person });
  const { customerId = "" } = customer ?? {};
  const { order } = await replica.orders.createOrder(orderRequest(customerId));
  const { orderId = "" } = order ?? {};
  await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.REJECTED }] });
  return customerId;
}

const nameOf = async (replica: Replica, customerId: string) =>
  (await replica.customers.getCustomer({ customerId })).customer?.givenName;

describe("a restore", () => {
  it("brings nobody back who was erased, when the list of them is replayed", async () => {
    await using test = await ordersDatabase();
    let published = "";
    const ids: Record<string, string> = {};
    {
      await using replica = await startReplica(test.database, new FakeWorker(), forgetsAtOnce);
      replica.auditStream.on("data", (lines) => {
        published += lines;
      });
      for (const name of ["Goneagain", "Gonebefore", "Stays", "Goneaudited"])
        ids[name] = await newPerson(replica, name);
      const erase = (name: string) =>
        replica.customers.eraseCustomer({ requestId: unique("erase"), customerId: ids[name] ?? "" });
      await erase("Gonebefore");
      const tables = await tablesOf(test);
      await asAdmin(test, [
        "create schema backup",
        ...tables.map((name) => `create table backup.${name} as table ${name}`),
      ]);
      await erase("Goneagain");
      await eventually(() => assert.equal(published.match(/"event\.action":"customer\.erased"/g)?.length, 2));
      const list = await command(test, ["list"]);
      assert.equal(list.code, 0, list.complained);
      assert.deepEqual(
        list.said.split("\n").map((line) => line.slice(0, 26)),
        [...[ids.Gonebefore, ids.Goneagain].toSorted(), ""],
      );
      await erase("Goneaudited");
      await eventually(() => assert.equal(published.match(/"event\.action":"customer\.erased"/g)?.length, 3));
      await replica.stop();
      // The disk is lost, and the backup is older.
      await asAdmin(test, [
        ...tables.map((name) => `delete from ${name}`),
        ...tables.toReversed().map((name) => `insert into ${name} select * from backup.${name}`),
        "drop schema backup cascade",
      ]);
      await using restored = await startReplica(test.database, new FakeWorker(), forgetsAtOnce);
      for (const name of ["Goneagain", "Goneaudited"]) assert.equal(await nameOf(restored, ids[name] ?? ""), name);

      assert.deepEqual(await command(test, ["replay", "-"], list.said), {
        code: 0,
        said: "erased again: 1; gone already: 1\n",
        complained: "",
      });
      // The published log has the third one, too, and much else.
      const audited = await command(test, ["replay", "-"], published);
      assert.equal(audited.said, "erased again: 1; gone already: 2\n", audited.complained);
      for (const name of ["Goneagain", "Gonebefore", "Goneaudited"]) {
        const asked = restored.customers.getCustomer({ customerId: ids[name] ?? "" });
        assert.match((await refusal(asked)).message, /there is no customer/);
      }
      assert.equal(await nameOf(restored, ids.Stays ?? ""), "Stays");
      const ofErased = `select from personal_key where subject in (select customer_id from erasure)`;
      await eventually(async () => assert.equal((await test.database.query(ofErased)).length, 0));
    }
    assert.doesNotMatch(await textOfTables(test.adminUrl), /Gone/);
    const again = (await readAuditLog(test.database)).filter(({ details }) => details.by === "replay");
    assert.deepEqual(again.map(({ subject }) => subject).toSorted(), [ids.Goneagain, ids.Goneaudited].toSorted());
  });

  it("is told what is wrong with a list, and forgets nobody by half of one", async () => {
    await using test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker());
    const customerId = await newPerson(replica, "Ada");
    for (const [input, complaint] of [
      [`${customerId}\nAda Lovelace\n`, "orders: -: line 2 does not begin with the id of a customer\n"],
      [`${customerId}\n{"event.action":`, "orders: -: line 2 is no JSON\n"],
      [`{"event.action":"customer.erased"}`, "orders: -: line 1 says customer.erased, and not who\n"],
    ] as const) {
      assert.deepEqual(await command(test, ["replay", "-"], input), { code: 1, said: "", complained: complaint });
    }
    const missing = await command(test, ["replay", "/nowhere/erased.txt"]);
    assert.equal(missing.complained, "orders: /nowhere/erased.txt cannot be read (ENOENT)\n");
    assert.match((await command(test, ["forget"])).complained, /say erased list, or erased replay <file>/);
    assert.equal(await nameOf(replica, customerId), "Ada");
  });
});
