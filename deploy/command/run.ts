import { spawn } from "node:child_process";
import { basename } from "node:path";

/** How a command is run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
  /** Whether a failure tells the last 64 Ki characters of the output; only the last line when left out. */
  readonly keepOutput?: boolean;
  /** After this many milliseconds the command is killed. */
  readonly timeoutMs: number;
}

/** What is killed is waited for no longer than this, in milliseconds. */
const killedGraceMs = 2_000;

/** The most that a command may write, in characters: far above the lists of files and the logs of builds that are asked for. */
const mostOutput = 16 * 1024 * 1024;
/** How much of it a failure tells at most, in characters. */
const mostTold = 64 * 1024;

/**
 * Runs a command to its end and returns all that it wrote, both streams together.
 * @throws Error with the last line written when it fails, is missing, takes too long or writes more than 16 Mi characters
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { timeoutMs, keepOutput = false, ...place } = options;
  const child = spawn(command, args, { ...place, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > mostOutput) child.kill("SIGKILL");
    });
  }
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
    if (output.length > mostOutput) throw new Error(`${basename(command)} wrote more than ${mostOutput} characters`);
    const told = output.trim().slice(-mostTold);
    const said = keepOutput ? `\n${told}` : ` ${told.split("\n").at(-1) ?? ""}`;
    if (end) throw new Error(`${basename(command)} ended with ${end}:${said}`);
    return output;
  } finally {
    clearTimeout(timer);
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }
}
