import { access, cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import { buildEnvironment, cacheDirectory } from "../tools/config.ts";
import { exclusively } from "../tools/exclusive.ts";
import type { Say } from "../tools/tool.ts";
import { ClusterError } from "./errors.ts";
import { generation, versions } from "./versions.ts";

/** The programs that a node is made of, besides those of the distribution. */
export const programNames = ["node", "pause", "coredns", "metrics-server"] as const;
export type ProgramName = (typeof programNames)[number];

const home = join(cacheDirectory, "kubernetes", generation);
/** Per program. At the lowest priority beside other work on two cores, metrics-server took 53 minutes. */
const buildDeadlineMs = 2 * 60 * 60_000;
/** Per module: Kubernetes and all that it needs. */
const downloadDeadlineMs = 10 * 60_000;
/** How long another process that builds is waited for: longer than every program may take, one after the other. */
const waitDeadlineMs = programNames.length * (buildDeadlineMs + downloadDeadlineMs);

/** Where a program is, or will be. */
export function programPath(name: ProgramName): string {
  return join(home, name);
}

/**
 * Builds what is not built yet, once per machine, at the lowest priority: 15 minutes on two idle cores, far more on busy ones.
 * @throws ClusterError when Go is missing
 */
export async function buildPrograms(say: Say): Promise<void> {
  const reason = await whyNoPrograms();
  if (reason) throw new ClusterError(reason);
  await exclusively(
    join(cacheDirectory, "lock", "kubernetes"),
    async () => {
      for (const name of programNames) if (!(await exists(programPath(name)))) await buildProgram(name, say);
    },
    {
      deadlineMs: waitDeadlineMs,
      onWait: (waited) => say(`waiting for another process that builds Kubernetes … ${waited} s`),
    },
  );
}

/** Whether everything is built. */
export async function programsAreBuilt(): Promise<boolean> {
  const present = await Promise.all(programNames.map((name) => exists(programPath(name))));
  return present.every(Boolean);
}

/** Why they cannot be built here, in one sentence; undefined when they are there or can be. */
export async function whyNoPrograms(): Promise<string | undefined> {
  const go = async () => run("go", ["version"], { timeoutMs: 20_000 }).catch(() => undefined);
  if ((await programsAreBuilt()) || (await go())) return undefined;
  return "A node is built with Go 1.26 or newer, which is not on PATH: https://go.dev/dl.";
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function buildProgram(name: ProgramName, say: Say): Promise<void> {
  await mkdir(join(cacheDirectory, "building"), { recursive: true });
  const workshop = await mkdtemp(join(cacheDirectory, "building", `${name}-`));
  const start = Date.now();
  const seconds = () => Math.round((Date.now() - start) / 1_000);
  const tick = setInterval(() => say(`${name}: building with Go … ${seconds()} s`), 30_000);
  say(`${name}: building with Go, once on this machine`);
  try {
    const { target, flags } = await sourcesOf(name, workshop);
    const env = buildEnvironment({ CGO_ENABLED: "0", GOFLAGS: "-mod=mod -p=1 -trimpath -buildvcs=false" });
    const args = ["-n", "19", "go", "build", "-ldflags", `-s -w ${flags}`, "-o", join(workshop, "program"), target];
    await run("nice", args, { cwd: workshop, env, timeoutMs: buildDeadlineMs });
    await mkdir(home, { recursive: true });
    await rename(join(workshop, "program"), programPath(name));
    say(`${name}: ready after ${seconds()} s`);
  } finally {
    clearInterval(tick);
    await rm(workshop, { recursive: true, force: true });
  }
}

interface Sources {
  /** The package to build. */
  readonly target: string;
  /** For the linker. */
  readonly flags: string;
}

async function sourcesOf(name: ProgramName, workshop: string): Promise<Sources> {
  if (name === "metrics-server") {
    await writeFile(join(workshop, "go.mod"), moduleWith(`sigs.k8s.io/metrics-server ${versions[name]}`));
    return { target: "sigs.k8s.io/metrics-server/cmd/metrics-server", flags: "" };
  }
  await cp(join(import.meta.dirname, name), workshop, { recursive: true });
  const module = {
    node: () => nodeModule(workshop),
    coredns: async () => moduleWith(`github.com/coredns/coredns ${versions.coredns}`),
    pause: async () => moduleWith(),
  };
  await writeFile(join(workshop, "go.mod"), await module[name]());
  const version = "k8s.io/component-base/version";
  const [major, minor] = versions.kubernetes.slice(1).split(".");
  const stamps = { gitVersion: versions.kubernetes, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(stamps).map(([field, value]) => `-X ${version}.${field}=${value}`);
  return { target: ".", flags: name === "node" ? flags.join(" ") : "" };
}

/** A module of our own, around a program of theirs or by itself. */
function moduleWith(requirement?: string): string {
  return `module ordermesh.local/program\n\ngo 1.24\n${requirement ? `\nrequire ${requirement}\n` : ""}`;
}

/**
 * The module of our node. Kubernetes asks for its own parts by paths of its source tree, which no other module can follow;
 * each of these parts is published as a module of the same release, so that is what they are replaced by.
 */
async function nodeModule(workshop: string): Promise<string> {
  const wanted = `k8s.io/kubernetes@${versions.kubernetes}`;
  const json = await run("go", ["mod", "download", "-json", wanted], { cwd: workshop, timeoutMs: downloadDeadlineMs });
  const { Dir: folder } = JSON.parse(json.slice(json.indexOf("{"))) as { Dir: string };
  const theirs = await readFile(join(folder, "go.mod"), "utf8");
  const parts = [...theirs.matchAll(/^\s*(k8s\.io\/\S+) => \.\/staging\//gm)].map(([, part]) => part);
  const release = versions.kubernetes.replace(/^v1\./, "v0.");
  const replacements = parts.map((part) => `\t${part} => ${part} ${release}\n`).join("");
  return `${moduleWith(wanted.replace("@", " "))}\nreplace (\n${replacements})\n`;
}
