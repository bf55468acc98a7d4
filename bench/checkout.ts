// Other commits of this repository, to be measured beside this one.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../deploy/command/checkout.ts";
import { run } from "../deploy/command/run.ts";
import { cacheDirectory } from "../dev/tools/config.ts";
import { progress } from "./options.ts";

const commandMs = 60_000;
const installMs = 5 * 60_000;

/**
 * The files of a commit in the cache folder, with the packages that its lock file names: this checkout's where they are the
 * same, else its own. Made once.
 *
 * @param commit whatever git knows it by
 * @returns the folder
 * @throws Error when git does not know the commit, or the packages are not to be had
 */
export async function checkoutOf(commit: string): Promise<string> {
  const revision = ["rev-parse", "--verify", "--quiet", `${commit}^{commit}`];
  const said = await run("git", revision, { cwd: root, timeoutMs: commandMs }).catch(() => {
    throw new Error(`--against wants a commit of this repository, and not ${commit}`);
  });
  const checkouts = join(cacheDirectory, "checkout");
  const folder = join(checkouts, said.trim());
  if (existsSync(folder)) return folder;
  await mkdir(checkouts, { recursive: true });
  // Made beside its place, so that one that was cut short is never taken for whole.
  const fresh = await mkdtemp(join(checkouts, "making-"));
  try {
    const archive = join(fresh, "archive.tar");
    await run("git", ["archive", "--output", archive, said.trim()], { cwd: root, timeoutMs: commandMs });
    await run("tar", ["-xf", archive, "-C", fresh], { cwd: fresh, timeoutMs: commandMs });
    await rm(archive);
    await addPackages(fresh);
    await rename(fresh, folder);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return folder;
}

async function addPackages(folder: string): Promise<void> {
  const [wanted, ours] = await Promise.all([folder, root].map(lockedPackages));
  if (wanted === ours) {
    await symlink(await realpath(join(root, "node_modules")), join(folder, "node_modules"));
    return;
  }
  progress("installing the packages of the other commit");
  await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder, timeoutMs: installMs });
}

/** What a lock file has installed, as text; what the repository itself asks for stands in it besides. */
async function lockedPackages(folder: string): Promise<string> {
  const lock = JSON.parse(await readFile(join(folder, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version?: string }>;
  };
  const { "": _self, ...packages } = lock.packages;
  return JSON.stringify(Object.entries(packages).map(([path, { version }]) => [path, version]));
}
