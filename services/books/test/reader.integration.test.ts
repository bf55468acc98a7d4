import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { accountedServices } from "../../services.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world?.[Symbol.asyncDispose]());

/** What PostgreSQL says of a statement, as its five characters. */
async function refusal(client: pg.Client, sql: string): Promise<string> {
  return client.query(sql).then(
    () => "done",
    (error: pg.DatabaseError) => error.code ?? error.message,
  );
}

const denied = "42501";
const readOnly = "25006";

async function open(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

describe("a reader", () => {
  for (const service of accountedServices) {
    it(`of ${service} writes to no table, not even in a transaction that may write, and makes none`, async () => {
      const client = await open(world.urls[service]);
      try {
        assert.equal(await refusal(client, "create table mine (a int)"), readOnly);
        await client.query("set default_transaction_read_only = off");
        const { rows } = await client.query<{ place: string; column: string }>(
          `select format('%I.%I', n.nspname, c.relname) as place, min(a.attname) as "column" from pg_class c
          join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
          where c.relkind = 'r' and n.nspname = 'public'
            and a.attnum > 0 and a.attgenerated = '' and a.attidentity = '' group by 1`,
        );
        assert.ok(rows.length >= 6, `${rows.length} tables`);
        for (const { place, column } of rows) {
          for (const sql of [
            `insert into ${place} default values`,
            `update ${place} set ${column} = ${column}`,
            `delete from ${place}`,
            `truncate ${place}`,
          ]) {
            assert.equal(await refusal(client, sql), denied, sql);
          }
        }
        for (const sql of ["create table mine (a int)", "create temp table mine (a int)", "create schema mine"]) {
          assert.equal(await refusal(client, sql), denied, sql);
        }
      } finally {
        await client.end();
      }
    });
  }

  for (const [service, sql] of [
    ["orders", "select email from customer_order"],
    ["orders", "select shipping_address from customer_order"],
    ["orders", "select * from customer"],
    ["payments", "select card_token from payment"],
    ["shipping", "select address from shipment"],
    ["inventory", "select * from idempotency_key"],
    ["orders", "select rolpassword from pg_authid"],
  ] as const) {
    it(`of ${service} does not see what the books do not need: ${sql}`, async () => {
      const client = await open(world.urls[service]);
      try {
        assert.equal(await refusal(client, sql), denied);
      } finally {
        await client.end();
      }
    });
  }

  it("of one service is not let in to another's database", async () => {
    const url = new URL(world.urls.orders);
    url.pathname = new URL(world.urls.payments).pathname;
    await assert.rejects(open(url.href), { code: denied });
  });
});
