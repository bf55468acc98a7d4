import { randomBytes } from "node:crypto";
import type { Database } from "#platform/database/database.ts";
import { newId } from "#platform/id.ts";
import { startEmbedded, testDatabase } from "../../platform/test/postgres.ts";
import { migrations } from "../src/migrations/list.ts";
import { entities } from "../src/stock.entity.ts";
import { StockRepository } from "../src/stock.repository.ts";
import { writeStock } from "../src/stock-statements.ts";
const adminUrl = await startEmbedded(["shared_buffers=256MB", "max_connections=150", "max_wal_size=4GB"]);
await using test = await testDatabase("inventory", { entities, migrations, adminUrl, connection: { poolMax: 16 } });
const cut = { name: "without", text: writeStock.text.replace(/, audited as \([\s\S]*?trace_id uuid\)\s*\)/, "") };
if (cut.text === writeStock.text) throw new Error("x");
const change = (sql: unknown, values: readonly unknown[] = []) => (sql === writeStock ? [cut, values.slice(0, 22)] : [sql, values]);
const without = { ...test.database, query: (s: never, v: never) => test.database.query(s, v), transaction: (work: (tx: never) => Promise<unknown>) => test.database.transaction((tx) => work({ query: (s: unknown, v: never) => tx.query(...(change(s, v) as [never, never])), commitWith: (s: unknown, v: never) => tx.commitWith(...(change(s, v) as [never, never])) } as never)) } as never as Database;
const fp = randomBytes(32);
const sides = { without: new StockRepository(without), with: new StockRepository(test.database) };
await sides.with.adjust({ requestId: "bench", fingerprint: Buffer.alloc(32) }, { kind: "adjust", sku: "HOT", locationId: "main", delta: 1_000_000_000n, reason: "bench" } as never);
import { readFileSync } from "node:fs";
const pgCpu = async () => { const pids = await test.database.query<{ pid: number }>("select pid from pg_stat_activity where datname = current_database()"); return pids.reduce((a, { pid }) => { try { return a + Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e3; } catch { return a; } }, 0); };
const results: Record<string, number[]> = { without: [], with: [] };
const cpu: [number, number][] = [];
async function round(stock: StockRepository, ms: number) {
  const before = process.cpuUsage(); const pgBefore = await pgCpu(); let n = 0; const end = performance.now() + ms;
  await Promise.all(Array.from({ length: 64 }, async () => { while (performance.now() < end) { await stock.change({ requestId: `${newId()}:reserve`, fingerprint: fp }, { kind: "reserve", orderId: newId(), lines: [{ sku: "HOT", quantity: 1n }], holdMs: 900_000 } as never); n += 1; } }));
  const [node, back] = [process.cpuUsage(before).user + process.cpuUsage(before).system, (await pgCpu()) - pgBefore];
  cpu.push([node / n, back / n]);
  return (n * 1000) / ms;
}
for (const s of Object.values(sides)) await round(s, 1500);
for (let i = 0; i < 6; i += 1) for (const [k, s] of Object.entries(sides)) results[k]?.push(await round(s, 3000));
for (const [k, v] of Object.entries(results)) console.log(k, v.map((x) => x.toFixed(0)).join(" "), "median", v.sort((a, b) => a - b)[3]?.toFixed(0));
const tail = cpu.slice(2); for (const [k, at] of [["without", 0], ["with", 1]] as const) { const mine = tail.filter((_, i) => i % 2 === at); const med = (i: 0 | 1) => mine.map((c) => c[i]).sort((a, b) => a - b)[mine.length >> 1]?.toFixed(1); console.log(k, "cpu us per reservation: node", med(0), "postgres", med(1)); }
await Promise.all(Object.values(sides).map((s) => s.drain()));
