import { setTimeout as pause } from "node:timers/promises";
import { newId } from "#platform/id.ts";
import { startEmbedded, testDatabase } from "#testing/postgres.ts";
import { allocate } from "../services/inventory/src/allocation.ts";
import { migrations } from "../services/inventory/src/migrations/list.ts";
import { StockLevelEntity } from "../services/inventory/src/stock.entity.ts";
import { StockRepository } from "../services/inventory/src/stock.repository.ts";
import type { Level, Line } from "../services/inventory/src/stock.ts";
import { median } from "./median.ts";

const skus = ["A", "B", "C"];
const callers = 64;
const rounds = 4;
const roundMs = 3_000;
const warmUpMs = 1_000;
/** Each location has so much of each article that none runs out. */
const onHand = 1_000_000;
const few = 10;
const many = 1_000;

/**
 * What an order costs that many locations could serve: reservations per second of three articles at 1,000 locations, 64 callers, beside the
 * same at 10 locations; and how long one order keeps the process from everything else, at worst. The ratio is that of the
 * medians, of 1,000 to 10 locations: 1 when it does not matter how many there are.
 */
export async function bench(): Promise<void> {
  chooseAlone("100 lines, each at two of ten locations: every choice is looked at", pairsOf(10));
  chooseAlone("100 lines, each at 32 locations of its own", (line) =>
    Array.from({ length: 32 }, (_, at) => line * 32 + at),
  );
  const adminUrl = await startEmbedded(["shared_buffers=256MB", "max_connections=100", "max_wal_size=4GB"]);
  const perSecond: Record<number, number[]> = { [few]: [], [many]: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const locations of [few, many]) perSecond[locations]?.push(await measure(adminUrl, locations));
  }
  const [atFew = 0, atMany = 0] = [few, many].map((locations) => median(perSecond[locations] ?? []));
  console.log(`${few} locations: ${atFew.toFixed(0)} reservations/s`);
  console.log(`${many} locations: ${atMany.toFixed(0)} reservations/s`);
  console.log(`ratio: ${(atMany / atFew).toFixed(2)}`);
}

/** Every pair of so many locations in turn: only all but one of them cover every pair. */
function pairsOf(locations: number): (line: number) => number[] {
  const all = Array.from({ length: locations }, (_, place) => place);
  const pairs = all.flatMap((one) => all.filter((other) => other > one).map((other) => [one, other]));
  return (line) => pairs[line % pairs.length] ?? [];
}

/** The choice alone, without a database. */
function chooseAlone(what: string, placesOf: (line: number) => number[]): void {
  const names = Array.from({ length: 100 }, (_, index) => `S${index}`);
  const lines: Line[] = names.map((sku) => ({ sku, quantity: 1n }));
  const levels: Level[] = names.flatMap((sku, line) =>
    placesOf(line).map((place) => {
      return { sku, locationId: `L${place}`, onHand: 1n, reserved: 0n, updateTime: new Date(0) };
    }),
  );
  const times = Array.from({ length: 20 }, () => {
    const begin = performance.now();
    allocate(lines, levels);
    return performance.now() - begin;
  });
  console.log(`${what}: ${median(times).toFixed(2)} ms on the event loop`);
}

async function measure(adminUrl: string, locations: number): Promise<number> {
  await using test = await testDatabase("inventory", {
    entities: [StockLevelEntity],
    migrations,
    adminUrl,
    connection: { poolMax: 8 },
  });
  await test.database.query(
    `insert into stock_level (sku, location_id, on_hand)
     select sku, 'L' || i, ${onHand} from unnest($1::text[]) as sku, generate_series(1, $2::int) as i`,
    [skus, locations],
  );
  const stock = new StockRepository(test.database);
  await reserveFor(stock, warmUpMs);
  const count = await reserveFor(stock, roundMs);
  await stock.drain();
  return count / (roundMs / 1_000);
}

/** How many reservations were made by callers that each wait for their answer. */
async function reserveFor(stock: StockRepository, ms: number): Promise<number> {
  let [count, over] = [0, false];
  const caller = async (): Promise<void> => {
    while (!over) {
      const key = { requestId: newId(), fingerprint: Buffer.alloc(32) };
      const lines = skus.map((sku) => ({ sku, quantity: 1n }));
      await stock.change(key, { kind: "reserve", orderId: newId(), lines, holdMs: 900_000 });
      count += 1;
    }
  };
  const all = Array.from({ length: callers }, caller);
  await pause(ms);
  over = true;
  await Promise.all(all);
  return count;
}
