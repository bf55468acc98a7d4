import { randomBytes } from "node:crypto";
import { auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import { decodeId, newId } from "#platform/id.ts";
import { startEmbedded, testDatabase } from "#testing/postgres.ts";
import { migrations } from "../services/inventory/src/migrations/list.ts";
import { StockLevelEntity } from "../services/inventory/src/stock.entity.ts";
import { StockRepository } from "../services/inventory/src/stock.repository.ts";

const callers = 64;
const rounds = 4;
const roundMs = 4_000;
const warmUpMs = 1_500;
const hot = { sku: "HOT", locationId: "main" };
const holdMs = 900_000;

/** One reservation of one piece; resolves when it is durable. */
type Reserve = () => Promise<void>;

interface Round {
  readonly perSecond: number;
  /** Milliseconds of every call. */
  readonly latencies: number[];
}

/**
 * Reservations per second on one hot article, 64 callers that each wait for their answer: the repository, which coalesces,
 * against a transaction for each with `SELECT … FOR UPDATE`. Both write the same rows to the same server, which waits for
 * its disk on every commit; the rounds alternate. The last line is the ratio of the medians.
 */
export async function bench(): Promise<void> {
  const adminUrl = await startEmbedded(["shared_buffers=256MB", "max_connections=150", "max_wal_size=4GB"]);
  await using test = await testDatabase("inventory", {
    entities: [StockLevelEntity],
    migrations,
    adminUrl,
    connection: { poolMax: 16 },
  });
  const { database } = test;
  const stock = new StockRepository(database);
  const adjust = { kind: "adjust", ...hot, delta: 1_000_000_000n, reason: "bench" } as const;
  await stock.adjust({ requestId: "bench", fingerprint: Buffer.alloc(32) }, adjust);

  const sides = { forUpdate: () => reserveAlone(database), coalesced: () => reserveTogether(stock) };
  for (const reserve of Object.values(sides)) await runRound(reserve, warmUpMs);
  const results: Record<keyof typeof sides, Round[]> = { forUpdate: [], coalesced: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const side of ["forUpdate", "coalesced"] as const) {
      results[side].push(await runRound(sides[side], roundMs));
      await database.query("select 1");
    }
  }
  await stock.drain();
  await requireBalance(database);
  const alone = summarize("select for update", results.forUpdate);
  const together = summarize("coalesced", results.coalesced);
  console.log(`p99: ${(alone.p99 / together.p99).toFixed(1)} times shorter`);
  console.log(`ratio: ${(together.perSecond / alone.perSecond).toFixed(1)}`);
}

/** The request's fingerprint is the service's work, not the store's. */
const fingerprint = randomBytes(32);

function key(): { requestId: string; fingerprint: Buffer } {
  return { requestId: `${newId()}:reserve`, fingerprint };
}

async function reserveTogether(stock: StockRepository): Promise<void> {
  await stock.change(key(), { kind: "reserve", orderId: newId(), lines: [{ sku: hot.sku, quantity: 1n }], holdMs });
}

/** What one would write without a batcher: the same checks and the same rows, statement by statement, all prepared. */
async function reserveAlone(database: Database): Promise<void> {
  const { requestId } = key();
  const id = newId();
  const orderId = decodeId(id);
  const origin = auditOrigin(requestId);
  const now = new Date();
  const at = [hot.sku, hot.locationId];
  await database.transaction(async (tx) => {
    const [level] = await tx.query<{ on_hand: bigint; reserved: bigint }>(plain.lock, at);
    if (!level || level.on_hand - level.reserved < 1n) throw new Error("out of stock");
    await tx.query(plain.level, [...at, now]);
    const allocations = [{ sku: hot.sku, location_id: hot.locationId, quantity: 1, status: "held" }];
    const expireTime = new Date(now.getTime() + holdMs);
    await tx.query(plain.reservation, [orderId, JSON.stringify(allocations), expireTime, now]);
    await tx.query(plain.movement, [...at, orderId, now]);
    const entry = { action: "stock.reserved", orderId: id, details: { [at.join("@")]: "1" }, origin };
    await tx.query(plain.audit, [auditEvents([entry])]);
    await tx.query(plain.key, [requestId, fingerprint, Buffer.from(JSON.stringify({ o: orderId, parts: [at] }))]);
  });
}

const plain = {
  lock: {
    name: "plain_lock",
    text: "select on_hand, reserved from stock_level where sku = $1 and location_id = $2 for update",
  },
  level: {
    name: "plain_level",
    text: "update stock_level set reserved = reserved + 1, update_time = $3 where sku = $1 and location_id = $2",
  },
  reservation: {
    name: "plain_reservation",
    text: `insert into reservation (order_id, allocations, expire_time, create_time, update_time)
      values ($1, $2, $3, $4, $4)`,
  },
  movement: {
    name: "plain_movement",
    text: `insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta, order_id, create_time)
      values ($1, $2, 'reservation', 0, 1, $3, $4)`,
  },
  audit: { name: "plain_audit", text: insertAuditEvents("$1") },
  key: {
    name: "plain_key",
    text: "insert into idempotency_key (method, request_id, fingerprint, response) values ('reserve', $1, $2, $3)",
  },
};

async function runRound(reserve: Reserve, durationMs: number): Promise<Round> {
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + durationMs;
  const caller = async () => {
    for (let begun = performance.now(); begun < end; begun = performance.now()) {
      await reserve();
      latencies.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { perSecond: (latencies.length * 1_000) / (performance.now() - start), latencies };
}

function summarize(name: string, results: Round[]): { perSecond: number; p99: number } {
  const latencies = Float64Array.from(results.flatMap((round) => round.latencies)).sort();
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN;
  const rates = results.map((round) => round.perSecond).sort((one, other) => one - other);
  const perSecond = ((rates[(rates.length - 1) >> 1] ?? 0) + (rates[rates.length >> 1] ?? 0)) / 2;
  const each = rates.map((rate) => Math.round(rate)).join(", ");
  console.log(
    `${name}: ${Math.round(perSecond)} reservations/s (${each}), p50 ${at(0.5).toFixed(2)} ms, p99 ${at(0.99).toFixed(2)} ms`,
  );
  return { perSecond, p99: at(0.99) };
}

/** A figure counts only when both sides left the books in order. */
async function requireBalance(database: Database): Promise<void> {
  const [row] = await database.query<{ ok: boolean; reserved: bigint }>(
    `select l.reserved,
       l.reserved = (select count(*) from reservation) and l.reserved = (select sum(quantity) from allocation)
       and l.reserved = (select sum(reserved_delta) from stock_movement)
       and l.reserved + 1 = (select count(*) from audit_event)
       and l.reserved + 1 = (select count(*) from idempotency_key) as ok from stock_level as l`,
  );
  if (!row?.ok) throw new Error("the books are not in balance after the benchmark");
  console.log(`${row.reserved} reservations, books in balance`);
}
