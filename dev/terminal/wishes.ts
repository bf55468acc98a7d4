import { fired } from "#platform/wait.ts";
import { onOrphaned } from "../process/parentage.ts";

/** One Ctrl-C can arrive twice: from the terminal, and passed on by npm. */
const sameKeyMs = 700;
/** How long an end in a hurry may take. */
const hurryMs = 3_000;

/** Turns signals and the end of npm into two wishes: to stop, and to stop at once. */
export class Wishes {
  readonly #stop = new AbortController();
  readonly #hurry = Promise.withResolvers<void>();
  #first = 0;

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => this.#wish());
    onOrphaned(() => this.#wish());
  }

  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Settles when somebody asked twice. */
  get hurry(): Promise<void> {
    return this.#hurry.promise;
  }

  get stopped(): Promise<void> {
    return fired(this.stop);
  }

  #wish(): void {
    if (!this.stop.aborted) {
      this.#first = Date.now();
      this.#stop.abort();
    } else if (Date.now() - this.#first > sameKeyMs) {
      this.#hurry.resolve();
      // Whatever still holds us up then: the guard ends everything once we are gone.
      setTimeout(() => process.exit(1), hurryMs).unref();
    }
  }
}
