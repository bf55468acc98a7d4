// The guard: a process of its own that starts every program of a stack and ends them all when the stack's process is
// gone, however it went. It is told what to do over an IPC channel, and that channel closes with the other end's life,
// `kill -9` included. `guard.ts <ledger file> <owner pid>`.
import { type ChildProcess, spawn } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { ContainerLog } from "../../deploy/observability/elk/container-log.ts";
import type { Command, Ledger, Life, ProgramSpec, Report } from "./guard-protocol.ts";
import { identityOf } from "./identity.ts";
import { LogFile } from "./log-file.ts";

interface Program {
  readonly spec: ProgramSpec;
  readonly child: ChildProcess;
  readonly life: Life;
  readonly ended: Promise<void>;
}

/** How long programs may take to end in order when nobody waits for them any more. */
const orphanedGraceMs = 4_000;
/** Lines on their way to the stack's process at most. */
const maxLinesInFlight = 1_000;

const [ledgerFile, ownerPid] = process.argv.slice(2);
if (!ledgerFile || !ownerPid || !process.send) throw new Error("guard.ts is started by the stack");
const programs = new Map<string, Program>();
const owner = lifeOf("owner", Number(ownerPid));
const guard = lifeOf("guard", process.pid);
let stopping = false;
let linesInFlight = 0;

function lifeOf(name: string, pid: number): Life {
  return { name, pid, started: identityOf(pid) ?? "" };
}

function report(message: Report): void {
  // The stack's process may be gone, or may go while this is sent; then nobody needs to be told.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** A line for the screen. When the reader falls behind, lines are left out there; the file has them all. */
function reportLine(name: string, line: string): void {
  if (!process.connected || linesInFlight >= maxLinesInFlight) return;
  linesInFlight += 1;
  process.send?.({ type: "line", name, line } satisfies Report, undefined, undefined, () => {
    linesInFlight -= 1;
  });
}

function writeLedger(file: string): void {
  const ledger: Ledger = { owner, guard, programs: [...programs.values()].map(({ life }) => life) };
  writeFileSync(`${file}.new`, JSON.stringify(ledger), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function start(spec: ProgramSpec, ledger: string): void {
  if (stopping) return;
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: spec.env,
    ...(spec.uid !== undefined && { uid: spec.uid }),
    ...(spec.gid !== undefined && { gid: spec.gid }),
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: a terminal's Ctrl-C reaches only the stack's process, and the whole group can be ended.
    detached: true,
  });
  child.once("error", (error) => report({ type: "failed", name: spec.name, message: error.message }));
  if (child.pid === undefined) return;
  const life = lifeOf(spec.name, child.pid);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  programs.set(spec.name, { spec, child, life, ended });
  writeLedger(ledger);
  forward(spec, child);
  report({ type: "started", life });
  child.once("exit", (code, signal) => {
    killGroup(life.pid, "SIGKILL");
    programs.delete(spec.name);
    writeLedger(ledger);
    report({ type: "ended", life, code, signal });
  });
}

function forward(spec: ProgramSpec, child: ChildProcess): void {
  const log = new LogFile(spec.logFile);
  const pod = spec.podLog && new ContainerLog(spec.podLog.root, spec.podLog);
  for (const name of ["stdout", "stderr"] as const) {
    const stream = child[name];
    if (!stream) continue;
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
      log.write(stripVTControlCharacters(line));
      pod?.write(line, name);
      reportLine(spec.name, line);
    });
  }
  child.once("close", () => log.close());
}

/** The group may be empty already. */
function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function end(program: Program, graceMs: number): Promise<void> {
  program.child.kill(program.spec.stopSignal);
  const timer = setTimeout(() => killGroup(program.life.pid, "SIGKILL"), graceMs);
  await program.ended;
  clearTimeout(timer);
}

async function stop(ledger: string, graceMs: number): Promise<void> {
  // Asked again, with less patience.
  if (stopping && graceMs === 0) for (const { life } of programs.values()) killGroup(life.pid, "SIGKILL");
  if (stopping) return;
  stopping = true;
  const orders = [...new Set([...programs.values()].map(({ spec }) => spec.stopOrder))].sort((a, b) => a - b);
  for (const order of orders) {
    const batch = [...programs.values()].filter(({ spec }) => spec.stopOrder === order);
    await Promise.all(batch.map((program) => end(program, graceMs)));
  }
  rmSync(ledger, { force: true });
  process.exit(0);
}

writeLedger(ledgerFile);
process.on("message", (command: Command) => {
  if (command.type === "start") start(command.spec, ledgerFile);
  else void stop(ledgerFile, command.graceMs);
});
process.on("disconnect", () => void stop(ledgerFile, orphanedGraceMs));
process.on("SIGTERM", () => void stop(ledgerFile, orphanedGraceMs));
report({ type: "ready" });
