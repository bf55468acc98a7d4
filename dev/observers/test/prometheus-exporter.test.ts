import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import pg from "pg";
import { parse } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { exporterQueries, postgresExporterProgram } from "../prometheus.ts";
import { Monitoring } from "./monitoring.ts";

const role = join(root, "deploy/observability/prometheus/postgres-exporter/role.sql");

/** What the exporter may be asked: the series of our queries by name. */
function declared(text: string): string[] {
  const queries = parse(text) as Record<string, { metrics: Record<string, { usage: string }>[] }>;
  return Object.entries(queries).flatMap(([prefix, { metrics }]) =>
    metrics.flatMap((metric) =>
      Object.entries(metric).flatMap(([name, { usage }]) => (usage === "LABEL" ? [] : [`${prefix}_${name}`])),
    ),
  );
}

async function asRole<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

describe("the exporter of PostgreSQL", () => {
  it("sees how the server does, and nothing that is in it", { timeout: 120_000 }, async () => {
    await using stack = await Stack.start({ ports: await freePorts(), components: ["postgres"] });
    const admin = stack.databaseUrl("postgres");
    const sql = await readFile(role, "utf8");
    await asRole(admin, async (client) => {
      await client.query("create database orders");
      await client.query("revoke all on database orders from public");
    });
    await asRole(admin.replace(/postgres$/, "orders"), (client) =>
      client.query("create table customer (email text); insert into customer values ('ada@example.com')"),
    );
    await asRole(admin, async (client) => {
      await client.query("set ordermesh.password = 'a-secret'");
      // Twice, as somebody would for a new database.
      await client.query(sql);
      await client.query(sql);
    });
    const url = new URL(admin);
    url.username = "metrics";
    url.password = "a-secret";
    url.pathname = "/orders";
    await asRole(url.href, async (client) => {
      await assert.rejects(client.query("select from customer"), /permission denied for table customer/);
      await assert.rejects(client.query("create table mine ()"), /permission denied|read-only/);
    });

    await using monitoring = await Monitoring.open();
    const address = await monitoring.address();
    url.pathname = "/postgres";
    url.searchParams.set("sslmode", "disable");
    await monitoring.start(await postgresExporterProgram(monitoring.common("postgres_exporter"), address, url.href));
    const text = await (await fetch(`http://${address}/metrics`)).text();
    const present = new Set([...text.matchAll(/^(pg_\w+)[{ ]/gm)].map(([, name]) => name));
    for (const name of [...declared(await readFile(exporterQueries, "utf8")), "pg_up"]) {
      assert.ok(present.has(name), `${name}\n${monitoring.logs("postgres_exporter").join("\n")}`);
    }
    assert.match(text, /^pg_up(\{.*\})? 1$/m);
    assert.match(text, /^pg_table_live_rows\{.*datname="orders".*relname="customer".*\}/m);
    assert.doesNotMatch(text, /ada@example.com|a-secret/);
    assert.match(text, /pg_exporter_last_scrape_error(\{.*\})? 0/);
  });
});
