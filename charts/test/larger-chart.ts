import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { root } from "../../deploy/command/checkout.ts";
import { helm, kubernetesVersion, type Resource, resourcesIn } from "./charts.ts";

/** A chart of somebody else's that has ours as a part. */
export interface LargerChart {
  /** Which of ours; the whole mesh when left out. */
  readonly chart?: "ordermesh" | "service";
  /** What ours are called there, one for each time that it is a part. */
  readonly aliases: readonly string[];
  readonly release: string;
  readonly values: object;
}

/** Writes a chart into a folder, anew, that has ours as a part under each of the names, each with a condition. */
async function write(folder: string, { aliases, chart = "ordermesh" }: LargerChart): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, "charts"), { recursive: true });
  await symlink(join(root, "charts", chart), join(folder, "charts", chart));
  const dependencies = aliases.map((alias) => ({
    name: chart,
    version: "0.1.0",
    repository: "",
    condition: `${alias}.enabled`,
    ...(alias === chart ? {} : { alias }),
  }));
  const larger = { apiVersion: "v2", name: "platform", version: "1.0.0", dependencies };
  await writeFile(join(folder, "Chart.yaml"), stringify(larger));
}

/** Renders a release of it. @param folder is written anew @throws Error with all that Helm said */
export async function renderLarger(folder: string, larger: LargerChart): Promise<Resource[]> {
  await write(folder, larger);
  const { aliases, chart = "ordermesh", release, values } = larger;
  return renderWith(folder, release, chart === "ordermesh" ? withSimulators(aliases, values) : values);
}

/** The same, with a world outside that is simulated in each mesh: nothing is rendered without one. */
function withSimulators(aliases: readonly string[], values: object): object {
  const said = values as Readonly<Record<string, object | undefined>>;
  const meshes = aliases.map((alias) => [alias, { simulators: { enabled: true }, ...said[alias] }] as const);
  return { ...values, ...Object.fromEntries(meshes) };
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
