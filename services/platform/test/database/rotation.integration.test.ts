// A role whose password is changed while calls run, on a real PostgreSQL that asks for passwords.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { databaseConfig, loadConfig, withRole } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";

const role = "rotated";

describe("a password of the database that is rotated", () => {
  let test_: TestDatabase;
  let admin: pg.Client;
  let folder: string;
  const file = () => join(folder, "password");

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "ordermesh-rotation-"));
    test_ = await testDatabase(role, { entities: [], migrations: [] });
    admin = new pg.Client({ connectionString: test_.adminUrl });
    await admin.connect();
  });
  after(async () => {
    await admin?.end();
    await test_?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  async function atServer(password: string): Promise<void> {
    await admin.query(`alter role ${role} password '${password}'`);
  }

  /** As a service opens its own: the URL says neither role nor password. */
  async function open(connectTimeoutMs = 3_000): Promise<Database> {
    const url = new URL(test_.url);
    const username = url.username;
    url.username = "";
    url.password = "";
    const env = { DATABASE_URL: url.href, DATABASE_USERNAME: username, DATABASE_PASSWORD_FILE: file() };
    const config = withRole(loadConfig(databaseConfig, env));
    return Database.open({ url: config.DATABASE_URL, name: role, entities: [], poolMax: 4, connectTimeoutMs });
  }

  /** Ends every connection of the role, as a server does that is replaced. */
  async function cut(): Promise<void> {
    await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [role]);
  }

  test("loses no call: connections that are open go on, new ones use the new password", async () => {
    await atServer("first");
    writeFileSync(file(), "first\n");
    const database = await open();
    const stopped = new AbortController();
    let calls = 0;
    const failures: unknown[] = [];
    const caller = async () => {
      while (!stopped.signal.aborted) {
        const work =
          calls++ % 2 === 0 ? database.query("select 1") : database.transaction((tx) => tx.query("select 1"));
        await work.catch((error: unknown) => failures.push(error));
        // Nothing is kept: about each call needs a connection of its own.
        if (calls % 3 === 0) database.pool.options.idleTimeoutMillis = 1;
        await pause(Math.random() * 5);
      }
    };
    const callers = Array.from({ length: 12 }, caller);
    try {
      for (const password of ["second", "p@ss/word:%", "fourth"]) {
        const before = calls;
        await until(() => calls > before + 100, "calls run");
        await atServer(password);
        await pause(200);
        writeFileSync(file(), `${password}\n`);
        const since = calls;
        await until(() => calls > since + 200, "calls run");
      }
    } finally {
      stopped.abort();
      await Promise.all(callers);
      await database.close();
    }
    assert.deepEqual(failures, []);
    assert.ok(calls > 600, `${calls} calls`);
  });

  test("that does not come in time is an error that says so, and the next call finds it", async () => {
    await atServer("right");
    writeFileSync(file(), "right");
    const database = await open(300);
    try {
      await database.query("select 1");
      await atServer("newer");
      await cut();
      await until(() => database.pool.totalCount === 0, "the connections are gone");
      await assert.rejects(database.query("select 1"), /password authentication failed/);
      writeFileSync(file(), "newer");
      await database.query("select 1");
    } finally {
      await database.close();
    }
  });

  test("is heard of by who listens", async () => {
    await atServer("before");
    writeFileSync(file(), "before");
    const database = await open();
    const heard: string[] = [];
    const stop = await database.listen("news", (payload) => void heard.push(payload));
    try {
      await atServer("after");
      writeFileSync(file(), "after");
      await database.query("select 1").catch(() => undefined);
      await cut();
      await until(
        async () => {
          await admin.query("notify news, 'here'");
          return heard.includes("here");
        },
        "it is heard",
        { deadlineMs: 10_000 },
      );
    } finally {
      await stop();
      await database.close();
    }
  });
});
