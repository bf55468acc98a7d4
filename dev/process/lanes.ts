import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { root } from "../../deploy/command/checkout.ts";
import { colour, fullEnvironment } from "../config.ts";
import { endWithUs } from "./parentage.ts";

/** Test files that are run beside those of other lanes. */
export interface Lane {
  readonly files: readonly string[];
  /** So many of them at the same time. */
  readonly concurrency: number;
}

/** What every lane is run with. */
export interface LaneOptions {
  readonly environment: Readonly<Record<string, string>>;
  /** How long a single test may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** With this line Node's runner begins to say how many tests there were, and which of them failed. */
const end = /^ℹ tests \d/;

/**
 * Runs the lanes beside each other. What each of them says in the end is said when all are over, of those with failures last, so that what failed is not lost among the tests of
 * another.
 *
 * @returns 0 when all tests pass
 */
export async function runLanes(lanes: readonly Lane[], options: LaneOptions): Promise<number> {
  const ends = await Promise.all(lanes.map((lane) => run(lane, options)));
  for (const { said } of ends.toSorted((one, other) => one.code - other.code))
    for (const line of said) console.log(line);
  return Math.max(...ends.map(({ code }) => code));
}

async function run({ files, concurrency }: Lane, { environment, timeoutMs }: LaneOptions) {
  const args = ["--test", `--test-concurrency=${concurrency}`, `--test-timeout=${timeoutMs}`, ...files];
  const env = fullEnvironment({ ...environment, ...(colour && { FORCE_COLOR: "1" }) });
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["inherit", "pipe", "inherit"], env });
  endWithUs(child);
  const closed = once(child, "close") as Promise<[number | null]>;
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (said.length > 0 || end.test(stripVTControlCharacters(line))) said.push(line);
    else console.log(line);
  }
  const [code] = await closed;
  return { code: code ?? 1, said };
}
