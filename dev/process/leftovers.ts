import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { StackError } from "../errors.ts";
import type { Ledger, Life } from "./guard-protocol.ts";
import { identityOf } from "./identity.ts";
import { within } from "./within.ts";

/** How long what an earlier stack left may take to end by itself, and then to die. */
const patienceMs = 10_000;

/** How long a killed process may take to be gone. */
const dyingMs = 1_000;

/** Where the guard of a stack writes down what runs. */
export function ledgerFile(dataDirectory: string): string {
  return join(dataDirectory, "run", "programs.json");
}

/** Where a stack's process says that the folder is its own. */
function ownerFile(dataDirectory: string): string {
  return join(dataDirectory, "run", "owner.json");
}

/**
 * Makes this process the only one that runs a stack from the folder, and ends what an earlier one left behind.
 * @throws StackError when a stack runs from there already
 */
export async function claim(dataDirectory: string): Promise<void> {
  mkdirSync(join(dataDirectory, "run"), { recursive: true });
  const file = ownerFile(dataDirectory);
  while (!writeNew(file, { name: "owner", pid: process.pid, started: identityOf(process.pid) ?? "" })) {
    const owner = readJson<Life>(file);
    // One that was killed a moment ago may need a moment to be gone.
    if (owner && !(await within(dyingMs, () => !runs(owner)))) {
      throw new StackError(
        `Ordermesh already runs from ${dataDirectory} as process ${owner.pid}: stop that one first, or use --data and --port-offset.`,
      );
    }
    rmSync(file, { force: true });
  }
  await endLeftovers(dataDirectory);
}

/** Gives the folder free again. */
export function release(dataDirectory: string): void {
  const owner = readJson<Life>(ownerFile(dataDirectory));
  if (owner?.pid === process.pid) rmSync(ownerFile(dataDirectory), { force: true });
}

/** Waits for the guard of a stack whose process died to end its programs, then kills what still runs. */
async function endLeftovers(dataDirectory: string): Promise<void> {
  const ledger = readJson<Ledger>(ledgerFile(dataDirectory));
  if (!ledger) return;
  await within(patienceMs / 2, () => !runs(ledger.guard));
  for (const life of [ledger.guard, ...ledger.programs]) kill(life);
  const gone = await within(patienceMs, () => !ledger.programs.some(runs));
  if (!gone) {
    const rest = ledger.programs.filter(runs).map(({ name, pid }) => `${name} (${pid})`);
    throw new StackError(`An earlier stack left ${rest.join(", ")} running, which cannot be killed: end it by hand.`);
  }
  rmSync(ledgerFile(dataDirectory), { force: true });
}

function runs(life: Life): boolean {
  return life.started !== "" && identityOf(life.pid) === life.started;
}

/** Kills this very life, never a process that has the number by now. */
function kill(life: Life): void {
  if (!runs(life)) return;
  try {
    process.kill(-life.pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function writeNew(file: string, content: unknown): boolean {
  try {
    const descriptor = openSync(file, "wx", 0o600);
    writeSync(descriptor, JSON.stringify(content));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** A file that is missing, or was cut short, says nothing. */
function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch {
    return undefined;
  }
}
