import { setTimeout as delay } from "node:timers/promises";
import { identityOf } from "../process/identity.ts";

/** One life of a process, to be asked for later. */
export interface Seen {
  readonly pid: number;
  readonly started: string;
}

/** Notes a process that runs now. */
export function see(pid: number | undefined): Seen {
  const started = pid === undefined ? undefined : identityOf(pid);
  if (pid === undefined || started === undefined) throw new Error(`no process ${pid}`);
  return { pid, started };
}

/** Whether that very process still runs. */
export function isAlive({ pid, started }: Seen): boolean {
  return identityOf(pid) === started;
}

/** Waits for a condition, asked every `everyMs`; the error says what was waited for. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { timeoutMs = 30_000, everyMs = 50 } = {},
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(everyMs);
  }
}
