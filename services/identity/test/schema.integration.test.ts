import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { migrateDown, migrateUp, pendingMigrations } from "#platform/database/migrate.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { migrations } from "../src/migrations/list.ts";
import { identityDatabase } from "./harness.ts";

describe("the schema of identity", () => {
  let test: TestDatabase;
  before(async () => {
    test = await identityDatabase();
  });
  after(() => test[Symbol.asyncDispose]());

  it("gives the runtime role no more than it needs", async () => {
    const forbidden = [
      "delete from person",
      "truncate session",
      "delete from api_key",
      "update signing_key set private_key = ''",
      "update audit_event set actor = 'somebody else'",
      "delete from audit_event",
      "create table mine (id int)",
      "alter table person drop constraint person_email_key",
    ];
    for (const sql of forbidden) await assert.rejects(test.database.query(sql), { code: "42501" }, sql);
  });

  it("shows the role of readers nothing", async () => {
    const tables = [
      ...["person", "mail_token", "session", "refresh_token", "api_key", "signing_key", "login_attempt"],
      ...["second_factor", "recovery_code", "personal_key", "person_email"],
    ];
    const sql = "select has_any_column_privilege('identity_reader', $1::text, 'select') as readable";
    for (const table of tables) {
      assert.deepEqual(await test.database.query(sql, [table]), [{ readable: false }], table);
    }
  });

  const lookups = [
    ["somebody who logs in", "select from person where email = 'a'", "person_email_key"],
    [
      "a mail of the last minute",
      "select from mail_token where email = 'a' and create_time > now()",
      "mail_token_email_idx",
    ],
    [
      "a mail of the last minute to an address that is sealed",
      "select from mail_token where email_hash = '' and create_time > now()",
      "mail_token_email_hash_idx",
    ],
    ["somebody whose address is sealed", "select from person_email where email_hash = ''", "person_email_pkey"],
    [
      "a person's sessions",
      "select from session where person_id = gen_random_uuid() and end_time is null",
      "session_person_idx",
    ],
    [
      "a person's recovery codes",
      "select from recovery_code where person_id = gen_random_uuid()",
      "recovery_code_person_idx",
    ],
    ["a key that is shown", "select from api_key where hash = ''", "api_key_hash_key"],
    [
      "a session's tokens",
      "select from refresh_token where session_id = gen_random_uuid()",
      "refresh_token_session_idx",
    ],
    [
      "sessions to forget",
      "select from session where expire_time < now() order by expire_time limit 9",
      "session_expire_time_idx",
    ],
  ] as const;
  for (const [what, sql, index] of lookups) {
    it(`finds ${what} by index`, async () => {
      const plan = await test.database.transaction(async (tx) => {
        await tx.query("set local enable_seqscan = off");
        return tx.query<{ "QUERY PLAN": string }>(`explain ${sql}`);
      });
      assert.match(plan.map((row) => row["QUERY PLAN"]).join("\n"), new RegExp(index));
    });
  }

  it("takes the sessions of a process of the version before, which were begun without a second factor", async () => {
    const rows = await test.database.transaction(async (tx) => {
      await tx.query(
        "insert into person values ('0190a0b0-0000-7000-8000-000000000001', 'old@example.com', 'x', '{}')",
      );
      return tx.query(`insert into session (session_id, person_id, expire_time)
        values (gen_random_uuid(), '0190a0b0-0000-7000-8000-000000000001', now()) returning second_factor`);
    });
    assert.deepEqual(rows, [{ second_factor: false }]);
  });

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
