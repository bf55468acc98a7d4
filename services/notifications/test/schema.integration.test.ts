import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { migrateDown, migrateUp, pendingMigrations } from "#platform/database/migrate.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { InboxRepository } from "../src/inbox/inbox.repository.ts";
import { migrations } from "../src/migrations/list.ts";
import { readable } from "../src/migrations/readable.ts";
import { notificationKinds } from "../src/notification/notification.ts";
import { NotificationRepository } from "../src/outbox/notification.repository.ts";

describe("the schema of notifications", () => {
  let test: TestDatabase;
  before(async () => {
    test = await testDatabase("notifications", { entities: [], migrations, readable });
  });
  after(() => test[Symbol.asyncDispose]());

  it("gives the runtime role no more than it needs", async () => {
    const forbidden = [
      "delete from recipient",
      "delete from stream_cursor",
      "truncate notification",
      "update audit_event set actor = 'somebody else'",
      "delete from audit_event",
      "create table mine (id int)",
    ];
    for (const sql of forbidden) await assert.rejects(test.database.query(sql), { code: "42501" }, sql);
  });

  it("shows the role of readers nothing", async () => {
    const sql = "select has_any_column_privilege('notifications_reader', $1::text, 'select') as readable";
    for (const table of ["inbox_event", "stream_cursor", "notification", "recipient"]) {
      assert.deepEqual(await test.database.query(sql, [table]), [{ readable: false }], table);
    }
  });

  it("takes every kind that there is", async () => {
    const insert = `insert into notification (notification_id, event_id, channel, kind, order_id, customer_id, about, facts, give_up_time)
      values (gen_random_uuid(), gen_random_uuid(), 'mail', $1, gen_random_uuid(), gen_random_uuid(), '', '{}', now())`;
    for (const kind of notificationKinds) await test.database.query(insert, [kind]);
    await test.database.query("delete from notification");
  });

  const lookups = [
    [
      "what is to be decided",
      "select from inbox_event where plan_time is null order by sequence limit 9",
      "inbox_event_open_idx",
    ],
    [
      "what is to be decided before it",
      "select from inbox_event where order_id = '01983c5e-0000-7000-8000-000000000000' and plan_time is null and sequence < 9",
      "inbox_event_order_idx",
    ],
    [
      "events to forget",
      "select from inbox_event where receive_time < now() order by receive_time limit 9",
      "inbox_event_receive_time_idx",
    ],
    [
      "what is to be sent",
      "select from notification where status = 'pending' and next_time <= now() order by next_time limit 9",
      "notification_due_idx",
    ],
    [
      "what is to be sent before it",
      "select from notification where order_id = '01983c5e-0000-7000-8000-000000000000' and status = 'pending'",
      "notification_open_idx",
    ],
    [
      "what has failed",
      "select from notification where status = 'failed' order by notification_id desc limit 9",
      "notification_failed_idx",
    ],
    [
      "what a customer was told",
      "select from notification where customer_id = '01983c5e-0000-7000-8000-000000000000' order by notification_id desc limit 9",
      "notification_customer_idx",
    ],
    [
      "what an order's customer was told",
      "select from notification where order_id = '01983c5e-0000-7000-8000-000000000000' and kind = 'a'",
      "notification_once_key",
    ],
    [
      "notifications to forget",
      "select from notification where end_time < now() order by end_time limit 9",
      "notification_end_time_idx",
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

  it("forgets what was told, and ids of events, when they are old, and nothing else", async () => {
    const { database } = test;
    const old = "now() - interval '31 days'";
    const event = (decided: string, received: string) => `insert into inbox_event
      (event_id, type, order_id, about, facts, event_time, receive_time, plan_time)
      values (gen_random_uuid(), 't', gen_random_uuid(), '', '{}', now(), ${received}, ${decided})`;
    for (const sql of [event("now()", old), event("now()", "now()"), event("null", old)]) await database.query(sql);
    const told = (status: string, ended: string) => `insert into notification
      (notification_id, event_id, channel, kind, order_id, customer_id, about, facts, give_up_time, create_time, status, end_time)
      values (gen_random_uuid(), gen_random_uuid(), 'mail', 'order_confirmed', gen_random_uuid(), gen_random_uuid(), '', '{}', now(), ${old}, '${status}', ${ended})`;
    for (const sql of [told("sent", old), told("failed", old), told("sent", "now()"), told("pending", "null")])
      await database.query(sql);
    assert.equal(await new InboxRepository(database).forget(30, 10), 1);
    assert.equal(await new NotificationRepository(database).forget(30, 10), 2);
    const [left] = await database.query(
      "select (select count(*)::int from inbox_event) as events, (select count(*)::int from notification) as told",
    );
    assert.deepEqual(left, { events: 2, told: 2 });
  });

  it("migrates down to nothing and up again", async () => {
    const options = { url: test.ownerUrl, migrations };
    const names = migrations.map((migration) => migration.name);
    assert.deepEqual(await migrateDown(options, names[0]), [...names].reverse());
    const [left] = await test.database.query<{ tables: string[] }>(
      "select array_agg(tablename::text) as tables from pg_tables where schemaname = 'public'",
    );
    assert.deepEqual(left?.tables, ["schema_migration"]);
    assert.deepEqual(await migrateUp(options), names);
    assert.deepEqual(await pendingMigrations(test.database, migrations), []);
  });
});
