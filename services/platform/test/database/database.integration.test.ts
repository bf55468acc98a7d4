import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { defineEntity, p } from "@mikro-orm/core";
import { Migration } from "@mikro-orm/migrations";
import pg from "pg";
import { Database } from "#platform/database/database.ts";
import { idempotencyTable } from "#platform/database/idempotency.ts";
import { IndexMigration } from "#platform/database/index-migration.ts";
import { migrateDown, migrateUp, pendingMigrations, requireMigrated } from "#platform/database/migrate.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";

class First extends Migration {
  override up(): void {
    this.addSql("create table note (id int8 primary key, text text not null, create_time timestamptz default now())");
    this.addSql("grant select, insert on note to platform");
    for (const sql of idempotencyTable("platform")) this.addSql(sql);
  }
  override down(): void {
    this.addSql("drop table idempotency_key");
    this.addSql("drop table note");
  }
}

class Second extends Migration {
  override up(): void {
    this.addSql("alter table note add column tags int8[] not null default '{}'");
  }
  override down(): void {
    this.addSql("alter table note drop column tags");
  }
}

class Third extends IndexMigration {
  protected override readonly indexes = { note_text_idx: "note (text)", note_time_idx: "note (create_time)" };
}

const migrations = [
  { name: "0001_note", class: First },
  { name: "0002_tags", class: Second },
];
const Note = defineEntity({
  name: "Note",
  tableName: "note",
  properties: { id: p.bigint().primary(), text: p.text() },
});

