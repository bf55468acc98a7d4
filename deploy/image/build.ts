// `npm run image`: builds the image of every process with docker, podman or buildah; see README.md beside this file.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { extract, type ImageContents, readArchive } from "./archive.ts";
import { makeBases } from "./base.ts";
import { type Builder, BuilderError, type BuilderName, builderNames, findBuilder } from "./builder.ts";
import { copyInputs, revision } from "./inputs.ts";
import { byDigest, signImage, whyNotSigned } from "./sign.ts";

/** Where the image has its bill of materials. */
const billInImage = "app/bom.cdx.json";

/** The tag when none is asked for. */
export const defaultTag = "localhost/ordermesh:dev";

/** How an image is built. */
export interface ImageOptions {
  readonly tag: string;
  readonly version: string;
  /** Whose sources; those of the working tree when left out. */
  readonly commit?: string | undefined;
  readonly builder?: BuilderName | undefined;
  readonly base?: string | undefined;
  readonly buildBase?: string | undefined;
  /** Where the image is written to as well, for `docker load` and for nodes. */
  readonly archive?: string | undefined;
  /** Whether it is sent to the registry that its tag names; default false. */
  readonly push?: boolean;
  /** The key with which it is signed in its registry, as cosign takes it; not signed when left out. */
  readonly sign?: string | undefined;
  readonly cache: boolean;
  readonly say: (line: string) => void;
}

/** What was built. */
export interface BuiltImage extends ImageContents {
  readonly seconds: number;
  /** How many steps were taken from earlier builds. */
  readonly cachedSteps: number;
  /** Its digest in the registry, when it was sent there: what `global.image.digest` of the charts is. */
  readonly pushed?: string;
  /** What was signed, when it was: the image in its registry, by its digest. */
  readonly signed?: string;
}

/** Whether public images can be had here. */
async function registryAnswers(): Promise<boolean> {
  const answer = await fetch("https://registry-1.docker.io/v2/", { signal: AbortSignal.timeout(4_000) }).catch(
    () => undefined,
  );
  // It answers 401 to everybody who has not asked for a token, and a proxy that forbids it something else.
  return answer?.headers.has("docker-distribution-api-version") === true;
}

async function basesFor(builder: Builder, { base, buildBase, say }: ImageOptions): Promise<Record<string, string>> {
  if (base !== undefined || buildBase !== undefined || (await registryAnswers())) {
    return { ...(base ? { BASE: base } : {}), ...(buildBase ? { BUILD_BASE: buildBase } : {}) };
  }
  say("no registry of images answers");
  const made = await makeBases(builder, say);
  return { BASE: made.base, BUILD_BASE: made.buildBase };
}

/** Builds the image and returns what is in it. @throws BuilderError with one sentence; Error with what the builder said */
export async function buildImage(options: ImageOptions): Promise<BuiltImage> {
  const unsigned = options.sign === undefined ? undefined : await whyNotSigned();
  if (unsigned !== undefined) throw new BuilderError(`The image cannot be signed here: ${unsigned}.`);
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-image-"));
  try {
    await copyInputs(join(folder, "context"), options.commit);
    return await buildFrom(folder, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Builds from the inputs in `context` of the folder, which may hold other things meanwhile. */
async function buildFrom(folder: string, options: ImageOptions): Promise<BuiltImage> {
  const builder = await findBuilder(options.builder);
  const bases = await basesFor(builder, options);
  const { commit, time } = await revision(options.commit);
  const start = performance.now();
  options.say(`building ${options.tag} with ${builder.name}`);
  const said = await builder.build({
    tag: options.tag,
    context: join(folder, "context"),
    dockerfile: join(folder, "context/deploy/Dockerfile"),
    args: { ...bases, VERSION: options.version, REVISION: commit, CREATED: time },
    cache: options.cache,
  });
  const seconds = Math.round((performance.now() - start) / 1_000);
  const archive = options.archive ?? join(folder, "image.tar");
  await rm(archive, { force: true });
  await builder.save(options.tag, archive);
  const cachedSteps = said.match(/Using cache|CACHED/g)?.length ?? 0;
  const built = { ...(await readArchive(archive)), seconds, cachedSteps };
  if (!options.push) return built;
  options.say(`pushing ${options.tag}`);
  const pushed = await builder.push(options.tag);
  if (options.sign === undefined) return { ...built, pushed };
  const image = byDigest(options.tag, pushed);
  const bill = join(folder, "bom.cdx.json");
  await extract(archive, billInImage, bill);
  options.say(`signing ${image}`);
  await signImage({ image, bill, key: options.sign });
  return { ...built, pushed, signed: image };
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1).padStart(7)} MiB`;

function report(image: BuiltImage): void {
  const total = image.layers.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${image.id}, user ${image.user}, ${image.seconds} s, ${image.cachedSteps} steps from the cache`);
  for (const { bytes, made } of image.layers) console.log(`${mebibytes(bytes)}  ${made.slice(0, 90)}`);
  console.log(`${mebibytes(total)}  in ${image.layers.length} layers, uncompressed`);
  if (image.pushed) console.log(`pushed as ${image.pushed}`);
  if (image.signed) console.log(`signed, with its bill of materials: ${image.signed}`);
}

