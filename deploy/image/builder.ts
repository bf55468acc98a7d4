import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../command/run.ts";

/** What an image is built from. */
export interface Recipe {
  readonly tag: string;
  /** The folder that COPY copies from. */
  readonly context: string;
  readonly dockerfile: string;
  readonly args?: Readonly<Record<string, string>>;
  /** Whether layers of earlier builds may be used; default true. */
  readonly cache?: boolean;
}

/** A program that builds images. */
export interface Builder {
  readonly name: BuilderName;
  /** What this machine lacks to use it, as a part of a sentence; undefined when it works. */
  missing(): Promise<string | undefined>;
  /** Builds, and returns what the program said. */
  build(recipe: Recipe): Promise<string>;
  has(tag: string): Promise<boolean>;
  /** Writes the image to a file that `docker load` reads. */
  save(tag: string, file: string): Promise<void>;
  /** Sends the image to the registry that its tag names, and returns its digest there. One on this machine has no TLS. */
  push(tag: string): Promise<string>;
}

export const builderNames = ["docker", "podman", "buildah"] as const;
export type BuilderName = (typeof builderNames)[number];

/** No builder works here; the message is one sentence. */
export class BuilderError extends Error {
  override readonly name = "BuilderError";
}

const minutes = 60_000;
/** Every file and every image carries this time, in seconds since 1970, so that the same input has the same digest. */
const fixedTime = "0";

function buildArguments(recipe: Recipe): string[] {
  const args = Object.entries(recipe.args ?? {}).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  return [...(recipe.cache === false ? ["--no-cache"] : []), ...args, "--file", recipe.dockerfile];
}

function answers(command: string, args: readonly string[], otherwise: string): Promise<string | undefined> {
  return run(command, args, { timeoutMs: 20_000 }).then(
    () => undefined,
    () => otherwise,
  );
}

function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  return answers(command, args, "no").then((missing) => missing === undefined);
}

/** What a registry calls an image, out of what was said when it was sent there. */
function digestIn(said: string): string {
  const [digest] = /sha256:[0-9a-f]{64}/.exec(said) ?? [];
  if (digest === undefined) throw new BuilderError(`The image was pushed, but its digest was not said: ${said.trim()}`);
  return digest;
}

const docker: Builder = {
  name: "docker",
  async missing() {
    const daemon = await answers("docker", ["info"], "no Docker daemon answers");
    return daemon ?? answers("docker", ["buildx", "version"], "this Docker has no buildx");
  },
  build(recipe) {
    // Only this output rewrites the times of files; plain `docker build` leaves them as they were.
    const output = `type=docker,name=${recipe.tag},rewrite-timestamp=true`;
    const fixed = ["--build-arg", `SOURCE_DATE_EPOCH=${fixedTime}`, "--provenance=false", "--output", output];
    const args = ["buildx", "build", "--progress=plain", ...fixed, ...buildArguments(recipe), recipe.context];
    return run("docker", args, { timeoutMs: 30 * minutes, keepOutput: true });
  },
  has: (tag) => succeeds("docker", ["image", "inspect", tag]),
  async save(tag, file) {
    await run("docker", ["save", "--output", file, tag], { timeoutMs: 5 * minutes });
  },
  async push(tag) {
    return digestIn(await run("docker", ["push", tag], { timeoutMs: 15 * minutes }));
  },
};

function withoutDaemon(name: "podman" | "buildah", save: (tag: string, file: string) => readonly string[]): Builder {
  // Steps run in a chroot on the machine's network: that needs neither a container runtime nor a network of containers.
  const place = ["--isolation=chroot", "--network=host"];
  return {
    name,
    missing: () => answers(name, ["info"], `${name} is not installed or cannot store images`),
    build(recipe) {
      const fixed = ["--timestamp", fixedTime, "--layers", "--format=oci", "--tag", recipe.tag];
      const args = ["build", ...place, ...fixed, ...buildArguments(recipe), recipe.context];
      return run(name, args, { timeoutMs: 30 * minutes, keepOutput: true });
    },
    has: (tag) => succeeds(name, ["inspect", "--type=image", tag]),
    async save(tag, file) {
      await run(name, save(tag, file), { timeoutMs: 5 * minutes });
    },
    async push(tag) {
      // Docker does so by itself.
      const plain = /^(?:localhost|127\.0\.0\.1):/.test(tag) ? ["--tls-verify=false"] : [];
      const folder = await mkdtemp(join(tmpdir(), "ordermesh-push-"));
      try {
        const file = join(folder, "digest");
        const args = ["push", ...plain, `--digestfile=${file}`, tag, `docker://${tag}`];
        await run(name, args, { timeoutMs: 15 * minutes });
        return digestIn(await readFile(file, "utf8"));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

const builders: Readonly<Record<BuilderName, Builder>> = {
  docker,
  podman: withoutDaemon("podman", (tag, file) => ["save", "--format=docker-archive", "--output", file, tag]),
  buildah: withoutDaemon("buildah", (tag, file) => ["push", tag, `docker-archive:${file}:${tag}`]),
};

/** The builder of this name, or the first that works here. @throws BuilderError that says what each lacks */
export async function findBuilder(wanted?: BuilderName): Promise<Builder> {
  const lacks: string[] = [];
  for (const name of wanted ? [wanted] : builderNames) {
    const missing = await builders[name].missing();
    if (missing === undefined) return builders[name];
    lacks.push(missing);
  }
  throw new BuilderError(`No image can be built here: ${lacks.join("; ")}.`);
}
