// biome-ignore lint/plugin/files: the file that the operator names who runs the command
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { databaseConfig, loadConfig, withRole } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import { StartError } from "#platform/process/startup.ts";
import { ordersConfig } from "./config.ts";
import { CustomerEntity } from "./customer/customer.ts";
import { ErasedListError, erasedLine, replayErased } from "./customer/erased-list.ts";
import { ErasureRepository } from "./customer/erasure.repository.ts";

const { PERSONAL_DATA_KEEP_DAYS } = ordersConfig;
const usage = "say erased list, or erased replay <file>, where - is standard input";

/**
 * `erased list` writes who was erased, one a line, to be kept where no backup of the database is; `erased replay` reads such a list, or
 * lines of the published audit log, and erases them again: for the time after a restore.
 */
export async function erasedCommand([what, file, ...more]: readonly string[]): Promise<void> {
  const isReplay = what === "replay" && file !== undefined;
  if ((what !== "list" && !isReplay) || more.length > 0) throw new StartError(usage);
  const config = withRole(loadConfig({ ...databaseConfig, PERSONAL_DATA_KEEP_DAYS }));
  const { DATABASE_URL: url, DATABASE_POOLED: pooled, DATABASE_DIRECT_URL: directUrl } = config;
  const entities = [CustomerEntity];
  const database = await Database.open({ url, pooled, directUrl, name: "orders-erased", entities, poolMax: 1 });
  try {
    const erasures = new ErasureRepository(database, config.PERSONAL_DATA_KEEP_DAYS);
    if (isReplay) await replay(erasures, file);
    else await list(erasures);
  } finally {
    await database.close();
  }
}

async function list(erasures: ErasureRepository): Promise<void> {
  for await (const page of erasures.list()) process.stdout.write(page.map(erasedLine).join(""));
}

async function replay(erasures: ErasureRepository, file: string): Promise<void> {
  try {
    const input = file === "-" ? process.stdin : createReadStream(file);
    const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
    const { erased, gone } = await replayErased(lines, erasures);
    process.stdout.write(`erased again: ${erased}; gone already: ${gone}\n`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof ErasedListError) throw new StartError(`${file}: ${error.message}`);
    if (code === "ENOENT" || code === "EACCES" || code === "EISDIR")
      throw new StartError(`${file} cannot be read (${code})`);
    throw error;
  }
}
