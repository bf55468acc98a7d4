import { connect, createServer } from "node:net";
import { run } from "../../deploy/command/run.ts";
import { StackError } from "../errors.ts";
import { within } from "../process/within.ts";

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

/** Whoever answers there stays. */
async function becomesFree(port: number): Promise<boolean> {
  const look = async () => {
    if (await isFree(port)) return "free";
    return (await answers(port)) && "taken";
  };
  return (await within(patienceMs, look, 200)) === "free";
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
