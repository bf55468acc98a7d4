import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { root } from "../../deploy/command/checkout.ts";
import { helm, kubernetesVersion, type Resource, resourcesIn } from "./charts.ts";

/** A chart of somebody else's that has ours as a part. */
export interface LargerChart {
  /** What ours are called there; each is a mesh. */
  readonly aliases: readonly string[];
  readonly release: string;
  readonly values: object;
}

/** Writes a chart into an empty folder that has ours as a part under each of the names, each with a condition. */
async function write(folder: string, aliases: readonly string[]): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, "charts"), { recursive: true });
  await symlink(join(root, "charts/ordermesh"), join(folder, "charts/ordermesh"));
  const dependencies = aliases.map((alias) => ({
    name: "ordermesh",
    version: "0.1.0",
    repository: "file://charts/ordermesh",
    condition: `${alias}.enabled`,
    ...(alias === "ordermesh" ? {} : { alias }),
  }));
  const chart = { apiVersion: "v2", name: "platform", version: "1.0.0", dependencies };
  await writeFile(join(folder, "Chart.yaml"), stringify(chart));
}

/** Renders a release of it. @param folder is written anew @throws Error with all that Helm said */
export async function renderLarger(folder: string, { aliases, release, values }: LargerChart): Promise<Resource[]> {
  await write(folder, aliases);
  return renderWith(folder, release, values);
}

/** Renders a release of any chart with values of any shape. @throws Error with all that Helm said */
export async function renderWith(chart: string, release: string, values: object): Promise<Resource[]> {
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-values-"));
  try {
    const file = join(folder, "values.json");
    await writeFile(file, JSON.stringify(values));
    const place = ["--namespace", "shop", "--kube-version", kubernetesVersion];
    return resourcesIn(await helm("template", release, chart, ...place, "-f", file));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
