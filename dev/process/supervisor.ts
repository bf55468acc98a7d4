import { setTimeout as delay } from "node:timers/promises";
import { StackError } from "../errors.ts";
import { GuardClient } from "./guard-client.ts";
import type { Life, ProgramSpec } from "./guard-protocol.ts";
import { type Probe, untilReady } from "./readiness.ts";
import { type Care, newlyWatched, obituary, type SupervisorListener, type Watched } from "./watched.ts";

/** A component that dies more often than this within the window is given up. */
const maxRestarts = 5;
const restartWindowMs = 60_000;
const firstBackoffMs = 200;
/** How long a program may take to be ready after a restart: on a machine that is busy, or whose network somebody disturbs. */
const restartDeadlineMs = 180_000;
/** How often a program is asked whether it is lost. */
const careIntervalMs = 3_000;
/** How often a program whose port was taken at the last moment is started, and the pause between. */
const startAttempts = 5;
const portPauseMs = 1_000;
/** So many lines of each program are remembered. */
const maxLines = 200;

/** Starts programs by the guard, knows which of them runs, and starts again what dies. */
export class Supervisor {
  readonly #listener: SupervisorListener;
  readonly #watched = new Map<string, Watched>();
  readonly #failed = Promise.withResolvers<StackError>();
  #guard!: GuardClient;
  #stopping: Promise<void> | undefined;
  #failure: StackError | undefined;

  private constructor(listener: SupervisorListener) {
    this.#listener = listener;
  }

