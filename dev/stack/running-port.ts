import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ancestryOf } from "../process/identity.ts";

/** The port of the PostgreSQL that runs on this data, if one does: the fourth line of its pid file. */
export function runningPort(dataDirectory: string): number | undefined {
  const file = join(dataDirectory, "postgres", "postmaster.pid");
  if (!existsSync(file)) return undefined;
  const [pid, , , port] = readFileSync(file, "utf8").split("\n");
  return ancestryOf(Number(pid)) ? Number(port) : undefined;
}
