// What migrations do to tables that have rows already: an upgrade must not keep a service from writing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Migration } from "@mikro-orm/migrations";
import { IndexMigration } from "#platform/database/index-migration.ts";
import type { MigrationsList } from "#platform/database/migrate.ts";
import { databaseServices } from "../../../services/services.ts";

/** Released before this rule; levels are as many as articles and locations, some 100,000 at most. */
const exceptions: ReadonlySet<string> = new Set(["0002-low-stock stock_level"]);

/** The statements of a migration, as they are for a database that has nothing yet. */
async function statementsOf(make: MigrationsList[number]["class"]): Promise<string[]> {
  const migration = new make(undefined as never, undefined as never) as Migration;
  migration.execute = () => Promise.resolve([]);
  await migration.up();
  return migration.getQueries().map(String);
}

/** The tables of which a migration keeps everybody from writing while it builds an index. */
function blocked(statements: readonly string[]): string[] {
  const created = new Set(statements.flatMap((sql) => /^\s*create table (\S+)/i.exec(sql)?.[1] ?? []));
  const indexed = statements.flatMap(
    (sql) => /^\s*create (?:unique )?index (?!concurrently)\S+\s+on (\S+)/i.exec(sql)?.[1] ?? [],
  );
  return [...new Set(indexed)].filter((table) => !created.has(table));
}

test("an index on a table that was there before is found", () => {
  assert.deepEqual(blocked(["create table a (b int)", "create index i on a (b)", "create unique index j on c (b)"]), [
    "c",
  ]);
  assert.deepEqual(blocked(["create index concurrently i on a (b)"]), []);
});

for (const service of databaseServices) {
  const { migrations } = (await import(`../../../services/${service}/src/migrations/list.ts`)) as {
    migrations: MigrationsList;
  };
  describe(`the migrations of ${service}`, () => {
    for (const { name, class: make } of migrations) {
      test(`${name} keeps nobody from writing while it builds an index`, async () => {
        const statements = await statementsOf(make);
        const found = blocked(statements).filter((table) => !exceptions.has(`${name} ${table}`));
        assert.deepEqual(found, [], "add it by an IndexMigration");
        const concurrent = statements.some((sql) => /index concurrently/i.test(sql));
        assert.equal(
          concurrent,
          make.prototype instanceof IndexMigration,
          "only an IndexMigration is in no transaction",
        );
      });
    }
  });
}
