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

/** How long a process of a whole stack may take, on a machine that is busy with others. */
export const patient = { deadlineMs: 30_000, everyMs: 50 };