describe("database", () => {
  let test: TestDatabase;
  let database: Database;
  before(async () => {
    test = await testDatabase("platform", { entities: [Note], migrations });
    database = test.database;
  });
  after(() => test[Symbol.asyncDispose]());

  it("opens while the server is away, so that a start can wait for it", async () => {
    const away = await Database.open({
      url: "postgres://platform:x@127.0.0.1:1/platform",
      name: "away",
      entities: [Note],
    });
    try {
      await assert.rejects(away.ping(), { code: "ECONNREFUSED" });
    } finally {
      await away.close();
    }
  });

  it("gives int8 as bigint and timestamptz as Date in raw statements, on the pool that MikroORM uses", async () => {
    await database.query("insert into note (id, text, tags) values ($1, $2, $3)", [9007199254740993n, "a", [1n, 2n]]);
    const [row] = await database.query<{ id: bigint; tags: bigint[]; create_time: Date }>("select * from note");
    assert.equal(row?.id, 9007199254740993n);
    assert.deepEqual(row?.tags, [1n, 2n]);
    assert.ok(row?.create_time instanceof Date);
    const note = await database.em().findOneOrFail(Note, { text: "a" });
    assert.equal(BigInt(note.id), 9007199254740993n);
    assert.ok(database.pool.totalCount >= 1);
  });

  it("rolls back what throws and commits what returns", async () => {
    await assert.rejects(
      database.transaction(async (tx) => {
        await tx.query("insert into note (id, text) values (2, 'b')");
        throw new Error("no");
      }),
      /^Error: no$/,
    );
    assert.deepEqual(await database.query("select 1 from note where id = 2"), []);
    const rows = await database.transaction(async (tx) => {
      await tx.query("select 1");
      return tx.commitWith<{ id: bigint }>("insert into note (id, text) values (3, 'c') returning id");
    });
    assert.deepEqual(rows, [{ id: 3n }]);
  });

  it("reports the statement's error when the last statement fails, and leaves the connection usable", async () => {
    const small = await Database.open({ url: test.url, name: "small", entities: [Note], poolMax: 1 });
    await assert.rejects(
      small.transaction((tx) => tx.commitWith("insert into note (id, text) values (3, 'again')")),
      { code: "23505" },
    );
    await assert.rejects(
      small.transaction(async (tx) => {
        await tx.query("select 1/0").catch(() => []);
      }),
      /not committed/,
    );
    await small.ping();
    await small.close();
  });

  it("gives the runtime role no more than the migrations grant", async () => {
    await assert.rejects(database.query("delete from note"), { code: "42501" });
    await assert.rejects(database.query("create table mine (id int)"), { code: "42501" });
  });

  it("ends a statement that takes too long and a lock that does not come", async () => {
    const hasty = await Database.open({
      url: test.url,
      name: "hasty",
      entities: [Note],
      statementTimeoutMs: 100,
      lockTimeoutMs: 30,
    });
    await assert.rejects(hasty.query("select pg_sleep(2)"), { code: "57014" });
    await database.transaction(async (tx) => {
      await tx.query("select pg_advisory_xact_lock(1)");
      await assert.rejects(hasty.query("select pg_advisory_xact_lock(1)"), { code: "55P03" });
    });
    await hasty.close();
  });

  it("survives the loss of all its connections and goes on", async () => {
    await database.ping();
    const transaction = database.transaction(async (tx) => {
      await tx.query("insert into note (id, text) values (4, 'd')");
      await terminateAll(test);
      await tx.query("select 1");
    });
    await assert.rejects(transaction);
    await eventually(() => database.ping());
    assert.deepEqual(await database.query("select 1 from note where id = 4"), []);
  });

  it("hears notifications, and says after a reconnect that some may be missing", async () => {
    const heard: string[] = [];
    const stop = await database.listen("news", (payload) => heard.push(payload));
    await database.query("select pg_notify('news', 'one')");
    await eventually(() => assert.deepEqual(heard, ["one"]));
    await terminateAll(test);
    await eventually(() => assert.deepEqual(heard, ["one", ""]));
    await eventually(() => database.query("select pg_notify('news', 'two')"));
    await eventually(() => assert.deepEqual(heard, ["one", "", "two"]));
    await stop();
    await database.query("select pg_notify('news', 'three')");
    assert.deepEqual(heard, ["one", "", "two"]);
  });

  it("shows the reader what it may see, also when the role came after the tables, and takes back what it may not", async () => {
    const reader = new pg.Client({ connectionString: test.readerUrl });
    await reader.connect();
    const see = (sql: string) =>
      reader.query(sql).then(
        ({ rowCount }) => rowCount !== null,
        () => false,
      );
    const sees = async () => [await see("select id from note"), await see("select text from note")];
    try {
      assert.deepEqual(await sees(), [false, false]);
      const options = { url: test.ownerUrl, migrations };
      assert.deepEqual(await migrateUp({ ...options, readable: { note: ["id", "text"] } }), []);
      assert.deepEqual(await sees(), [true, true]);
      await migrateUp({ ...options, readable: { note: ["id"] } });
      assert.deepEqual(await sees(), [true, false]);
      await assert.rejects(migrateUp({ ...options, readable: { note: ["nothing"] } }), { code: "42703" });
      assert.deepEqual(await sees(), [true, false]);
    } finally {
      await reader.end();
    }
  });

  it("does not queue for a table that is in use: everybody else would wait behind the migration", async () => {
    const reader = new pg.Client({ connectionString: test.adminUrl });
    await reader.connect();
    await reader.query("begin; select from note");
    const options = { url: test.ownerUrl, migrations, lockTimeoutMs: 50 };
    await assert.rejects(migrateDown(options), { code: "55P03" });
    await reader.end();
    assert.deepEqual(await pendingMigrations(database, migrations), []);
  });

  it("builds indexes while others write, again where a run before failed, and lets a second run wait", async () => {
    const options = { url: test.ownerUrl, migrations: [...migrations, { name: "0003_indexes", class: Third }] };
    const admin = new pg.Client({ connectionString: test.adminUrl });
    await admin.connect();
    const indexes = async () => {
      const { rows } = await admin.query<{ name: string; id: number; valid: boolean }>(
        `select relname as name, indexrelid::int as id, indisvalid as valid from pg_index join pg_class on oid = indexrelid
        where indrelid = 'note'::regclass and not indisprimary order by relname`,
      );
      return rows;
    };
    await admin.query("create index note_text_idx on note (text)");
    await admin.query("create index note_time_idx on note (create_time)");
    await admin.query("update pg_index set indisvalid = false where indexrelid = 'note_time_idx'::regclass");
    const before = await indexes();
    await admin.query("begin");
    await admin.query("insert into note values (1001, 'under way')");
    const runs = Promise.all([migrateUp(options), migrateUp(options)]);
    const building = "select from pg_locks where relation = 'note'::regclass and mode = 'ShareUpdateExclusiveLock'";
    await until(async () => (await admin.query(building)).rowCount, "the index is being built");
    await database.query("insert into note values (1002, 'meanwhile')");
    await admin.query("commit");
    assert.deepEqual((await runs).flat(), ["0003_indexes"]);
    const after = await indexes();
    assert.deepEqual(
      after.map(({ name, valid }) => [name, valid]),
      [
        ["note_text_idx", true],
        ["note_time_idx", true],
      ],
    );
    assert.deepEqual(
      after.map(({ id }, index) => id === before[index]?.id),
      [true, false],
    );
    assert.deepEqual(await migrateDown(options), ["0003_indexes"]);
    assert.deepEqual(await indexes(), []);
    await admin.end();
  });

  it("migrates down and up, and refuses a schema that is too old", async () => {
    assert.deepEqual(await pendingMigrations(database, migrations), []);
    assert.deepEqual(await migrateDown({ url: test.ownerUrl, migrations }), ["0002_tags"]);
    await assert.rejects(requireMigrated(database, migrations), /lacks 1 migration\(s\): 0002_tags; run "migrate up"/);
    assert.deepEqual(await migrateUp({ url: test.ownerUrl, migrations }), ["0002_tags"]);
    assert.deepEqual(await migrateDown({ url: test.ownerUrl, migrations }, "0001_note"), ["0002_tags", "0001_note"]);
    assert.deepEqual(await pendingMigrations(database, migrations), ["0001_note", "0002_tags"]);
    const both = await Promise.all([0, 1].map(() => migrateUp({ url: test.ownerUrl, migrations })));
    assert.deepEqual(both.flat().sort(), ["0001_note", "0002_tags"]);
    await requireMigrated(database, migrations);
    await assert.rejects(
      migrateDown({ url: test.ownerUrl, migrations }, "0009_none"),
      /there are: 0001_note, 0002_tags/,
    );
  });
});

/** Ends all connections to the test's database, as a restart of the server does. */
async function terminateAll(test: TestDatabase): Promise<void> {
  const client = new pg.Client({ connectionString: test.adminUrl });
  await client.connect();
  await client.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  await client.end();
}

/** Waits until a check passes, at most five seconds. */
async function eventually(check: () => unknown): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
