import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { run } from "../../deploy/command/run.ts";
import { StackError } from "../errors.ts";

/** Where a stack listens. */
export const host = "127.0.0.1";
/** An outgoing connection may have one of our ports by chance; it is waited for, as it seldom lasts. */
const patienceMs = 5_000;

/** @throws StackError that names every port in use and, where the system tells, who has it */
export async function requireFree(wanted: readonly { port: number; use: string }[]): Promise<void> {
  const verdicts = await Promise.all(
    wanted.map(async ({ port, use }) => ({ port, use, free: await becomesFree(port) })),
  );
  const taken = verdicts.filter(({ free }) => !free);
  if (taken.length === 0) return;
  const names = await Promise.all(taken.map(async ({ port, use }) => `${port} (${use})${await holderOf(port)}`));
  const subject = taken.length === 1 ? `Port ${names[0]} is in use` : `Ports ${names.join(", ")} are in use`;
  throw new StackError(
    `${subject}: stop what uses them, or move every port with --port-offset 100, or --port-offset free.`,
  );
}

/** Whether we could listen there now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

async function becomesFree(port: number): Promise<boolean> {
  const end = Date.now() + patienceMs;
  while (!(await isFree(port))) {
    if (Date.now() > end || (await answers(port))) return false;
    await delay(200);
  }
  return true;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** Who has it, as far as `ss` or `lsof` is installed and tells. */
async function holderOf(port: number): Promise<string> {
  const options = { timeoutMs: 3000 };
  const ss = await run("ss", ["-Htanp", `sport = :${port}`], options).catch(() => "");
  const [, name, pid] = /\(\("([^"]+)",pid=(\d+)/.exec(ss) ?? [];
  if (pid) return ` by ${name}, process ${pid},`;
  const lsof = await run("lsof", ["-ti", `tcp:${port}`], options).catch(() => "");
  return /^\d+/.test(lsof) ? ` by process ${lsof.split("\n")[0]},` : "";
}
