import { chmodSync, copyFileSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../command/checkout.ts";
import { run } from "../command/run.ts";

/** Which state of the sources an image is built from; these become its labels. */
export interface Revision {
  /** The commit, with "-dirty" when the sources of the image differ from it. */
  readonly commit: string;
  /** When it was made, as ISO 8601 in UTC. */
  readonly time: string;
}

/** What the image is made of; .dockerignore says the same to those who build without this script. */
const paths = ["package.json", "package-lock.json", ".dockerignore", "deploy/Dockerfile", "deploy/image", "services"];
const isTest = /^services\/[^/]+\/test(?:ing)?\/|^deploy\/image\/test\/|\.md$/;

const git = (args: readonly string[]) => run("git", args, { cwd: root, timeoutMs: 30_000 });

/**
 * Copies the inputs of the image into a folder, with the two modes that git knows, so that neither stray files nor this
 * machine's umask are built in: those of a commit, or what is in the working tree when none is given.
 */
export async function copyInputs(folder: string, commit?: string): Promise<void> {
  const list = await git(
    commit === undefined
      ? ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ...paths]
      : ["ls-tree", "-r", "-z", "--name-only", commit, "--", ...paths],
  );
  const inputs = list.split("\0").filter((path) => path !== "" && !isTest.test(path));
  if (commit === undefined) copyFrom(root, folder, inputs);
  else await extract(folder, commit, inputs);
}

function copyFrom(source: string, folder: string, inputs: readonly string[]): void {
  for (const path of inputs) {
    const from = statSync(join(source, path), { throwIfNoEntry: false });
    // Removed here, but not yet from git.
    if (!from) continue;
    const to = join(folder, path);
    mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
    copyFileSync(join(source, path), to);
    chmodSync(to, from.mode & 0o100 ? 0o755 : 0o644);
  }
}

async function extract(folder: string, commit: string, inputs: readonly string[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const archive = `${folder}.tar`;
  await git(["-c", "tar.umask=0022", "archive", "--output", archive, commit, "--", ...inputs]);
  await run("tar", ["-xf", archive, "-C", folder], { timeoutMs: 60_000 });
  rmSync(archive);
}

/** The commit that the sources are at. @param commit the one that was asked for; else HEAD and what differs from it */
export async function revision(commit?: string): Promise<Revision> {
  const [hash = "", time = ""] = (await git(["log", "-1", "--format=%H %ct", commit ?? "HEAD"])).trim().split(" ");
  const changed = commit === undefined ? await git(["status", "--porcelain", "--", ...paths]) : "";
  const dirty = changed.trim() === "" ? "" : "-dirty";
  return { commit: `${hash}${dirty}`, time: new Date(Number(time) * 1_000).toISOString().replace(".000", "") };
}