  /** Opens the guard of a stack. */
  static async open(dataDirectory: string, listener: SupervisorListener): Promise<Supervisor> {
    const supervisor = new Supervisor(listener);
    supervisor.#guard = await GuardClient.open(dataDirectory, {
      ended: (life, how) => supervisor.#ended(life, how),
      line: (name, line) => supervisor.#line(name, line),
      guardLost: () =>
        supervisor.#fail("The stack's guard process was killed, and with it everything it had started: start again."),
    });
    return supervisor;
  }

  /** Settles when the stack cannot go on. */
  get failed(): Promise<StackError> {
    return this.#failed.promise;
  }

  /** Starts a program and waits until its probe is content. From then on it is started again when it dies. */
  async start(spec: ProgramSpec, care: Care): Promise<void> {
    const watched = newlyWatched(spec, care);
    this.#watched.set(spec.name, watched);
    for (let attempt = 1; !(await this.#comesUp(watched, care, attempt < startAttempts)); attempt += 1) {
      await delay(portPauseMs);
    }
    watched.state = "running";
    if (care.isLost) this.#watchOver(watched, care.isLost);
  }

  /**
   * Whether a program came up. It did not when an outgoing connection of somebody had its port by chance: that seldom
   * lasts, so it is worth another try.
   * @throws StackError with its last words when it ended for another reason
   */
  async #comesUp(watched: Watched, care: Care, mayTryAgain: boolean): Promise<boolean> {
    watched.state = "starting";
    await this.#launch(watched);
    try {
      await this.#untilReady(watched, care);
      return true;
    } catch (error) {
      const lastLines = watched.lines.slice(-20).join("\n");
      if (this.#isEnded(watched) && mayTryAgain && /EADDRINUSE|already in use|already listens/i.test(lastLines))
        return false;
      throw error;
    }
  }

  #isEnded({ state }: Watched): boolean {
    return state === "ended";
  }

  /** Runs a program to its end. @throws StackError with its last line when it fails */
  async runOnce(spec: ProgramSpec): Promise<void> {
    const watched = newlyWatched(spec);
    this.#watched.set(spec.name, watched);
    const ended = new Promise<void>((resolve) => watched.onEnd.push(resolve));
    await this.#launch(watched);
    await ended;
    if (watched.how !== "with code 0") throw new StackError(obituary(watched));
  }

  kill(name: string, signal: NodeJS.Signals): void {
    const life = this.#guard.lifeOf(name);
    if (life) process.kill(life.pid, signal);
  }

  /** Ends a program; it stays away until {@link restart}. Resolves when it has ended. */
  async takeDown(name: string, signal: NodeJS.Signals): Promise<void> {
    const watched = this.#require(name);
    watched.held = true;
    if (!this.#guard.lifeOf(name)) return;
    const ended = new Promise<void>((resolve) => watched.onEnd.push(resolve));
    this.kill(name, signal);
    await ended;
  }

  pid(name: string): number | undefined {
    return this.#guard.lifeOf(name)?.pid;
  }

  lines(name: string): readonly string[] {
    return this.#watched.get(name)?.lines ?? [];
  }

  async restart(name: string): Promise<void> {
    const watched = this.#require(name);
    watched.held = false;
    watched.state = "running";
    if (!this.#guard.lifeOf(name)) await this.#launch(watched);
    await this.ready(name, restartDeadlineMs);
  }

  /** Waits until a program runs and its probe is content. */
  async ready(name: string, deadlineMs: number): Promise<void> {
    const watched = this.#require(name);
    const probe: Probe = async () => {
      if (!this.#guard.lifeOf(name)) throw new Error(`${name} does not run`);
      await watched.care?.probe();
    };
    await untilReady(name, probe, { deadlineMs, check: () => this.#requireRunning() });
  }

  /** Stops everything; a second call with less patience hurries the first. */
  stop(graceMs: number): Promise<void> {
    const ended = this.#guard.stop(graceMs);
    this.#stopping ??= ended;
    return this.#stopping;
  }

  async #launch(watched: Watched): Promise<Life> {
    this.#requireRunning();
    try {
      return await this.#guard.start(watched.spec);
    } catch (error) {
      throw new StackError(`${watched.spec.name} could not be started: ${(error as Error).message}.`);
    }
  }

  async #untilReady(watched: Watched, { probe, deadlineMs }: Care): Promise<void> {
    const check = () => {
      this.#requireRunning();
      if (watched.state === "ended") throw new StackError(obituary(watched));
    };
    await untilReady(watched.spec.name, probe, { deadlineMs, check });
  }

  #watchOver(watched: Watched, isLost: () => Promise<boolean>): void {
    let asking = false;
    const timer = setInterval(async () => {
      if (this.#stopping) clearInterval(timer);
      if (this.#stopping || asking || watched.state !== "running") return;
      asking = true;
      const pid = this.pid(watched.spec.name);
      if ((await isLost()) && this.pid(watched.spec.name) === pid) this.kill(watched.spec.name, "SIGKILL");
      asking = false;
    }, careIntervalMs);
    timer.unref();
  }

  #requireRunning(): void {
    if (this.#failure) throw this.#failure;
    if (this.#stopping || this.#listener.signal?.aborted)
      throw new StackError("The stack was stopped while it started.");
  }

  #require(name: string): Watched {
    const watched = this.#watched.get(name);
    if (!watched) throw new StackError(`${name} is no part of this stack.`);
    return watched;
  }

  #line(name: string, line: string): void {
    const lines = this.#watched.get(name)?.lines;
    lines?.push(line);
    if (lines && lines.length > maxLines) lines.shift();
    this.#listener.line?.(name, line);
  }

  #ended(life: Life, how: string): void {
    const watched = this.#watched.get(life.name);
    if (!watched) return;
    const wasRunning = watched.state === "running" && !watched.held;
    watched.state = "ended";
    watched.how = how;
    for (const tell of watched.onEnd.splice(0)) tell();
    if (wasRunning && !this.#stopping && this.#listener.restart !== false) this.#revive(watched);
  }

  #revive(watched: Watched): void {
    const now = Date.now();
    watched.restarts = watched.restarts.filter((time) => now - time < restartWindowMs);
    if (watched.restarts.length >= maxRestarts) {
      this.#giveUp(watched, `${obituary(watched)} It was restarted ${maxRestarts} times within a minute; giving up.`);
      return;
    }
    const backoffMs = firstBackoffMs * 2 ** watched.restarts.length;
    watched.restarts.push(now);
    const count = `${watched.restarts.length} of ${maxRestarts}`;
    this.#listener.say?.(`${obituary(watched)} Starting it again in ${backoffMs / 1000} s (${count}).`);
    setTimeout(() => void this.#relaunch(watched), backoffMs);
  }

  async #relaunch(watched: Watched): Promise<void> {
    if (this.#stopping || watched.held || this.#guard.lifeOf(watched.spec.name)) return;
    try {
      // Running from now on: when it dies before it is ready, that counts as another death.
      watched.state = "running";
      const life = await this.#launch(watched);
      await this.ready(watched.spec.name, restartDeadlineMs);
      if (this.pid(watched.spec.name) === life.pid) this.#listener.say?.(`${watched.spec.name} is ready again.`);
    } catch (error) {
      if (!this.#stopping) this.#giveUp(watched, (error as Error).message);
    }
  }

  #giveUp({ care }: Watched, sentence: string): void {
    if (care?.dispensable) this.#listener.say?.(`${sentence} The rest goes on without it.`);
    else this.#fail(sentence);
  }

  #fail(sentence: string): void {
    this.#failure ??= new StackError(sentence);
    this.#failed.resolve(this.#failure);
  }
}
