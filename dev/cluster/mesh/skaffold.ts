import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";
import { toolLinks } from "../../tools/tool.ts";
import { commandEnvironment, commandPath } from "../config.ts";
import { type Answer, execute, type Kubectl } from "../kubectl.ts";
import { programPath } from "../programs.ts";
import { releaseName, type Values } from "./release.ts";

/** Longer than the build, the push, Helm's own 10 minutes, and Skaffold's look at what came of it. */
const deadlineMs = 25 * 60_000;
const profileName = "cluster-test";

interface HelmRelease {
  readonly name: string;
  readonly valuesFiles: readonly string[];
}

interface Profile {
  readonly name: string;
  readonly deploy: { readonly helm: { readonly releases: readonly HelmRelease[] } };
}

interface Config {
  readonly metadata: { readonly name: string };
  readonly profiles: readonly Profile[];
}

/**
 * Our skaffold.yaml with one more profile: what staging does, with values that lead to the neighbours of the test, and with
 * an image that is built by `npm run image` where Skaffold would ask a Docker daemon.
 */
export function withTestProfile(text: string, valuesFiles: readonly string[]): string {
  const configs = parseAllDocuments(text, { merge: true }).map((document) => document.toJS() as Config);
  const changed = configs.map((config) => {
    const staging = config.profiles.find(({ name }) => name === "staging");
    if (!staging) return config;
    const [release] = staging.deploy.helm.releases;
    const helm = { ...staging.deploy.helm, releases: [{ ...release, name: releaseName, valuesFiles }] };
    const buildCommand = `'${process.execPath}' deploy/image/build.ts --tag "$IMAGE" --push`;
    const build = { local: { push: true }, artifacts: [{ image: "ordermesh", custom: { buildCommand } }] };
    return { ...config, profiles: [...config.profiles, { name: profileName, build, deploy: { helm } }] };
  });
  return changed.map((config) => stringify(config, { aliasDuplicateObjects: false })).join("---\n");
}

/** The real Skaffold with our skaffold.yaml, for a cluster whose nodes are on this machine. */
export class Skaffold implements AsyncDisposable {
  readonly #program: string;
  readonly #kubectl: Kubectl;
  readonly #folder: string;

  private constructor(program: string, kubectl: Kubectl, folder: string) {
    this.#program = program;
    this.#kubectl = kubectl;
    this.#folder = folder;
  }

  /** @param values of the charts, the later ones win */
  static async open(program: string, kubectl: Kubectl, values: readonly Values[]): Promise<Skaffold> {
    const folder = await mkdtemp(join(tmpdir(), "ordermesh-skaffold-"));
    const files = values.map((_, index) => join(folder, `values-${index}.json`));
    for (const [index, file] of files.entries()) await writeFile(file, JSON.stringify(values[index]), { mode: 0o600 });
    const text = await readFile(join(root, "skaffold.yaml"), "utf8");
    await writeFile(join(folder, "skaffold.yaml"), withTestProfile(text, files));
    // The one that belongs to the cluster.
    const script = `#!/bin/sh\nexec '${programPath("node")}' kubectl "$@"\n`;
    await writeFile(join(folder, "kubectl"), script, { mode: 0o755 });
    return new Skaffold(program, kubectl, folder);
  }

  /** Runs a command of Skaffold's. @param registry where it pushes the image, as `host:port` */
  run(command: "run" | "delete", registry: string): Promise<Answer> {
    const file = ["--filename", join(this.#folder, "skaffold.yaml"), "--profile", profileName];
    const place = ["--default-repo", registry, "--interactive=false"];
    const env = commandEnvironment({
      PATH: [this.#folder, toolLinks, commandPath].join(delimiter),
      KUBECONFIG: this.#kubectl.kubeconfig,
      SKAFFOLD_CONFIG: join(this.#folder, "config"),
      SKAFFOLD_UPDATE_CHECK: "false",
      SKAFFOLD_COLLECT_METRICS: "false",
      // An image of an earlier run is in a registry that is gone.
      SKAFFOLD_CACHE_ARTIFACTS: "false",
    });
    return execute({
      command: this.#program,
      args: [command, ...file, ...place],
      env,
      cwd: root,
      timeoutMs: deadlineMs,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
