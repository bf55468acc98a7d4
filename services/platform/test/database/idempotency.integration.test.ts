import assert from "node:assert/strict";
import { after, before, describe, it, mock } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Migration } from "@mikro-orm/migrations";
import { FailureSchema } from "#gen/shop/type/v1/failure_pb.js";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import {
  fingerprint,
  idempotencyColumns,
  idempotencyTable,
  type Keyed,
  keyMethod,
  purgeIdempotencyKeys,
  replayable,
} from "#platform/database/idempotency.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";

class First extends Migration {
  override up(): void {
    this.addSql("create table effect (id int8 generated always as identity, text text not null)");
    this.addSql("grant select, insert on effect to platform");
    for (const sql of idempotencyTable("platform")) this.addSql(sql);
  }
}

interface Input extends Keyed {
  readonly text: string;
  readonly customer: string;
}

const input = (requestId: string, text = requestId, customer = "one"): Input => ({
  requestId,
  text,
  customer,
  fingerprint: fingerprint(MoneySchema, create(MoneySchema, { currency: text })),
});

describe("idempotency", () => {
  let test: TestDatabase;
  let lists: string[][] = [];
  const gone = new Set<string>();
  before(async () => {
    test = await testDatabase("platform", { entities: [], migrations: [{ name: "0001", class: First }] });
  });
  after(() => test[Symbol.asyncDispose]());

  const scope = ({ customer }: Input) => customer;
  const run = (method: string, database: Queryable = test.database) =>
    replayable<Input, string>({
      database,
      method,
      scope,
      decode: (response) => response.toString(),
      run: async (inputs) => {
        lists.push(inputs.map((each) => each.text));
        if (inputs.some((each) => gone.has(each.text))) return inputs.map(() => new Error("gone"));
        const rows = inputs.map((each) => ({
          ...each,
          method: keyMethod({ method, scope }, each),
          response: Buffer.from(`did ${each.text}`),
        }));
        await test.database.query(
          `with k as (insert into idempotency_key (method, request_id, fingerprint, response)
             select * from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]))
           insert into effect (text) select * from unnest($5::text[])`,
          [...idempotencyColumns(rows), inputs.map((each) => each.text)],
        );
        return inputs.map((each) => `did ${each.text}`);
      },
    });

  const effects = async () =>
    Number((await test.database.query<{ count: bigint }>("select count(*) from effect"))[0]?.count);

  it("has one effect for a repeated id, and looks for nothing the first time", async () => {
    lists = [];
    assert.deepEqual(await run("a")([input("1"), input("2")]), ["did 1", "did 2"]);
    assert.deepEqual(lists, [["1", "2"]]);
    assert.deepEqual(await run("a")([input("2"), input("3"), input("1")]), ["did 2", "did 3", "did 1"]);
    assert.deepEqual(lists.slice(1), [["2", "3", "1"], ["3"]]);
    assert.equal(await effects(), 3);
    assert.deepEqual(await run("b")([input("1")]), ["did 1"]);
  });

  it("finds keys by their index, planned without statistics", async (t) => {
    const empty = await testDatabase("platform", { entities: [], migrations: [{ name: "0001", class: First }] });
    t.after(() => empty[Symbol.asyncDispose]());
    const texts: string[] = [];
    const query: Queryable["query"] = (sql, values) => {
      texts.push(typeof sql === "string" ? sql : sql.text);
      return empty.database.query(sql, values);
    };
    const refusing = replayable<Input, string>({
      database: { query },
      method: "a",
      scope,
      decode: String,
      run: async () => [new Error("gone")],
    });
    await refusing([input("1")]);
    assert.equal(texts.length, 2);
    for (const text of texts) {
      const rows = await empty.database.query<{ "QUERY PLAN": string }>(`explain (generic_plan) ${text}`);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      assert.match(plan, /Index (Only )?Scan using idempotency_key_pkey/);
      assert.doesNotMatch(plan, /Seq Scan/);
    }
  });

  it("refuses an id that comes back with another body, alone", async () => {
    const [refused, done] = await run("a")([input("1", "other"), input("4")]);
    assert.ok(refused instanceof Error && "reasonName" in refused && refused.reasonName === "REQUEST_ID_REUSED");
    assert.equal(done, "did 4");
  });

  it("keeps the ids of one who asks apart from those of another", async () => {
    const before = await effects();
    const both = [input("8", "mine", "one"), input("8", "theirs", "two")];
    assert.deepEqual(await run("f")(both), ["did mine", "did theirs"]);
    assert.deepEqual(await run("f")(both), ["did mine", "did theirs"]);
    assert.equal((await effects()) - before, 2);
    const [reused] = await run("f")([input("8", "mine", "two")]);
    assert.ok(reused instanceof Error && "metadata" in reused);
    assert.deepEqual(reused.metadata, { request_id: "8", method: "f" });
  });

  it("sees a key that a process of the version before writes beside it", async () => {
    const database: Queryable = { query: (sql, values) => test.database.query(sql, values) };
    const before = await effects();
    assert.deepEqual(await run("h", database)([input("11")]), ["did 11"]);
    await test.database.query(
      "insert into idempotency_key (method, request_id, fingerprint, response) values ('h', '12', $1, $2)",
      [input("12").fingerprint, Buffer.from("did it beside")],
    );
    const now = performance.now();
    mock.method(performance, "now", () => now + 60_000);
    assert.deepEqual(await run("h", database)([input("12")]), ["did it beside"]);
    assert.equal((await effects()) - before, 1);
    mock.restoreAll();
  });

  it("takes a key of the version before, which had no scope, for that of whoever asks", async () => {
    const { fingerprint: known } = input("9", "before");
    await test.database.query(
      "insert into idempotency_key (method, request_id, fingerprint, response) values ('g', '9', $1, $2)",
      [known, Buffer.from("did it before")],
    );
    // As a process that has just started.
    const begun: Queryable = { query: (sql, values) => test.database.query(sql, values) };
    const before = await effects();
    const [repeated, reused, fresh] = await run(
      "g",
      begun,
    )([input("9", "before"), input("9", "other", "two"), input("10", "other", "two")]);
    assert.equal(repeated, "did it before");
    assert.ok(reused instanceof Error && "reasonName" in reused && reused.reasonName === "REQUEST_ID_REUSED");
    assert.equal(fresh, "did other");
    assert.equal((await effects()) - before, 1);
  });

  it("gives the first answer to a repetition that would be refused by now", async () => {
    gone.add("1").add("7");
    const [repeated, refused] = await run("a")([input("1"), input("7")]);
    gone.clear();
    assert.equal(repeated, "did 1");
    assert.ok(refused instanceof Error && refused.message === "gone");
  });

  it("judges an id that is twice in one list against the first of them", async () => {
    const outputs = await run("c")([input("5"), input("5"), input("5", "other"), input("6")]);
    assert.deepEqual([outputs[0], outputs[1], outputs[3]], ["did 5", "did 5", "did 6"]);
    assert.ok(outputs[2] instanceof Error);
  });

  it("has one effect when many write the same ids at a time", async () => {
    const before = await effects();
    const ids = Array.from({ length: 8 }, (_, index) => `same-${index}`);
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, shift) =>
        run("d")(ids.map((_id, index) => input(ids[(index + shift) % 8] ?? ""))),
      ),
    );
    for (const outputs of all) assert.equal(outputs.filter((output) => typeof output === "string").length, 8);
    assert.equal((await effects()) - before, 8);
  });

  it("throws what is not about a key", async () => {
    const failing = replayable<Input, string>({
      database: test.database,
      method: "e",
      scope,
      decode: String,
      run: async () => {
        throw Object.assign(new Error("gone"), { code: "57P01" });
      },
    });
    await assert.rejects(failing([input("1")]), { code: "57P01" });
  });

  it("forgets old keys only", async () => {
    assert.equal(await purgeIdempotencyKeys(test.database, 60_000), 0);
    const [row] = await test.database.query<{ count: bigint }>("select count(*) from idempotency_key");
    assert.equal(await purgeIdempotencyKeys(test.database, -1_000, 3), 3);
    assert.equal(await purgeIdempotencyKeys(test.database, -1_000), Number(row?.count) - 3);
  });
});

it("gives the same fingerprint for the same content, whatever the order of a map", () => {
  const one = create(FailureSchema, { code: 9, metadata: { sku: "a", order: "b" } });
  const two = create(FailureSchema, { code: 9, metadata: { order: "b", sku: "a" } });
  const three = create(FailureSchema, { code: 9, metadata: { order: "b", sku: "c" } });
  assert.deepEqual(fingerprint(FailureSchema, one), fingerprint(FailureSchema, two));
  assert.notDeepEqual(fingerprint(FailureSchema, one), fingerprint(FailureSchema, three));
  assert.equal(fingerprint(FailureSchema, one).length, 32);
});
