import { readdir, readFile } from "node:fs/promises";

/** Ticks per second in /proc: USER_HZ, which is 100 on every Linux that Node runs on. */
const ticks = 100;

/**
 * The CPU time that a process and all its descendants have used, in seconds, those that have ended too: PostgreSQL works in many processes,
 * which end with their connections. 0 for a process that does not run. Linux only.
 */
export async function cpuSeconds(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0;
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name, in parentheses, may contain anything; from the 12th field after it on: user and system time, and the same of children that ended.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const own = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / ticks;
  const children = await childrenOf(pid);
  const below = await Promise.all(children.map(cpuSeconds));
  return own + below.reduce((sum, seconds) => sum + seconds, 0);
}

/**
 * The memory that a process and its living descendants have, in bytes; pages that several share count in parts. 0 for a
 * process that does not run. Linux only.
 */
export async function memoryBytes(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0;
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  const kilobytes = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0);
  const below = await Promise.all((await childrenOf(pid)).map(memoryBytes));
  return kilobytes * 1024 + below.reduce((sum, bytes) => sum + bytes, 0);
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => "")),
  );
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
}
