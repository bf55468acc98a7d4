import type { Server } from "@grpc/grpc-js";
import { HealthImplementation, type ServingStatus } from "grpc-health-check";
import type { Logger } from "#platform/log/logger.ts";
import { orAbort } from "#platform/wait.ts";

/** One thing that must work before the process takes calls. Throws when it does not. */
export type ReadinessCheck = (signal: AbortSignal) => Promise<unknown>;

/** What readiness looks at. */
export interface ReadinessOptions {
  readonly checks: readonly ReadinessCheck[];
  /** Full names of the services that are served. */
  readonly services: readonly string[];
  readonly logger: Logger;
  /** Pause between two evaluations, in milliseconds. */
  readonly everyMs: number;
}

/**
 * The name under which the health service says that the process is alive, whatever it waits for: to restart a process
 * because its database is away would only make things worse.
 */
const livenessService = "liveness";
/** How long one evaluation may take, in milliseconds. */
const checkTimeoutMs = 2_000;

/** Whether the process can do its work: asked again and again, told on `grpc.health.v1` and `/readyz`. */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #health: HealthImplementation;
  #timer: NodeJS.Timeout | undefined;
  #problem: string | undefined = "starting";
  #draining = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    const names = ["", ...options.services];
    const waiting = names.map((name): [string, ServingStatus] => [name, "NOT_SERVING"]);
    this.#health = new HealthImplementation(Object.fromEntries([...waiting, [livenessService, "SERVING"]]));
  }

  /** Why the process is not ready; undefined when it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Answers the standard health service. */
  addTo(server: Server): void {
    this.#health.addToServer(server);
  }

  /** Evaluates now, and then again and again. */
  async start(): Promise<void> {
    await this.#evaluate();
    if (this.#draining) return;
    this.#timer = setTimeout(() => void this.start(), this.#options.everyMs);
    this.#timer.unref();
  }

  /** Not ready from now on, because the process stops. */
  drain(): void {
    this.#draining = true;
    clearTimeout(this.#timer);
    this.#set("draining");
  }

  async #evaluate(): Promise<void> {
    const signal = AbortSignal.timeout(checkTimeoutMs);
    try {
      await orAbort(() => Promise.all(this.#options.checks.map((check) => check(signal))), signal);
      this.#set(undefined);
    } catch (error) {
      if (signal.aborted) this.#set("no answer in time");
      else this.#set(error instanceof Error ? error.message || error.name : String(error));
    }
  }

  #set(problem: string | undefined): void {
    if (this.#draining && problem !== "draining") return;
    if (problem === this.#problem) return;
    this.#problem = problem;
    if (problem === undefined) this.#options.logger.info("ready");
    else if (!this.#draining) this.#options.logger.warn(`not ready: ${problem}`);
    const status: ServingStatus = problem === undefined ? "SERVING" : "NOT_SERVING";
    for (const name of ["", ...this.#options.services]) this.#health.setStatus(name, status);
  }
}
