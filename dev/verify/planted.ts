import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { root } from "../../deploy/command/checkout.ts";
import { fullEnvironment } from "../config.ts";
import { StackError } from "../errors.ts";
import { type Copy, copyRepository } from "../tools/copy.ts";
import type { Say } from "./campaign.ts";

const execute = promisify(execFile);

/** A bug that we could have made, as a patch; what stands above the patch says what it is and what has to catch it. */
export interface Planted {
  readonly name: string;
  readonly file: string;
  /** One sentence. */
  readonly what: string;
  /** A test's file, with what one of its tests is called where all of them take long; or `campaign` with options. */
  readonly caughtBy: string;
}

/** What of the compiler's errors is none here: whoever makes the bug takes away as well what is not used any more. */
const unused = /: error TS6133: /;
/** How long a test or a campaign may take to catch one, in milliseconds. */
const patienceMs = 10 * 60_000;

/** The planted bugs whose names begin so. @throws StackError for a patch that does not say what it is */
export function plantedBugs(prefix = ""): Planted[] {
  const folder = join(root, "dev/verify/planted");
  return globSync("*.patch", { cwd: folder })
    .sort()
    .map((path) => read(join(folder, path)))
    .filter(({ name }) => name.startsWith(prefix));
}

function read(file: string): Planted {
  const text = readFileSync(file, "utf8");
  const [, what] = /^What: (.+)$/m.exec(text) ?? [];
  const [, caughtBy] = /^Caught-by: (.+)$/m.exec(text) ?? [];
  if (!what || !caughtBy) throw new StackError(`${file} begins with a line "What: …" and a line "Caught-by: …".`);
  return { name: basename(file, ".patch"), file, what, caughtBy };
}

/**
 * Plants one bug after the other into a copy of this repository, and runs what has to catch it, which must find nothing
 * without the bug.
 *
 * @returns those that nothing caught
 */
export async function plantAll(bugs: readonly Planted[], say: Say, signal: AbortSignal): Promise<Planted[]> {
  await using copy = await copyRepository();
  const ground = { copy, sound: new Map<string, boolean>(), signal };
  const missed: Planted[] = [];
  for (const bug of bugs) {
    if (signal.aborted) throw new StackError("It was stopped before every bug was planted.");
    const start = performance.now();
    const { isCaught, sentence } = await show(ground, bug);
    const seconds = Math.round((performance.now() - start) / 1_000);
    if (!isCaught) missed.push(bug);
    say(`${bug.name}: ${sentence} (${seconds} s)`);
  }
  return missed;
}

interface Ground {
  readonly copy: Copy;
  /** What catches bugs, and whether it finds nothing where there is none. */
  readonly sound: Map<string, boolean>;
  readonly signal: AbortSignal;
}

/** One that cannot be shown is said, and keeps none of the others from being shown. */
async function show(ground: Ground, bug: Planted): Promise<{ isCaught: boolean; sentence: string }> {
  try {
    const by = await plant(ground, bug);
    if (by === undefined) return { isCaught: false, sentence: `NOT caught by ${bug.caughtBy}` };
    if (await isSound(ground, bug.caughtBy)) return { isCaught: true, sentence: `caught by ${by}` };
    return { isCaught: false, sentence: `NOT shown: ${by} fails without it as well` };
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    return { isCaught: false, sentence: `NOT shown: ${error.message}` };
  }
}

async function isSound({ copy, sound, signal }: Ground, caughtBy: string): Promise<boolean> {
  const known = sound.get(caughtBy) ?? (await run(copy, caughtBy, signal)) === undefined;
  sound.set(caughtBy, known);
  return known;
}

/** What catches the bug; undefined when nothing does. */
async function plant({ copy, signal }: Ground, bug: Planted): Promise<string | undefined> {
  await apply(copy, bug);
  try {
    const error = (await copy.compilerErrors()).find((each) => !unused.test(each));
    if (error) throw new StackError(`${bug.name} is caught by the compiler, so nobody could make it: ${error}`);
    return await run(copy, bug.caughtBy, signal);
  } finally {
    await apply(copy, bug, "--reverse");
  }
}

/** @throws StackError when the code has moved on, so that the bug cannot be planted any more */
export function requireApplicable(bug: Planted): Promise<void> {
  return apply({ folder: root }, bug, "--check");
}

async function apply({ folder }: Pick<Copy, "folder">, { name, file }: Planted, ...flags: string[]): Promise<void> {
  try {
    await execute("git", ["apply", ...flags, file], { cwd: folder });
  } catch (error) {
    throw new StackError(`${name} does not apply any more: ${(error as { stderr: string }).stderr.trim()}`);
  }
}

/** What a test or a campaign finds; undefined when that is nothing. @throws StackError when it does not come to its end */
async function run({ folder }: Copy, caughtBy: string, signal: AbortSignal): Promise<string | undefined> {
  const [first = "", ...rest] = caughtBy.split(" ");
  const only = rest.length > 0 ? [`--test-name-pattern=${rest.join(" ")}`] : [];
  const args = first === "campaign" ? ["dev/commands/campaign.ts", ...rest] : ["dev/commands/test.ts", ...only, first];
  const settings = { cwd: folder, env: fullEnvironment(), timeout: patienceMs, maxBuffer: 64 * 1024 * 1024, signal };
  const { stdout } = await execute(process.execPath, args, settings).catch((error: { stdout: string }) => error);
  if (!/^(?:ℹ fail|\s+violations\s+)/m.test(stdout)) {
    throw new StackError(`${caughtBy} did not come to its end: ${stdout.trim().split("\n").at(-1)}`);
  }
  if (first === "campaign") return /^\s+violations\s+[1-9]/m.exec(stdout) ? violationIn(stdout) : undefined;
  // One that does not come to its end in its time is counted as cancelled.
  if (!/^ℹ (?:fail|cancelled) [1-9]/m.test(stdout)) return undefined;
  const [, test] = /^\s*✖ (.+?) \(\d/m.exec(stdout) ?? [];
  return test === undefined ? first : `"${test}" in ${first}`;
}

function violationIn(stdout: string): string {
  const [, violation] = /^\s+violations\s+\d+\n\s+(.+)$/m.exec(stdout) ?? [];
  return `a campaign: ${violation}`;
}
