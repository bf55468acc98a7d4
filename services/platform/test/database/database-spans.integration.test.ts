// What statements leave in traces and metrics: their names and texts, never their values.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { defineEntity, p } from "@mikro-orm/core";
import { Migration } from "@mikro-orm/migrations";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { Registry } from "prom-client";
import { addProcessMetrics } from "#platform/metrics/process-metrics.ts";
import { inSpan } from "#platform/trace/spans.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";

class Notes extends Migration {
  override up(): void {
    this.addSql("create table note (id int8 primary key, text text not null)");
    this.addSql("grant select, insert on note to platform");
  }
  override down(): void {
    this.addSql("drop table note");
  }
}

const Note = defineEntity({
  name: "Note",
  tableName: "note",
  properties: { id: p.bigint().primary(), text: p.text() },
});

const insert = { name: "note.insert", text: "insert into note (id, text)\n  values ($1, $2)" };
const hiddenText = "4111111111111111";

describe("statements in traces", () => {
  let world: TestDatabase;
  let spans: KeptSpans;
  before(async () => {
    world = await testDatabase("platform", { entities: [Note], migrations: [{ name: "0001", class: Notes }] });
    spans = await keepSpans();
  });
  beforeEach(() => spans.reset());
  after(async () => {
    await spans.stop();
    await world[Symbol.asyncDispose]();
  });

  /** The spans of what is done, without the one around it. */
  async function spansOf(work: () => Promise<unknown>) {
    spans.reset();
    await inSpan("work", {}, work);
    const parent = spans.one("work").spanContext().spanId;
    const rest = spans.all().filter((span) => span.name !== "work");
    for (const span of rest) assert.equal(span.parentSpanContext?.spanId, parent, span.name);
    return rest;
  }

  test("a statement is a span with its name and text", async () => {
    const [span, ...others] = await spansOf(() => world.database.query(insert, [1, hiddenText]));
    assert.deepEqual(others, []);
    assert.equal(span?.name, "note.insert");
    assert.equal(span.kind, SpanKind.CLIENT);
    assert.deepEqual(span.attributes, {
      "db.system.name": "postgresql",
      "db.namespace": new URL(world.url).pathname.slice(1),
      "db.operation.name": "INSERT",
      "db.query.summary": "note.insert",
      "db.query.text": "insert into note (id, text) values ($1, $2)",
    });
  });

  test("a statement that is not prepared is known by its name all the same", async () => {
    const now = { name: "note.now", prepared: false, text: "select count(*) from note" } as const;
    const prepared = "select name from pg_prepared_statements where name in ('note.now', 'note.prepared')";
    const [span] = await spansOf(() =>
      world.database.transaction(async (tx) => {
        await tx.query(now);
        assert.deepEqual(await tx.query({ name: "note.prepared", text: prepared }), [{ name: "note.prepared" }]);
      }),
    );
    assert.equal(span?.name, "note.now");
  });

  test("a transaction has its statements and its commit", async () => {
    const committed = await spansOf(() => world.database.transaction((tx) => tx.query(insert, [2, "b"])));
    const together = await spansOf(() => world.database.transaction((tx) => tx.commitWith(insert, [3, "c"])));
    for (const names of [committed, together]) {
      assert.deepEqual(names.map((span) => span.name).slice(-2), ["note.insert", "commit"]);
    }
  });

  test("a failure says its SQLSTATE, and nothing of the row", async () => {
    await world.database.query(insert, [4, "d"]);
    const [span] = await spansOf(() => assert.rejects(world.database.query(insert, [4, hiddenText])));
    assert.deepEqual(span?.status, { code: SpanStatusCode.ERROR, message: "23505" });
    assert.deepEqual(span.events, []);
    const cast = await spansOf(() => assert.rejects(world.database.query("select $1::uuid", [hiddenText])));
    assert.equal(cast.at(-1)?.attributes["error.type"], "22P02");
    for (const { attributes, status } of [span, ...cast])
      assert.ok(!JSON.stringify([attributes, status]).includes(hiddenText));
  });

  test("what MikroORM asks is in the trace too", async () => {
    const [span] = await spansOf(() => world.database.em().find(Note, { text: hiddenText }));
    assert.equal(span?.name, "SELECT note");
    assert.match(String(span.attributes["db.query.text"]), /^select .* where .*\?/);
    assert.ok(!JSON.stringify(span.attributes).includes(hiddenText));
  });

  test("outside of a trace there are no spans, but the time is measured by name", async () => {
    await world.database.query("select 1");
    await world.database.query(insert, [5, "e"]);
    await world.database.em().find(Note, {});
    assert.deepEqual(spans.all(), []);
    const registry = new Registry();
    addProcessMetrics(registry);
    const text = await registry.metrics();
    for (const label of ['"note.insert",outcome="ok"', '"note.insert",outcome="failed"', '"commit",outcome="ok"'])
      assert.match(text, new RegExp(`database_statement_duration_seconds_count\\{statement=${label}\\} [1-9]`));
    assert.match(text, /statement="unnamed",outcome="ok"\} [1-9]/);
    assert.match(text, /database_pool_max 10/);
    assert.match(text, /database_pool_connections\{state="idle"\} [1-9]/);
  });
});
