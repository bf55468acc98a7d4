// `npm run cluster:test`: an empty cluster, the whole mesh, and an empty cluster again; `--help` says more.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildImage } from "../../deploy/image/build.ts";
import { BuilderError } from "../../deploy/image/builder.ts";
import { type Cluster, haveCluster, presentCluster } from "../cluster/cluster.ts";
import { ClusterError } from "../cluster/errors.ts";
import { ctr } from "../cluster/images.ts";
import { paths } from "../cluster/layout.ts";
import { installPackages } from "../cluster/machine.ts";
import { blueGreenStage } from "../cluster/mesh/blue-green-stage.ts";
import { Caller } from "../cluster/mesh/caller.ts";
import { canaryStage } from "../cluster/mesh/canary-stage.ts";
import { credentialsStage } from "../cluster/mesh/credentials-stage.ts";
import { deliveryStages } from "../cluster/mesh/delivery-stages.ts";
import { issuersStage } from "../cluster/mesh/issuers-stage.ts";
import type { Mesh, Stage } from "../cluster/mesh/mesh.ts";
import { meshValues, namespace, Release } from "../cluster/mesh/release.ts";
import { rolloutStages } from "../cluster/mesh/rollout-stages.ts";
import { runStages } from "../cluster/mesh/run-stages.ts";
import { skaffoldStage } from "../cluster/mesh/skaffold-stage.ts";
import { outsideNamespace, Surroundings } from "../cluster/mesh/surroundings.ts";
import { tlsStage } from "../cluster/mesh/tls-stage.ts";
import { uninstallStage } from "../cluster/mesh/uninstall-stage.ts";
import { versionsStage } from "../cluster/mesh/versions-stage.ts";
import { stopNode } from "../cluster/node.ts";
import { readinessFor } from "../cluster/requirements.ts";
import { StackError } from "../errors.ts";
import { usageError } from "../terminal/usage.ts";
import { cacheDirectory } from "../tools/config.ts";
import { ToolError, tool } from "../tools/tool.ts";
import type { ToolName } from "../tools/versions.ts";

/** What takes away what could be looked at. */
const removalStages: readonly Stage[] = [uninstallStage, skaffoldStage];

const stages: readonly Stage[] = [
  ...deliveryStages,
  ...rolloutStages,
  versionsStage,
  canaryStage,
  blueGreenStage,
  credentialsStage,
  issuersStage,
  // It leaves TLS switched on, so only the end comes after it.
  tlsStage,
  ...removalStages,
];

const help = `Installs the whole mesh into a cluster by Helm and shows what it must do there; about 40 minutes. Stages:
${stages.map(({ name }, index) => `${String(index + 1).padStart(4)}  ${name}`).join("\n")}

  npm run cluster:test                     with the cluster of KUBECONFIG or ~/.kube/config when it answers, else with a
                                           node of this machine's own (Linux, as root), which is ended afterwards
  npm run cluster:test -- --keep           uninstalls nothing and waits for Ctrl-C, for a look around
  npm run cluster:test -- --commit <ref>   the image of a commit instead of the working tree
  npm run cluster:test -- --stages 1,2,7   only these, by number; nothing works without the first. One that
                                           cannot be shown here then fails, and is otherwise left out
  npm run cluster:test -- --rate 1         orders a second during upgrade and failures; 4 is for two cores of one's own
  npm run cluster:test -- --image <repository:tag> --next-image <repository:tag> --host <address>
                                           for somebody else's cluster: two images that it can pull (they may be the same
                                           by two names), and the address of this machine as its pods see it

PostgreSQL, Temporal, Jaeger and, with our own node, Elasticsearch and Filebeat run on this machine beside the cluster.`;

const say = (line: string) => console.error(`  · ${line}`);
const image = "localhost/ordermesh:cluster-test";
const nextImage = "localhost/ordermesh:cluster-test-next";
/** The image waits here for its node, which may take an hour to be built: one that is interrupted leaves one archive at most. */
const archiveFolder = join(cacheDirectory, "cluster-test");

interface Wishes {
  readonly keep: boolean;
  readonly commit?: string | undefined;
  readonly image?: string | undefined;
  readonly nextImage?: string | undefined;
  readonly host?: string | undefined;
  readonly rate: number;
  readonly stages: readonly Stage[];
  /** The stages were chosen one by one. */
  readonly byNumber: boolean;
}

function read(args: readonly string[]): Wishes & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", short: "h", default: false },
      keep: { type: "boolean", default: false },
      commit: { type: "string" },
      image: { type: "string" },
      "next-image": { type: "string" },
      host: { type: "string" },
      rate: { type: "string", default: "4" },
      stages: { type: "string" },
    },
  });
  const { "next-image": nextImage, rate, stages: numbers, ...others } = values;
  if (!(Number(rate) > 0)) throw new ClusterError("--rate is a number of orders a second above 0.");
  return { ...others, nextImage, rate: Number(rate), stages: chosenStages(numbers), byNumber: numbers !== undefined };
}

function chosenStages(numbers: string | undefined): readonly Stage[] {
  if (numbers === undefined) return stages;
  const chosen = numbers.split(",").map((number) => stages[Number(number) - 1]);
  if (chosen.some((stage) => stage === undefined)) {
    throw new ClusterError(`--stages are numbers from 1 to ${stages.length} with commas between, not "${numbers}".`);
  }
  return stages.filter((stage) => chosen.includes(stage));
}

