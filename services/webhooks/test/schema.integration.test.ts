import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { migrateDown, migrateUp, pendingMigrations } from "#platform/database/migrate.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { migrations } from "../src/migrations/list.ts";
import { webhooksDatabase } from "./harness.ts";

describe("the schema of webhooks", () => {
  let test: TestDatabase;
  before(async () => {
    test = await webhooksDatabase();
  });
  after(() => test[Symbol.asyncDispose]());

  it("gives the runtime role no more than it needs", async () => {
    const forbidden = [
      "update webhook_event set data = ''",
      "truncate webhook_delivery",
      "delete from stream_cursor",
      "update audit_event set actor = 'somebody else'",
      "delete from audit_event",
      "create table mine (id int)",
      "alter table webhook_delivery drop constraint webhook_delivery_once_key",
    ];
    for (const sql of forbidden) await assert.rejects(test.database.query(sql), { code: "42501" }, sql);
  });

  it("shows the role of readers nothing", async () => {
    const tables = ["webhook_endpoint", "webhook_secret", "webhook_event", "webhook_delivery", "personal_key"];
    const sql = "select has_any_column_privilege('webhooks_reader', $1::text, 'select') as readable";
    for (const table of tables) {
      assert.deepEqual(await test.database.query(sql, [table]), [{ readable: false }], table);
    }
  });

  const id = "'0190a0b0-0000-7000-8000-000000000001'::uuid";
  const lookups = [
    [
      "what is due to an endpoint",
      `select from webhook_delivery where endpoint_id = ${id} and status = 'pending' and next_time <= now() order by next_time limit 4`,
      "webhook_delivery_due_idx",
    ],
    [
      "what comes before in a subject",
      `select from webhook_delivery where endpoint_id = ${id} and subject = 'a' and status = 'pending' and place < 7`,
      "webhook_delivery_first_idx",
    ],
    [
      "the deliveries to an endpoint, the newest first",
      `select from webhook_delivery where endpoint_id = ${id} order by delivery_id desc limit 9`,
      "webhook_delivery_endpoint_idx",
    ],
    ["the deliveries of an event", `select from webhook_delivery where event_id = ${id}`, "webhook_delivery_event_idx"],
    [
      "events to forget",
      "select from webhook_event where receive_time < now() order by receive_time limit 9",
      "webhook_event_receive_time_idx",
    ],
    ["events of somebody", "select from webhook_event where subject = any('{a}')", "webhook_event_subject_idx"],
    [
      "the secrets of an endpoint",
      `select from webhook_secret where endpoint_id = ${id}`,
      "webhook_secret_endpoint_idx",
    ],
  ] as const;
  for (const [what, sql, index] of lookups) {
    it(`finds ${what} by index`, async () => {
      const plan = await test.database.transaction(async (tx) => {
        await tx.query("set local enable_seqscan = off");
        await tx.query("set local enable_sort = off");
        return tx.query<{ "QUERY PLAN": string }>(`explain ${sql}`);
      });
      assert.match(plan.map((row) => row["QUERY PLAN"]).join("\n"), new RegExp(index));
    });
  }

  it("migrates down to nothing and up again", async () => {
    const options = { url: test.ownerUrl, migrations };
    const names = migrations.map((migration) => migration.name);
    assert.deepEqual(await migrateDown(options, names[0]), [...names].reverse());
    const [left] = await test.database.query<{ tables: string[] }>(
      "select array_agg(tablename::text) as tables from pg_tables where schemaname = 'public'",
    );
    assert.deepEqual(left?.tables, ["schema_migration"]);
    assert.deepEqual(await pendingMigrations(test.database, migrations), names);
    assert.deepEqual(await migrateUp(options), names);
    assert.deepEqual(await pendingMigrations(test.database, migrations), []);
  });
});