/** Builds twice from nothing. @returns whether both are the same, byte for byte */
async function isReproducible(options: ImageOptions): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-image-"));
  try {
    await copyInputs(join(folder, "context"), options.commit);
    const first = await buildFrom(folder, { ...options, cache: false });
    const second = await buildFrom(folder, { ...options, cache: false });
    report(second);
    const same = first.id === second.id;
    console.log(same ? "Built twice without a cache: the same digest." : `The first was ${first.id}: NOT the same.`);
    return same;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const help = `Builds the image of every process with docker, podman or buildah; deploy/image/README.md says more.

  npm run image                              ${defaultTag}, of the working tree
  npm run image -- --tag <repository:tag>    another name; --push sends it there
  npm run image -- --push --sign <key>       signs it there, and its bill of materials, with cosign: a file, env://NAME, awskms://…
  npm run image -- --version <text>          what its label says; dev when left out
  npm run image -- --commit <ref>            of a commit instead of the working tree
  npm run image -- --archive <file>          writes it to a file as well, for docker load and for nodes
  npm run image -- --builder <name>          ${builderNames.join(", ")}; the first one that is there when left out
  npm run image -- --base <image> --build-base <image>
                                             instead of the public images that it is built upon
  npm run image -- --no-cache                takes no step from earlier builds
  npm run image -- --check                   builds twice from nothing, and ends with 1 when the two differ`;

function readOptions(args: readonly string[]): ImageOptions & { check: boolean; help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    allowNegative: true,
    options: {
      tag: { type: "string", default: defaultTag },
      version: { type: "string", default: "dev" },
      commit: { type: "string" },
      builder: { type: "string" },
      base: { type: "string" },
      "build-base": { type: "string" },
      archive: { type: "string" },
      push: { type: "boolean", default: false },
      sign: { type: "string" },
      cache: { type: "boolean", default: true },
      check: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { "build-base": buildBase, builder: wanted, archive, ...others } = values;
  const builder = builderNames.find((name) => name === wanted);
  if (wanted !== undefined && !builder) throw new BuilderError(`--builder is one of ${builderNames.join(", ")}.`);
  if (others.sign !== undefined && !others.push)
    throw new BuilderError("--sign wants --push: a signature lies beside the image in its registry.");
  return {
    ...others,
    buildBase,
    builder,
    archive: archive && resolve(archive),
    say: (line) => console.error(`  · ${line}`),
  };
}

if (import.meta.main) {
  process.umask(0o022);
  try {
    const { check, help: isAsked, ...options } = readOptions(process.argv.slice(2));
    if (isAsked) console.log(help);
    else if (check) process.exitCode = (await isReproducible(options)) ? 0 : 1;
    else report(await buildImage(options));
  } catch (error) {
    const { message } = error as Error;
    // How parseArgs speaks of an option that it does not know.
    console.error(error instanceof TypeError ? `${message.replace(/\.?$/, ".")} Try --help.` : message);
    process.exitCode = 1;
  }
}
