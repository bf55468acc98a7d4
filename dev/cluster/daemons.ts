import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../config.ts";
import { identityOf } from "../process/identity.ts";
import { within } from "../process/within.ts";
import { ClusterError } from "./errors.ts";
import { paths } from "./layout.ts";

/** A process of the node, which outlives the command that starts it. */
export interface Daemon {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How long a process may take to end before it is killed: what it has in hand is thrown away anyway. */
const stopGraceMs = 4_000;
/** Between two questions of {@link until}, in milliseconds. */
const askEveryMs = 250;

const fileOf = (name: string) => join(paths.run, `${name}.pid`);

/** Where a process writes what it has to say. */
export const logOf = (name: string): string => join(paths.log, `${name}.log`);

/** The process id, when it is still the process that was started. */
export function pidOf(name: string): number | undefined {
  try {
    const [pid, started] = readFileSync(fileOf(name), "utf8").split(" ");
    return identityOf(Number(pid)) === started ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** Starts a process unless it runs. It lives on in a session of its own. */
export function startDaemon({ name, command, args, env = {} }: Daemon): void {
  if (pidOf(name) !== undefined) return;
  mkdirSync(paths.run, { recursive: true });
  mkdirSync(paths.log, { recursive: true });
  const log = openSync(logOf(name), "w");
  const environment = childEnvironment({ PATH: `/usr/sbin:/sbin:/usr/bin:/bin`, ...env });
  const child = spawn(command, args, { detached: true, stdio: ["ignore", log, log], cwd: "/", env: environment });
  closeSync(log);
  child.on("error", () => undefined);
  if (child.pid === undefined) throw new ClusterError(`${name} cannot be started: there is no ${command}.`);
  writeFileSync(fileOf(name), `${child.pid} ${identityOf(child.pid)}`);
  child.unref();
}

/** Ends processes: all are asked at once, and killed when they do not follow. */
export async function stopDaemons(names: readonly string[]): Promise<void> {
  const signal = (kind: NodeJS.Signals) => {
    for (const name of names) {
      const pid = pidOf(name);
      if (pid !== undefined) process.kill(pid, kind);
    }
  };
  const isOver = () => names.every((name) => pidOf(name) === undefined);
  signal("SIGTERM");
  await within(stopGraceMs, isOver);
  signal("SIGKILL");
  await within(stopGraceMs, isOver);
  for (const name of names) rmSync(fileOf(name), { force: true });
}

/** Resident memory in MiB. */
export function memoryOf(pid: number): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kibibytes ?? 0) / 1024);
}

/** The last lines of a process's log, for an error message. */
export function lastWords(name: string): string {
  const file = logOf(name);
  if (!statSync(file, { throwIfNoEntry: false })) return "";
  return readFileSync(file, "utf8").trim().split("\n").slice(-3).join("\n");
}

/** Asks until it goes well. @throws ClusterError with the last reason, and with what a process said last */
export async function until(
  what: string,
  seconds: number,
  ask: () => Promise<unknown>,
  daemon?: string,
): Promise<void> {
  let reason: unknown;
  const goesWell = async () => {
    try {
      await ask();
      return true;
    } catch (error) {
      reason = error;
      return false;
    }
  };
  if (await within(seconds * 1_000, goesWell, askEveryMs)) return;
  const said = daemon === undefined ? "" : `\n${lastWords(daemon)}`;
  throw new ClusterError(`${what} did not happen within ${seconds} s: ${(reason as Error).message}${said}`);
}
