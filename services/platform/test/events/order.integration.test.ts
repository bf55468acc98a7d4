// In which order the rows of the audit log are handed on, on a real PostgreSQL: that of the changes, whatever waits for whom.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import pg from "pg";
import { auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { AuditEvent } from "#platform/audit/audit-event.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { EventsRepository } from "#platform/events/events.repository.ts";
import { auditEntry, auditedDatabase, readAuditLog, writeAuditEvents } from "#testing/audit-log.ts";
import { startEmbedded, type TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";

let test: TestDatabase;

/** Changes things as services do: an effect and its row in one statement, which waits for the lock of the thing. */
const change = `with moved as (
    update thing set value = value + 1 where name = $2 returning value
  ) ${insertAuditEvents("$1", { join: "cross join moved", details: "jsonb_build_object('value', moved.value::text)" })}`;

function changeThing(database: Queryable, name: string) {
  return database.query(change, [auditEvents([auditEntry({ subject: name })]), name]);
}

const names = Array.from({ length: 8 }, (_, index) => `thing-${index}`);

before(async () => {
  // A server of its own: what is open in any database of a server holds the events back.
  test = await auditedDatabase(await startEmbedded(["fsync=off"]));
  const owner = new pg.Client({ connectionString: test.ownerUrl });
  await owner.connect();
  await owner.query("create table thing (name text primary key, value int not null default 0)");
  await owner.query("grant select, update on thing to platform");
  await owner.query("insert into thing (name) select unnest($1::text[])", [names]);
  await owner.end();
});
after(() => test[Symbol.asyncDispose]());

/** Takes all that there is into a list. */
async function drain(seen: AuditEvent[], repository = new EventsRepository(test.database), limit = 100) {
  const take = async (events: readonly AuditEvent[]) => {
    seen.push(...events);
    return { arrived: events.length };
  };
  while ((await repository.relay(limit, take)) > 0);
}

const valuesOf = (seen: readonly AuditEvent[], name: string) =>
  seen.filter(({ subject }) => subject === name).map(({ details }) => Number(details.value));

beforeEach(() => drain([]));

describe("the order of events", () => {
  it("is that of the changes of a thing, where one waited for another whose transaction began later", async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: held, resolve: hold } = Promise.withResolvers<void>();
    const later = begun.then(() =>
      test.database.transaction(async (tx) => {
        await changeThing(tx, "thing-1");
        hold();
        await until(waits, "the first one waits for the lock");
      }),
    );
    await test.database.transaction(async (tx) => {
      await changeThing(tx, "thing-0");
      begin();
      await held;
      await changeThing(tx, "thing-1");
    });
    await later;
    const seen: AuditEvent[] = [];
    await drain(seen);
    const [first = 0] = valuesOf(seen, "thing-1");
    assert.deepEqual(valuesOf(seen, "thing-1"), [first, first + 1]);
    // What there was before does not say it: the transaction that changed the thing first has the higher number.
    const log = (await readAuditLog(test.database)).slice(-3);
    assert.deepEqual(valuesOf(log, "thing-1"), [first + 1, first]);
  });

  it("has what is written without a lock behind what it was asked after, and before what follows from it", async () => {
    await test.database.transaction(async (tx) => {
      // Its transaction is older than those of all that follow, but for the last.
      await changeThing(tx, "thing-0");
      await changeThing(test.database, "thing-2");
      await writeAuditEvents(test.database, [auditEntry({ subject: "thing-2", details: { value: "asked" } })]);
      await changeThing(tx, "thing-2");
    });
    const seen: AuditEvent[] = [];
    await drain(seen);
    const of = (events: readonly AuditEvent[]) =>
      events.filter(({ subject }) => subject === "thing-2").map(({ details }) => details.value);
    const [first = ""] = of(seen);
    const after = String(Number(first) + 1);
    assert.deepEqual(of(seen), [first, "asked", after]);
    const log = (await readAuditLog(test.database)).slice(-4);
    assert.deepEqual(of(log), [after, first, "asked"], "by transactions it would come first");
  });

  it("is that of the changes of each thing, while many change several at a time", async () => {
    const seen: AuditEvent[] = [];
    const repository = new EventsRepository(test.database);
    let writing = true;
    const reading = (async () => {
      while (writing) await drain(seen, repository, 7);
      await until(async () => drain(seen, repository).then(() => seen.length === 8 * 25 * 3), "all are read");
    })();
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let round = 0; round < 25; round += 1) {
        const picked = names.filter((_name, index) => (index * 7 + round + writer) % 8 < 3);
        await test.database.transaction(async (tx) => {
          for (const name of picked) await changeThing(tx, name);
        });
      }
    });
    await Promise.all(writers);
    writing = false;
    await reading;
    for (const name of names) {
      const values = valuesOf(seen, name);
      assert.deepEqual(
        values,
        [...values].sort((one, other) => one - other),
        name,
      );
      assert.equal(new Set(values).size, values.length);
    }
  });

  it("waits for a transaction that has drawn a lower number, and then has its event first", async () => {
    const seen: AuditEvent[] = [];
    await test.database.transaction(async (tx) => {
      await writeAuditEvents(tx, [auditEntry({ subject: "early" })]);
      await writeAuditEvents(test.database, [auditEntry({ subject: "late" })]);
      await drain(seen);
      assert.deepEqual(seen, []);
    });
    await drain(seen);
    assert.deepEqual(
      seen.map(({ subject }) => subject),
      ["early", "late"],
    );
  });

  it("goes on although there is always some transaction open", async () => {
    const repository = new EventsRepository(test.database);
    const seen: AuditEvent[] = [];
    let writing = true;
    /** Each begins before the one before it ends. */
    const chain = async () => {
      while (writing) {
        await test.database.transaction(async (tx) => {
          await changeThing(tx, "thing-7");
          await new Promise((resolve) => setTimeout(resolve, 300));
        });
      }
    };
    const shifted = new Promise((resolve) => setTimeout(resolve, 150)).then(chain);
    const chains = [chain(), shifted];
    await until(
      async () => {
        await drain(seen, repository);
        return seen.length > 0;
      },
      "an event arrives",
      { deadlineMs: 8_000 },
    );
    writing = false;
    await Promise.all(chains);
  });

  it("has nothing of what was rolled back, and goes past it", async () => {
    const failed = test.database.transaction(async (tx) => {
      await changeThing(tx, "thing-2");
      throw new Error("the effect failed");
    });
    await assert.rejects(failed, /the effect failed/);
    const seen: AuditEvent[] = [];
    const repository = new EventsRepository(test.database);
    await drain(seen, repository);
    assert.deepEqual(seen, []);
    const [row] = await test.database.query<{ sequence: bigint; last: bigint }>(
      "select sequence, (select last_value from audit_event_sequence) as last from event_cursor",
    );
    assert.equal(row?.sequence, row?.last);
  });

  it("begins with another bound when the one it has is of a server that counted further, before a copy was restored", async () => {
    await changeThing(test.database, "thing-3");
    let elsewhere = true;
    const repository = new EventsRepository({
      transaction: (work) => test.database.transaction(work),
      query: async (sql, values) => {
        if (!String(sql).includes("pg_current_xact_id()") || !elsewhere) return test.database.query(sql, values);
        elsewhere = false;
        return [{ transaction: "999999999999" }] as never;
      },
    });
    const seen: AuditEvent[] = [];
    await drain(seen, repository);
    assert.deepEqual(seen, []);
    await drain(seen, repository);
    assert.equal(seen.length, 1);
  });

  it("moves behind what has arrived, when the rest has not, and says why it has not", async () => {
    await writeAuditEvents(
      test.database,
      ["a", "b", "c", "d"].map((subject) => auditEntry({ subject })),
    );
    const repository = new EventsRepository(test.database);
    const half = async () => ({ arrived: 2, error: new Error("the broker is away") });
    await assert.rejects(repository.relay(10, half), /the broker is away/);
    assert.ok((await repository.lagSeconds()) > 0);
    const seen: AuditEvent[] = [];
    await drain(seen, repository);
    assert.deepEqual(
      seen.map(({ subject }) => subject),
      ["c", "d"],
    );
    assert.equal(await repository.lagSeconds(), 0);
  });
});

/** Whether somebody waits for the lock of a row. */
async function waits(): Promise<boolean> {
  const [row] = await test.database.query<{ count: bigint }>(
    "select count(*) as count from pg_locks where not granted",
  );
  return (row?.count ?? 0n) > 0n;
}
