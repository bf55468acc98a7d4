import { spawn } from "node:child_process";
import { basename } from "node:path";

/** How a command is run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
  /** Whether a failure tells everything that was kept of the output; only the last line when left out. */
  readonly keepOutput?: boolean;
  /** After this many milliseconds the command is killed. */
  readonly timeoutMs: number;
}

/** What is killed is waited for no longer than this, in milliseconds. */
const killedGraceMs = 2_000;

/** The most that is kept of a command's output, in characters. */
const keep = 64 * 1024;

/**
 * Runs a command to its end and returns what it wrote, both streams together (the last 64 Ki characters).
 * @throws Error with the last line written when it fails, is missing or takes too long
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { timeoutMs, keepOutput = false, ...place } = options;
  const child = spawn(command, args, { ...place, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-keep);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  let timer: NodeJS.Timeout | undefined;
  try {
    const end = await new Promise<string | undefined>((resolve, reject) => {
      timer = setTimeout(() => {
        child.kill("SIGKILL");
        // Whoever has its streams by now may keep them open.
        timer = setTimeout(() => reject(new Error(`${basename(command)} did not end in time`)), killedGraceMs);
      }, timeoutMs);
      child.once("error", reject);
      child.once("close", (code, signal) =>
        resolve(code === 0 ? undefined : signal ? `signal ${signal}` : `code ${code}`),
      );
    });
    const said = keepOutput ? `\n${output.trim()}` : ` ${output.trim().split("\n").at(-1) ?? ""}`;
    if (end) throw new Error(`${basename(command)} ended with ${end}:${said}`);
    return output;
  } finally {
    clearTimeout(timer);
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }
}
