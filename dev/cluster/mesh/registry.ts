import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { ClusterError } from "../errors.ts";

const startDeadlineMs = 20_000;

/** A registry of images on this machine, in memory: it is gone with all that was pushed to it. */
export class Registry implements Disposable {
  /** Where it answers, without TLS, as containerd and the builders take it from `localhost`. */
  readonly host: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.host = `localhost:${port}`;
  }

  /** @param program of go-containerregistry @throws ClusterError when it does not come up */
  static async start(program: string): Promise<Registry> {
    const child = spawn(program, ["-port", "0"], { stdio: ["ignore", "ignore", "pipe"] });
    child.on("error", () => undefined);
    const port = await Promise.race([portOf(child), pause(startDeadlineMs, undefined, { ref: false })]);
    if (port !== undefined) return new Registry(child, port);
    child.kill();
    throw new ClusterError(`the registry of images did not come up within ${startDeadlineMs / 1_000} s`);
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

async function portOf(child: ChildProcess): Promise<number | undefined> {
  if (!child.stderr) return undefined;
  const lines = createInterface({ input: child.stderr });
  return new Promise((resolve) => {
    // It goes on reading: what it says of each request must not fill the pipe.
    lines.on("line", (line) => {
      const [, port] = /serving on port (\d+)/.exec(line) ?? [];
      if (port) resolve(Number(port));
    });
    lines.once("close", () => resolve(undefined));
  });
}
