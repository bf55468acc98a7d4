// A server that is away, or takes no writes any more: with a service on a real one, which nobody else uses.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { defineEntity, p } from "@mikro-orm/core";
import { Migration } from "@mikro-orm/migrations";
import pg from "pg";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { Database } from "#platform/database/database.ts";
import { idempotencyTable } from "#platform/database/idempotency.ts";
import { toConnectError } from "#platform/errors.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/process/service.ts";
import { startEmbedded, type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { Conformance, testEnvironment } from "../faces/conformance.ts";

class First extends Migration {
  override up(): void {
    this.addSql("create table note (id int8 primary key, text text not null)");
    this.addSql("grant select, insert on note to platform");
    for (const sql of idempotencyTable("platform")) this.addSql(sql);
  }
  override down(): void {
    this.addSql("drop table idempotency_key");
    this.addSql("drop table note");
  }
}

const migrations = [{ name: "0001_note", class: First }];
const Note = defineEntity({
  name: "Note",
  tableName: "note",
  properties: { id: p.bigint().primary(), text: p.text() },
});

/** Writes a row at every call. */
class Writing extends Conformance {
  readonly #write: () => Promise<unknown>;

  constructor(write: () => Promise<unknown>) {
    super();
    this.#write = write;
  }

  override async echo(...call: Parameters<Conformance["echo"]>): ReturnType<Conformance["echo"]> {
    await this.#write();
    return super.echo(...call);
  }
}

describe("a database that is away", () => {
  let test: TestDatabase;
  let admin: pg.Client;
  let database: Database;
  let service: RunningService;
  let nextId = 1;

  before(async () => {
    const adminUrl = await startEmbedded(["fsync=off"]);
    test = await testDatabase("platform", { entities: [Note], migrations, adminUrl });
    admin = new pg.Client({ connectionString: test.adminUrl });
    await admin.connect();
    const definition = {
      name: "writing",
      config: {},
      database: { entities: [Note], migrations },
      build: ({ database }: { database: Database }) => ({
        services: [register(ConformanceService, new Writing(() => insert(database)))],
      }),
    };
    const env = { ...testEnvironment, DATABASE_URL: test.url, READINESS_INTERVAL_MS: "20", DATABASE_POOL_MAX: "4" };
    service = await launch(definition, env);
    database = await Database.open({ url: test.url, name: "mine", entities: [Note], poolMax: 3 });
  });
  after(async () => {
    await database.close();
    await service.drain();
    await admin.end();
    await test[Symbol.asyncDispose]();
  });

  const insert = (into: Database) => into.query("insert into note (id, text) values ($1, 'a')", [nextId++]);

  async function setReadOnly(value: "on" | "off"): Promise<void> {
    await admin.query(`alter system set default_transaction_read_only = ${value}`);
    await admin.query("select pg_reload_conf()");
    // A session hears of it at its next statement, ours as well.
    const heard = async () => (await admin.query("show default_transaction_read_only")).rows[0];
    await until(
      async () => (await heard()).default_transaction_read_only === value,
      "the server has read its settings",
    );
  }

  /** The numbers of the connections of an application. */
  async function backends(name: string): Promise<number[]> {
    const sql = "select pid from pg_stat_activity where application_name = $1 order by pid";
    return (await admin.query<{ pid: number }>(sql, [name])).rows.map(({ pid }) => pid);
  }

  async function ready(): Promise<number> {
    return (await fetch(`http://127.0.0.1:${service.httpPort}/readyz`)).status;
  }

  /** A call by plain HTTP/JSON. */
  async function call(): Promise<{ status: number; text: string }> {
    const url = `http://127.0.0.1:${service.httpPort}/${ConformanceService.typeName}/Echo`;
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: "a" }),
    });
    return { status: answer.status, text: await answer.text() };
  }

  function requireAway(error: unknown): void {
    const told = toConnectError(error);
    assert.equal(told.code, Code.Unavailable, ConnectError.from(error).message);
    const [info] = told.details.filter((detail) => "desc" in detail && detail.desc === ErrorInfoSchema);
    assert.ok(info && "value" in info);
    assert.deepEqual((info.value as { metadata: unknown }).metadata, { dependency: "database" });
    assert.ok(told.details.some((detail) => "desc" in detail && detail.desc === RetryInfoSchema));
  }

  it("is not ready and tells callers to come back while it takes no writes, and needs no restart afterwards", async () => {
    assert.equal(await ready(), 200);
    assert.equal((await call()).status, 200);
    await setReadOnly("on");
    const refused = await call();
    assert.equal(refused.status, 503);
    assert.match(refused.text, /"code":"unavailable".*RetryInfo/);
    await until(async () => (await ready()) === 503, "the service is not ready");
    await setReadOnly("off");
    await until(async () => (await ready()) === 200, "the service is ready again");
    assert.equal((await call()).status, 200);
  });

  const ways: Readonly<Record<string, () => Promise<unknown>>> = {
    "a statement": () => insert(database),
    "a transaction": () =>
      database.transaction(async (tx) => {
        await tx.query("select 1");
        await tx.commitWith("insert into note (id, text) values ($1, 'a')", [nextId++]);
      }),
    MikroORM: () =>
      database.em().transactional(async (em) => {
        em.create(Note, { id: BigInt(nextId++), text: "a" });
      }),
    "a look whether it is ready": () => database.ping(),
  };
  for (const [way, run] of Object.entries(ways)) {
    it(`gives up all its connections when ${way} meets a server that takes no writes`, async () => {
      await Promise.all([1, 2, 3].map(() => database.query("select pg_sleep(0.05)")));
      const before = await backends("mine");
      assert.equal(before.length, 3);
      await setReadOnly("on");
      await assert.rejects(run(), (error) => {
        requireAway(error);
        return true;
      });
      // What is idle is used once more.
      await Promise.all([1, 2, 3].map(() => database.query("select pg_sleep(0.05)")));
      await until(async () => {
        const left = await backends("mine");
        return !left.some((pid) => before.includes(pid));
      }, "no connection of before is kept");
      await setReadOnly("off");
      await until(() => database.ping().then(() => true), "the database can be used");
      await run();
    });
  }

  it("comes back by itself after all its connections were ended", async () => {
    assert.equal((await call()).status, 200);
    await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'writing'");
    const answers = await until(async () => {
      const answer = await call();
      assert.ok([200, 503].includes(answer.status), `${answer.status}: never an error of ours: ${answer.text}`);
      return answer.status === 200 && answer;
    }, "a call is served");
    assert.equal(answers.status, 200);
    await until(async () => (await ready()) === 200, "the service is ready");
  });

  it("is away for whoever finds no connection left", async () => {
    await admin.query("alter role platform connection limit 0");
    try {
      const late = await Database.open({ url: test.url, name: "late", entities: [Note] });
      await assert.rejects(late.ping(), (error) => {
        requireAway(error);
        return true;
      });
      await late.close();
    } finally {
      await admin.query("alter role platform connection limit -1");
    }
  });

  /** A connection that says which SQLSTATE it ended with. */
  async function connection() {
    const client = new pg.Client({ connectionString: test.adminUrl });
    const told: (string | undefined)[] = [];
    client.on("notice", ({ code }) => told.push(code));
    const ended = new Promise<void>((resolve) => client.on("error", () => resolve()));
    await client.connect();
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    return { client, told, ended, pid: rows[0]?.pid ?? 0 };
  }

  // PostgreSQL ends all its processes when one has crashed, and takes nobody until the last has ended: here until a stopped one goes on.
  it("is away while the server recovers from a crash, and back without a restart", async () => {
    const [slow, crashed, watching] = await Promise.all([connection(), connection(), connection()]);
    await watching.client.query("begin; lock table note");
    const pending = call();
    const waits = "select from pg_stat_activity where application_name = 'writing' and wait_event_type = 'Lock'";
    await until(async () => (await slow.client.query(waits)).rowCount === 1, "a call waits for the table");
    const adminGone = new Promise((resolve) => admin.on("error", resolve));
    process.kill(slow.pid, "SIGSTOP");
    try {
      process.kill(crashed.pid, "SIGKILL");
      await Promise.all([watching.ended, adminGone]);
      assert.deepEqual(watching.told, ["57P02"]);
      await assert.rejects(connection(), { code: "57P03" });
      const answers = [await pending, await call()];
      for (const { status, text } of answers) {
        assert.equal(status, 503, text);
        assert.match(text, /"code":"unavailable".*RetryInfo/);
      }
      await assert.rejects(insert(database), (error) => {
        requireAway(error);
        return true;
      });
      await until(async () => (await ready()) === 503, "the service is not ready");
    } finally {
      process.kill(slow.pid, "SIGCONT");
    }
    await until(async () => (await ready()) === 200, "the service is ready again");
    assert.equal((await call()).status, 200);
    await insert(database);
    admin = (await connection()).client;
  });
});
