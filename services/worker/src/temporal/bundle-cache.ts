import { createHash, randomUUID } from "node:crypto";
// biome-ignore lint/plugin/files: bundles, named by hashes
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, join } from "node:path";

/** Bundles that are kept; the oldest go. */
const keptBundles = 4;
/** The packages whose code is in a bundle, or which make it. */
const packages = [
  "@temporalio/worker",
  "@temporalio/workflow",
  "@temporalio/common",
  "@temporalio/proto",
  "protobufjs",
];

/**
 * The key of a bundle: a hash of the workflows' sources and of the versions that they are bundled with and by.
 *
 * @param sources folders and files outside of which the workflows import packages alone
 * @param others  what else decides about the bundle
 */
export async function bundleKey(sources: readonly URL[], others: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(`${process.version}\0${others.join("\0")}\0`);
  for (const name of packages) hash.update(`${name}@${versionOf(name)}\0`);
  for (const [name, file] of await filesOf(sources)) hash.update(`${name}\0`).update(await readFile(file));
  return hash.digest("hex").slice(0, 32);
}

/** The TypeScript of folders, whose addresses end with a slash, and of files, by name. */
async function filesOf(sources: readonly URL[]): Promise<[name: string, file: URL][]> {
  const files = sources.map(async (source): Promise<[string, URL][]> => {
    if (!source.pathname.endsWith("/")) return [[basename(source.pathname), source]];
    const names = await readdir(source, { recursive: true });
    return names
      .filter((each) => each.endsWith(".ts"))
      .sort()
      .map((name) => [name, new URL(name, source)]);
  });
  return (await Promise.all(files)).flat();
}

function versionOf(name: string): string {
  const ours = createRequire(import.meta.url);
  // Some are dependencies of the worker alone.
  const require = createRequire(ours.resolve("@temporalio/worker"));
  const { version }: { version: string } = require(`${name}/package.json`);
  return version;
}

/** Bundles in a folder, by key. Processes may share it: a bundle appears whole or not at all. */
export class BundleCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The bundle of a key, made when it is not kept. A folder that cannot be used is no reason to fail. */
  async take(key: string, make: () => Promise<string>): Promise<string> {
    const path = join(this.#folder, `${key}.js`);
    const known = await readFile(path, "utf8").catch(() => undefined);
    if (known !== undefined) return known;
    const code = await make();
    await this.#keep(path, code).catch(() => undefined);
    return code;
  }

  async #keep(path: string, code: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const draft = join(this.#folder, `${randomUUID()}.tmp`);
    try {
      await writeFile(draft, code);
      await rename(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
    await this.#forget();
  }

  async #forget(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(".js"));
    const files = await Promise.all(
      names.map(async (name) => ({ name, time: (await stat(join(this.#folder, name))).mtimeMs })),
    );
    const old = files.sort((a, b) => b.time - a.time).slice(keptBundles);
    await Promise.all(old.map(({ name }) => rm(join(this.#folder, name), { force: true })));
  }
}
