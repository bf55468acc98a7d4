import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { identityOf } from "../dev/identity.ts";

/** How long one process waits for another that holds the lock: longer than the slowest build here (minutes). */
const deadlineMs = 30 * 60_000;

/** Whether the process that wrote this lock is gone, so that the lock means nothing any more. */
async function isStale(file: string): Promise<boolean> {
  const [pid, started] = (await readFile(file, "utf8").catch(() => "")).split(" ");
  // An empty file may be one that is being written just now.
  if (!pid || !started) return false;
  return identityOf(Number(pid)) !== started;
}

async function take(file: string): Promise<boolean> {
  try {
    await writeFile(file, `${process.pid} ${identityOf(process.pid)}`, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (await isStale(file)) await rm(file, { force: true });
    return false;
  }
}

/**
 * Runs `work` while no other process on this machine runs work under the same lock file. Waits up to 30 minutes;
 * a lock whose process died is taken over.
 * @param onWait told once when another process holds the lock
 */
export async function exclusively<T>(file: string, work: () => Promise<T>, onWait: () => void): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const end = Date.now() + deadlineMs;
  let told = false;
  while (!(await take(file))) {
    if (Date.now() > end) throw new Error(`another process holds ${file} for half an hour; remove it when none does`);
    if (!told) onWait();
    told = true;
    await delay(250);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}
