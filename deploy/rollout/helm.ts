import { type ChildProcess, spawn } from "node:child_process";
import { root } from "../command/checkout.ts";

/** Which release of which cluster, and how long Helm waits for each of its steps (as `90s` or `10m`). */
export interface Place {
  readonly context: string;
  readonly namespace: string;
  readonly release: string;
  readonly timeout: string;
}

/** A revision of the release. */
export interface Revision {
  readonly revision: number;
  /** As Helm has it: `deployed`, `superseded`, `failed`, `pending-upgrade`, … */
  readonly status: string;
}

/** How the tests of a revision stand: a release without tests has `none`. */
export type Tests = "none" | "passed" | "not passed";

interface Status {
  readonly version: number;
  readonly hooks?: readonly { readonly events?: readonly string[]; readonly last_run?: { readonly phase?: string } }[];
}

/** What Helm said when it could not be asked. */
export class HelmError extends Error {
  override readonly name = "HelmError";
}

/** How often somebody who waits is told for how long. */
const tickMs = 15_000;
/** How long a question may take. */
const askDeadlineMs = 60_000;

/** Helm, for one release of one cluster. */
export class Helm {
  readonly place: Place;
  readonly #program: string;
  readonly #say: (line: string) => void;
  #step: ChildProcess | undefined;
  #question: ChildProcess | undefined;

  constructor(program: string, place: Place, say: (line: string) => void) {
    this.#program = program;
    this.place = place;
    this.#say = say;
  }

  /** Every revision that Helm remembers, the oldest first; none when the release is not installed. */
  async history(): Promise<Revision[]> {
    const { code, stdout, stderr } = await this.#ask("history");
    if (code === 0) return JSON.parse(stdout) as Revision[];
    if (stderr.includes("release: not found")) return [];
    throw new HelmError(stderr.trim());
  }

  /** How the tests of a revision stand. */
  async tests(revision: number): Promise<Tests> {
    const { code, stdout, stderr } = await this.#ask("status", "--revision", String(revision));
    if (code !== 0) throw new HelmError(stderr.trim());
    const { hooks = [] } = JSON.parse(stdout) as Status;
    const tests = hooks.filter(({ events }) => events?.includes("test"));
    if (tests.length === 0) return "none";
    return tests.every(({ last_run }) => last_run?.phase === "Succeeded") ? "passed" : "not passed";
  }

  /** Runs a step of Helm's with its output on our terminal. @returns whether it went well */
  async step(name: string, ...args: readonly string[]): Promise<boolean> {
    const start = Date.now();
    const seconds = () => Math.round((Date.now() - start) / 1_000);
    this.#say(`helm ${name}`);
    const tick = setInterval(() => this.#say(`helm ${name} … ${seconds()} s`), tickMs);
    try {
      const code = await this.#show([name, this.place.release, ...args, "--timeout", this.place.timeout]);
      this.#say(`helm ${name} ${code === 0 ? "succeeded" : "failed"} after ${seconds()} s`);
      return code === 0;
    } finally {
      clearInterval(tick);
    }
  }

  /** Has the step that runs now end early; an atomic upgrade goes back by itself then. */
  interrupt(): void {
    this.#step?.kill("SIGTERM");
  }

  /** Asks no more. */
  giveUp(): void {
    this.#question?.kill("SIGTERM");
  }

  #arguments(args: readonly string[]): string[] {
    return [...args, "--kube-context", this.place.context, "--namespace", this.place.namespace];
  }

  // Both in sessions of their own: Ctrl-C is for us, who say then what becomes of them.
  #show(args: readonly string[]): Promise<number> {
    const options = { cwd: root, detached: true, stdio: "inherit" } as const;
    this.#step = spawn(this.#program, this.#arguments(args), options);
    return codeOf(this.#step);
  }

  async #ask(command: string, ...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const all = this.#arguments([command, this.place.release, ...args, "--output", "json"]);
    const child = spawn(this.#program, all, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: askDeadlineMs,
    });
    this.#question = child;
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        said[stream] += text;
      });
    }
    const code = await codeOf(child);
    return { code, ...said };
  }
}

function codeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}
