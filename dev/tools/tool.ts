import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory, searchPath } from "./config.ts";
import { exclusively } from "./exclusive.ts";
import { recipes } from "./recipes.ts";
import { builds, namesOnPath, type ToolName, versions } from "./versions.ts";

/** Says what goes on, one line at a time. */
export type Say = (line: string) => void;

/** A tool is neither here nor to be had; the message is one sentence that says what to install. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/** How long a process waits for another that builds: longer than two recipes of which each uses up all of its time. */
const waitDeadlineMs = 90 * 60_000;

/** The folder with a link to every tool that was fetched or built, to be put on PATH. */
export const toolLinks = join(cacheDirectory, "bin");

/** Where a tool is right now, on PATH or in the cache; undefined when it has to be fetched or built. */
export async function findTool(name: ToolName): Promise<string | undefined> {
  for (const folder of searchPath) {
    if (folder === toolLinks) continue;
    for (const called of namesOnPath[name] ?? [name]) {
      const path = join(folder, called);
      if (await isExecutable(path)) return path;
    }
  }
  const cached = join(homeOf(name), name);
  if (!(await isExecutable(cached))) return undefined;
  if ((await readlink(join(toolLinks, name)).catch(() => "")) !== cached) await link(name);
  return cached;
}

/**
 * The path of a tool: from PATH, else from the cache, else fetched or built into the cache, once per machine.
 * @param say told about progress; says it on stderr when left out
 * @throws ToolError when it can be neither fetched nor built
 */
export async function tool(name: ToolName, say: Say = (line) => console.error(line)): Promise<string> {
  const found = await findTool(name);
  if (found) return found;
  const lock = join(cacheDirectory, "lock", name);
  return exclusively(lock, async () => (await findTool(name)) ?? (await install(name, say)), {
    deadlineMs: waitDeadlineMs,
    onWait: (waited) => say(`${name}: waiting for another process that builds it … ${waited} s`),
  });
}

/** Why a tool cannot be had here, in one sentence that is found without trying; undefined when it is here or can be tried. */
export async function whyNoTool(name: ToolName): Promise<string | undefined> {
  if (await findTool(name)) return undefined;
  const needs: string[] = [];
  for (const recipe of recipes[name]) {
    const missing = await recipe.missing();
    if (missing === undefined) return undefined;
    needs.push(missing);
  }
  return notHad(name, needs);
}

function notHad(name: ToolName, needs: readonly string[]): string {
  return `${name} is neither on PATH nor in ${cacheDirectory}, and it could not be had: ${needs.join("; ")}.`;
}

/** Builds beside the final place and renames, so that a build that was cut short is never taken for a tool. */
async function install(name: ToolName, say: Say): Promise<string> {
  const home = homeOf(name);
  await mkdir(join(cacheDirectory, "building"), { recursive: true });
  const workshop = await mkdtemp(join(cacheDirectory, "building", `${name}-`));
  try {
    const result = join(workshop, "result");
    await mkdir(result);
    await fetchOrBuild(name, { workshop, result, home }, say);
    await mkdir(join(home, ".."), { recursive: true });
    await rm(home, { recursive: true, force: true });
    await rename(result, home);
  } finally {
    // Go writes its module cache read-only; the recipes keep theirs elsewhere, so this is only what they built.
    await rm(workshop, { recursive: true, force: true });
  }
  await link(name);
  return join(home, name);
}

async function fetchOrBuild(
  name: ToolName,
  folders: Parameters<(typeof recipes)[ToolName][number]["run"]>[0],
  say: Say,
) {
  const needs: string[] = [];
  for (const recipe of recipes[name]) {
    const missing = await recipe.missing();
    if (missing) {
      needs.push(missing);
      continue;
    }
    const start = Date.now();
    const tick = setInterval(() => say(`${name}: ${recipe.says} … ${seconds(start)} s`), 15_000);
    say(`${name} ${versions[name]}: ${recipe.says} (once on this machine, usually ${recipe.usually})`);
    try {
      await recipe.run(folders);
      if (!(await isExecutable(join(folders.result, name)))) throw new Error(`it left no program ${name}`);
      say(`${name} ${versions[name]}: ready after ${seconds(start)} s`);
      return;
    } catch (error) {
      needs.push(`${recipe.says} failed (${(error as Error).message})`);
    } finally {
      clearInterval(tick);
    }
  }
  throw new ToolError(notHad(name, needs));
}

async function link(name: ToolName): Promise<void> {
  await mkdir(toolLinks, { recursive: true });
  const fresh = join(toolLinks, `.${name}-${process.pid}`);
  await rm(fresh, { force: true });
  await symlink(join(homeOf(name), name), fresh);
  await rename(fresh, join(toolLinks, name));
}

function homeOf(name: ToolName): string {
  const build = builds[name];
  return join(cacheDirectory, name, build ? `${versions[name]}-${build}` : versions[name]);
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