/**
 * What can be looked at in seconds, before anything takes minutes.
 * @throws ClusterError that names everything that is missing
 */
async function prepare(present: Cluster | undefined, wishes: Wishes): Promise<void> {
  const foreign = present !== undefined && !present.own;
  const images = wishes.image !== undefined && wishes.nextImage !== undefined;
  const tools: ToolName[] = ["helm", "grpcurl", "temporal", "jaeger"];
  if (!foreign) tools.push("elasticsearch", "filebeat");
  if (wishes.stages.includes(skaffoldStage)) tools.push("skaffold", "registry");
  const { lacks, packages } = await readinessFor({ node: !foreign, image: !images, tools });
  const sentences = [...lacks];
  if (foreign && !images) {
    sentences.push("Say with --image and --next-image which images the cluster can pull; see --help.");
  }
  if (foreign && wishes.host === undefined) {
    sentences.push("Say with --host at which address the pods of this cluster reach this machine.");
  }
  if (sentences.length > 0) throw new ClusterError(sentences.join("\n"));
  await installPackages(packages, say);
}

/** Two images that pods can run, and where they have to be loaded from, unless they are pulled. */
interface Images {
  readonly image: string;
  readonly nextImage: string;
  readonly archive?: string;
}

async function haveImages(wishes: Wishes): Promise<Images> {
  if (wishes.image && wishes.nextImage) return { image: wishes.image, nextImage: wishes.nextImage };
  const archive = join(archiveFolder, "image.tar");
  const { commit } = wishes;
  const built = await buildImage({ tag: image, version: "cluster-test", commit, archive, cache: true, say });
  say(`image ${built.id.slice(0, 19)}… after ${built.seconds} s, ${built.cachedSteps} steps from the cache`);
  return { image, nextImage, archive };
}

async function loadImages(cluster: Cluster, { image, nextImage, archive }: Images): Promise<void> {
  if (archive === undefined) return;
  await cluster.load(archive);
  await ctr(["images", "tag", "--force", image, nextImage]);
}

async function removeNamespaces({ kubectl }: Cluster): Promise<void> {
  const spaces = [namespace, outsideNamespace];
  await kubectl.run(["delete", "namespace", ...spaces, "--ignore-not-found", "--timeout=120s"], { timeoutMs: 130_000 });
}

/** The neighbours of the mesh end with this process, so it stays. */
async function lookAround({ kubectl }: Cluster): Promise<void> {
  console.log(
    `The mesh runs in the namespace ${namespace}: export KUBECONFIG=${kubectl.kubeconfig}\nCtrl-C ends this.`,
  );
  // A promise alone does not keep a process.
  const alive = setInterval(() => undefined, 60_000);
  await new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
  });
  clearInterval(alive);
}

async function test(cluster: Cluster, { image, nextImage }: Images, wishes: Wishes): Promise<boolean> {
  const hostAddress = wishes.host ?? cluster.hostAddress;
  if (hostAddress === undefined) throw new Error("nobody asked for --host");
  await removeNamespaces(cluster);
  const podLogs = cluster.own ? { podLogs: join(paths.log, "pods") } : {};
  await using surroundings = await Surroundings.open({ address: hostAddress, namespace, ...podLogs }, say);
  await using release = new Release(cluster.kubectl, await tool("helm", say));
  const caller = new Caller(cluster.kubectl, await tool("grpcurl", say));
  const values = meshValues(hostAddress);
  const { rate } = wishes;
  const neighbours = { cluster, hostAddress, surroundings, release, caller };
  const mesh: Mesh = { ...neighbours, image, nextImage, values, rate, delivered: undefined };
  const chosen = wishes.stages.filter((stage) => !wishes.keep || !removalStages.includes(stage));
  const { byNumber } = wishes;
  const showing = { stages: chosen, removals: removalStages, byNumber, say: console.log };
  const passed = await runStages(mesh, showing);
  if (wishes.keep) await lookAround(cluster);
  else if (passed) await removeNamespaces(cluster);
  return passed;
}

async function main(): Promise<void> {
  const wishes = read(process.argv.slice(2));
  if (wishes.help) return console.log(help);
  const present = await presentCluster();
  await prepare(present, wishes);
  await rm(archiveFolder, { recursive: true, force: true });
  await mkdir(archiveFolder, { recursive: true });
  let passed = false;
  try {
    // Who does not ask for its stage does not wait for it.
    if (wishes.byNumber && wishes.stages.includes(skaffoldStage)) await tool("skaffold", say);
    // Before the node: its programs take longest.
    const images = await haveImages(wishes);
    const cluster = present ?? (await haveCluster(say));
    await loadImages(cluster, images);
    passed = await test(cluster, images, wishes);
  } finally {
    await rm(archiveFolder, { recursive: true, force: true });
    // Only what was started here is ended here, and not what somebody has to look at.
    if (!present && passed && !wishes.keep) await stopNode();
  }
  process.exitCode = passed ? 0 : 1;
}

try {
  await main();
} catch (error) {
  // The last is how parseArgs speaks of an option that it does not know.
  const kinds = [ClusterError, ToolError, StackError, BuilderError, TypeError];
  if (!kinds.some((kind) => error instanceof kind)) throw error;
  console.error((error instanceof TypeError ? usageError(error) : (error as Error)).message);
  process.exitCode = 1;
}
