import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { identityOf } from "../process/identity.ts";

/** How a process waits for another one that holds the lock. */
export interface Patience {
  /** How long at most, in milliseconds: longer than the longest work under this lock, which has deadlines of its own. */
  readonly deadlineMs: number;
  /** Told when it begins to wait, and then every `everyMs`, for how many seconds it has waited. */
  onWait(seconds: number): void;
  /** Default half a minute. */
  readonly everyMs?: number;
}

async function holderOf(file: string): Promise<readonly [pid: number, started: string] | undefined> {
  const [pid, started] = (await readFile(file, "utf8").catch(() => "")).split(" ");
  return pid && started ? [Number(pid), started] : undefined;
}

/** Whether the process that wrote this lock is gone, so that the lock means nothing any more. */
async function isStale(file: string): Promise<boolean> {
  const holder = await holderOf(file);
  return holder !== undefined && identityOf(holder[0]) !== holder[1];
}

/** Removes a lock whose process is gone; of several that try, one. */
async function clear(file: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
    // Somebody was faster, and this is the lock that they hold.
    if (!(await isStale(aside))) await link(aside, file);
  } catch (error) {
    if (!["ENOENT", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/** The lock appears with its contents, so that one without is never seen. */
async function take(file: string): Promise<boolean> {
  const mine = `${file}.${randomUUID()}`;
  try {
    await writeFile(mine, `${process.pid} ${identityOf(process.pid)}`);
    await link(mine, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (await isStale(file)) await clear(file);
    return false;
  } finally {
    await rm(mine, { force: true });
  }
}

/**
 * Runs `work` while no other process on this machine runs work under the same lock file. Waits for as long as the other one
 * lives, up to the deadline; a lock whose process died is taken over.
 *
 * @throws Error that names the process that holds the lock, after the deadline
 */
export async function exclusively<T>(file: string, work: () => Promise<T>, patience: Patience): Promise<T> {
  const { deadlineMs, onWait, everyMs = 30_000 } = patience;
  await mkdir(dirname(file), { recursive: true });
  const start = Date.now();
  let told = 0;
  while (!(await take(file))) {
    const waited = Date.now() - start;
    if (waited > deadlineMs) throw await tooLong(file, waited);
    if (waited >= told * everyMs) {
      onWait(Math.round(waited / 1_000));
      told += 1;
    }
    await delay(250);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function tooLong(file: string, waitedMs: number): Promise<Error> {
  const [pid] = (await holderOf(file)) ?? ["?"];
  const minutes = Math.round(waitedMs / 60_000);
  return new Error(`process ${pid} holds ${file} for more than ${minutes} minutes: end it if it does nothing`);
}
