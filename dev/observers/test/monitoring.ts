import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProgramSpec } from "../../process/guard-protocol.ts";
import { Supervisor } from "../../process/supervisor.ts";
import { freePort, type Watchable } from "../elk.ts";

/** How long a program of the monitoring may take to answer on a busy machine. */
const deadlineMs = 60_000;

/** Where programs of one test run; all of them end and everything they kept is gone with it. */
export class Monitoring implements AsyncDisposable {
  readonly folder: string;
  readonly #supervisor: Supervisor;

  private constructor(folder: string, supervisor: Supervisor) {
    this.folder = folder;
    this.#supervisor = supervisor;
  }

  static async open(): Promise<Monitoring> {
    const folder = await mkdtemp(join(tmpdir(), "ordermesh-monitoring-"));
    // The supervisor's guard writes down there what runs.
    await mkdir(join(folder, "run"));
    try {
      return new Monitoring(folder, await Supervisor.open(folder, { restart: false }));
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** `127.0.0.1:port` that nothing listens on. */
  async address(): Promise<string> {
    return `127.0.0.1:${await freePort()}`;
  }

  /** What a program of this name is given. */
  common(name: string): Pick<ProgramSpec, "name" | "cwd" | "logFile"> {
    return { name, cwd: this.folder, logFile: join(this.folder, "log", `${name}.log`) };
  }

  /** Starts a program and waits until it answers. */
  async start({ spec, probe }: Watchable): Promise<void> {
    await this.#supervisor.start(spec, { probe, deadlineMs });
  }

  /** The last lines that a program wrote. */
  logs(name: string): readonly string[] {
    return this.#supervisor.lines(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.stop(10_000);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** One series that a query found, with its value. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Asks a Prometheus, as of now. @throws Error with Prometheus's sentence when it refuses the query */
export async function query(base: string, expression: string): Promise<Sample[]> {
  const body = new URLSearchParams({ query: expression });
  const response = await fetch(`${base}/api/v1/query`, { method: "POST", body, signal: AbortSignal.timeout(10_000) });
  const answer = (await response.json()) as {
    error?: string;
    data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  if (!answer.data) throw new Error(`${expression}: ${answer.error}`);
  return answer.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
}
