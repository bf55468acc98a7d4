import { mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { run } from "../command/run.ts";

/** One layer of an image. */
export interface Layer {
  readonly bytes: number;
  /** The instruction that made it. */
  readonly made: string;
}

/** What an image archive holds. */
export interface ImageContents {
  /** The digest of its configuration, which names every layer by digest: what `docker images` calls the image's id. */
  readonly id: string;
  readonly layers: readonly Layer[];
  readonly labels: Readonly<Record<string, string>>;
  readonly user: string;
}

interface Manifest {
  readonly Config: string;
  readonly Layers: readonly string[];
}

interface Config {
  readonly config?: { readonly Labels?: Record<string, string>; readonly User?: string };
  readonly history?: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
}

/** How long `tar` may take to read through an archive. */
const timeoutMs = 120_000;

async function readJson<T>(file: string, entry: string): Promise<T> {
  return JSON.parse(await run("tar", ["-xOf", file, entry], { timeoutMs })) as T;
}

/** The size of each entry of a tar file. */
async function sizesIn(file: string): Promise<Map<string, number>> {
  const listing = await run("tar", ["--numeric-owner", "-tvf", file], { timeoutMs });
  const rows = listing.split("\n").map((line) => /^-\S+\s+\S+\s+(\d+)\s+\S+\s+\S+\s+(.+)$/.exec(line));
  return new Map(rows.flatMap((row) => (row ? [[row[2] ?? "", Number(row[1])] as const] : [])));
}

/**
 * Takes a file out of an image.
 *
 * @param file what `docker save` or its likes wrote
 * @param path of the file in the image, without the first slash
 * @param target where it is written to, on the file system of the archive
 */
export async function extract(file: string, path: string, target: string): Promise<void> {
  const [manifest] = await readJson<Manifest[]>(file, "manifest.json");
  const folder = await mkdtemp(join(dirname(resolve(target)), ".extract-"));
  try {
    // A later layer hides what an earlier one has.
    for (const layer of (manifest?.Layers ?? []).toReversed()) {
      await run("tar", ["-xf", file, "-C", folder, layer], { timeoutMs });
      const found = await run("tar", ["-xf", join(folder, layer), "-C", folder, path], { timeoutMs }).then(
        () => true,
        () => false,
      );
      if (found) return await rename(join(folder, path), target);
      await rm(join(folder, layer));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  throw new Error(`the image has no ${path}`);
}

function made(instruction: string | undefined): string {
  const text = (instruction ?? "")
    .replace(/^\/bin\/sh -c (?:#\(nop\) )?/, "")
    .replace(/\b(?:file|dir|multi):[0-9a-f]{64}/, "…")
    .replace(/\s*# buildkit$/, "");
  return text.replace(/\s+/g, " ").trim();
}

/** Reads what `docker save` or its likes wrote. */
export async function readArchive(file: string): Promise<ImageContents> {
  const [manifest] = await readJson<Manifest[]>(file, "manifest.json");
  if (!manifest) throw new Error(`${file} holds no image`);
  const { config, history = [] } = await readJson<Config>(file, manifest.Config);
  const sizes = await sizesIn(file);
  const steps = history.filter((step) => !step.empty_layer);
  const layers = manifest.Layers.map((entry, index) => ({
    bytes: sizes.get(entry) ?? 0,
    made: made(steps[index]?.created_by),
  }));
  const id = /[0-9a-f]{64}/.exec(manifest.Config)?.[0] ?? manifest.Config;
  return { id: `sha256:${id}`, layers, labels: config?.Labels ?? {}, user: config?.User ?? "" };
}
