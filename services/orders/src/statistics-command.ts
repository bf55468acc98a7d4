import { databaseConfig, loadConfig, withRole } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import { StartError } from "#platform/process/startup.ts";
import { Statistics } from "./statistics/statistics.ts";

const usage = "say statistics rebuild, or statistics refresh";
/** How long a refresh goes on before it looks whether there is more, in milliseconds. */
const budgetMs = 10_000;

/**
 * `statistics rebuild` counts all orders anew, while those who read see what was counted before; then, as `statistics refresh` does alone,
 * what has happened meanwhile.
 */
export async function statisticsCommand([what, ...more]: readonly string[]): Promise<void> {
  if ((what !== "rebuild" && what !== "refresh") || more.length > 0) throw new StartError(usage);
  const {
    DATABASE_URL: url,
    DATABASE_POOLED: pooled,
    DATABASE_DIRECT_URL: directUrl,
  } = withRole(loadConfig(databaseConfig));
  const database = await Database.open({ url, pooled, directUrl, name: "orders-statistics", entities: [], poolMax: 1 });
  try {
    const statistics = new Statistics(database);
    if (what === "rebuild") process.stdout.write(`orders counted anew: ${await statistics.rebuild(tell)}\n`);
    process.stdout.write(`true until ${(await refresh(statistics)).toISOString()}\n`);
  } finally {
    await database.close();
  }
}

async function refresh(statistics: Statistics): Promise<Date> {
  for (;;) {
    const { more, trueUntil } = await statistics.refresh(budgetMs);
    if (!more && trueUntil) return trueUntil;
  }
}

/** Whoever waits sees that it goes on; a file does not. */
function tell(orders: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${orders}`);
}
