import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { root } from "../../deploy/command/checkout.ts";
import { tool } from "../../dev/tools/tool.ts";

/** The Kubernetes that the charts are made for, and that the tests judge them by. */
export const kubernetesVersion = "1.34.4";

/** The environments of deploy/values. */
export const environments = ["local", "staging", "production"] as const;

/** Selects pods by their labels. */
export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
}

/** Something that the charts make. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

/** Runs Helm in the repository and returns what it wrote. @throws Error with all that it said */
export async function helm(...args: readonly string[]): Promise<string> {
  const options = { cwd: root, timeout: 60_000, maxBuffer: 16 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(await tool("helm"), args, options);
  return stdout;
}

/** The file with the values of an environment. */
export function valuesOf(environment: string): string {
  return join("deploy/values", `${environment}.yaml`);
}

/** What every test of the mesh says of gateway and carrier: nothing is rendered without that. Values that come later win. */
export const simulated = ["-f", "charts/test/simulated.yaml"] as const;

/** The connectors that production is rendered with: its values name none. */
export const namedConnectors = [
  "--set",
  "global.connectors.gateway.address=gateway.shop:50061,global.connectors.carrier.address=carrier.shop:50062",
] as const;

/** The arguments that render an environment. */
export function environmentArgs(environment: (typeof environments)[number]): string[] {
  return ["-f", valuesOf(environment), ...(environment === "production" ? namedConnectors : [])];
}

/** What a chart makes as text; `more` are arguments of `helm template`. */
export function template(chart: string, ...more: readonly string[]): Promise<string> {
  const place = ["--namespace", "ordermesh", "--kube-version", kubernetesVersion];
  return helm("template", "ordermesh", join("charts", chart), ...place, ...simulatedIn(chart), ...more);
}

function simulatedIn(chart: string): readonly string[] {
  return chart === "ordermesh" ? simulated : [];
}

/** What a chart makes. */
export async function render(chart: string, ...more: readonly string[]): Promise<Resource[]> {
  return resourcesIn(await template(chart, ...more));
}

/** The resources in a stream of YAML. */
export function resourcesIn(text: string): Resource[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error) throw error;
    const resource = document.toJS() as Resource | null;
    return resource ? [resource] : [];
  });
}

/** The resources of a kind. */
export function ofKind(resources: readonly Resource[], kind: string): Resource[] {
  return resources.filter((resource) => resource.kind === kind);
}

/** The one resource of a kind and name. @throws Error when there is none */
export function named(resources: readonly Resource[], kind: string, name: string): Resource {
  const found = resources.find((resource) => resource.kind === kind && resource.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found;
}
