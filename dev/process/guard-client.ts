import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { childEnvironment } from "../config.ts";
import type { Command, Life, ProgramSpec, Report } from "./guard-protocol.ts";
import { identityOf } from "./identity.ts";
import { ledgerFile } from "./leftovers.ts";

/** What the stack wants to hear. */
export interface GuardListener {
  ended(life: Life, how: string): void;
  line(name: string, line: string): void;
  /** The guard itself ended without being asked to; its programs are dead already. */
  guardLost(): void;
}

/** How long the guard may take to be up, and a program to have a process id: the disk may be busy with an installation. */
const startDeadlineMs = 60_000;

/** The stack's end of the guard: starts programs, hears when they end, stops them all. */
export class GuardClient {
  readonly #process: ChildProcess;
  readonly #listener: GuardListener;
  readonly #lives = new Map<string, Life>();
  readonly #starting = new Map<string, { resolve: (life: Life) => void; reject: (error: Error) => void }>();
  readonly #ended = Promise.withResolvers<void>();
  #stopping = false;

  private constructor(child: ChildProcess, listener: GuardListener) {
    this.#process = child;
    this.#listener = listener;
    child.on("message", (report: Report) => this.#hear(report));
    child.once("exit", () => this.#guardEnded());
  }

  /** Starts the guard of a stack that keeps its data in this folder. */
  static async open(dataDirectory: string, listener: GuardListener): Promise<GuardClient> {
    mkdirSync(join(dataDirectory, "log"), { recursive: true });
    const log = openSync(join(dataDirectory, "log", "guard.log"), "a", 0o600);
    const script = join(import.meta.dirname, "guard.ts");
    const child = spawn(process.execPath, [script, ledgerFile(dataDirectory), String(process.pid)], {
      cwd: root,
      env: childEnvironment({}),
      detached: true,
      stdio: ["ignore", log, log, "ipc"],
    });
    closeSync(log);
    const client = new GuardClient(child, listener);
    const ready = new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("error", reject);
      child.once("exit", (code) =>
        reject(new Error(`the stack's guard ended at once with code ${code}; see guard.log`)),
      );
    });
    await withDeadline(ready, "the stack's guard did not start");
    return client;
  }

  /** Starts a program and returns its process. */
  start(spec: ProgramSpec): Promise<Life> {
    const started = new Promise<Life>((resolve, reject) => this.#starting.set(spec.name, { resolve, reject }));
    this.#tell({ type: "start", spec });
    return withDeadline(started, `${spec.name} did not start`);
  }

  /** The running process of a program. */
  lifeOf(name: string): Life | undefined {
    return this.#lives.get(name);
  }

  /**
   * Stops every program in order and then the guard.
   * @param graceMs after this many milliseconds a program is killed; 0 kills at once
   */
  stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#tell({ type: "stop", graceMs });
    return this.#ended.promise;
  }

  #tell(command: Command): void {
    if (this.#process.connected) this.#process.send(command);
  }

  #hear(report: Report): void {
    if (report.type === "line") this.#listener.line(report.name, report.line);
    if (report.type === "started") {
      this.#lives.set(report.life.name, report.life);
      this.#starting.get(report.life.name)?.resolve(report.life);
    }
    if (report.type === "failed") this.#starting.get(report.name)?.reject(new Error(report.message));
    if (report.type === "ended") {
      this.#lives.delete(report.life.name);
      this.#listener.ended(report.life, report.signal ? `by ${report.signal}` : `with code ${report.code}`);
    }
  }

  #guardEnded(): void {
    for (const life of this.#lives.values()) if (identityOf(life.pid) === life.started) killGroup(life.pid);
    this.#ended.resolve();
    if (!this.#stopping) this.#listener.guardLost();
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function withDeadline<T>(work: Promise<T>, sentence: string): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => expired.reject(new Error(`${sentence} within ${startDeadlineMs} ms`)),
    startDeadlineMs,
  );
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    clearTimeout(timer);
  }
}
