import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "#testing/until.ts";
import { root } from "../../deploy/command/checkout.ts";
import { fullEnvironment } from "../config.ts";

/** An npm script as a person would run it, in a process group of its own as a terminal makes one. */
export class Command {
  readonly child: ChildProcess;
  output = "";
  readonly #exit: Promise<[number | null]>;

  constructor(script: string, args: readonly string[]) {
    const options = { cwd: root, env: fullEnvironment(), detached: true, stdio: ["ignore", "pipe", "pipe"] as const };
    const child = spawn("npm", ["run", script, "--", ...args], { ...options, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    this.child = child;
    this.#exit = once(child, "close") as Promise<[number | null]>;
  }

  async exitCode(): Promise<number | null> {
    return (await this.#exit)[0];
  }

  async prints(text: string): Promise<void> {
    await until(() => this.output.includes(text), `"${text}" in the output`, { deadlineMs: 90_000, everyMs: 50 });
  }

  /** What Ctrl-C does: the terminal signals everyone in the group. */
  controlC(): void {
    process.kill(-(this.child.pid ?? 0), "SIGINT");
  }
}
