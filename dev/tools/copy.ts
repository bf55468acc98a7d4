import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "../../deploy/command/checkout.ts";

const execute = promisify(execFile);

/** A copy of this repository, to be changed; its dependencies are this one's. */
export interface Copy extends AsyncDisposable {
  /** Where it lies. */
  readonly folder: string;
  /** What the compiler finds wrong with it: `file(line,column): error …`. */
  compilerErrors(): Promise<string[]>;
}

/** How long the compiler may take on a busy machine, in milliseconds. */
const compilerMs = 180_000;

/** Copies what git knows and what is new, as it stands in the working tree. */
export async function copyRepository(): Promise<Copy> {
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-copy-"));
  const list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await execute("git", list, { cwd: root, maxBuffer: 16 * 1024 * 1024 });
  const files = stdout.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));
  for (const path of files) {
    await cp(join(root, path), join(folder, path), { recursive: true, verbatimSymlinks: true });
  }
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const compilerErrors = async () => {
    const compiler = join(folder, "node_modules/.bin/tsc");
    const options = { cwd: folder, timeout: compilerMs, maxBuffer: 16 * 1024 * 1024 };
    // What has not changed since the last time is not looked at again.
    const flags = ["--noEmit", "--pretty", "false", "--incremental", "--tsBuildInfoFile", "compiled.tsbuildinfo"];
    const said = await execute(compiler, flags, options).catch((error: { stdout: string }) => error);
    return said.stdout.split("\n").filter((line) => /^\S+\(\d/.test(line));
  };
  return { folder, compilerErrors, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
