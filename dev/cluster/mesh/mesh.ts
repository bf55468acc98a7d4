import type { Cluster } from "../cluster.ts";
import { ClusterError } from "../errors.ts";
import type { Caller, EndedOrder } from "./caller.ts";
import { namespace, type Release, type Values } from "./release.ts";
import type { Surroundings } from "./surroundings.ts";

/** Everything that a stage works with. */
export interface Mesh {
  readonly cluster: Cluster;
  /** The address of this machine as pods see it. */
  readonly hostAddress: string;
  readonly surroundings: Surroundings;
  readonly release: Release;
  readonly caller: Caller;
  /** The image that is installed, and the one that it is upgraded to: the same contents by another name. */
  readonly image: string;
  readonly nextImage: string;
  /** What every installation begins with. */
  readonly values: Values;
  /** Orders a second while something is done to the mesh. */
  readonly rate: number;
  /** An order that was delivered. */
  delivered: EndedOrder | undefined;
}

/** One thing that is shown. */
export interface Stage {
  readonly name: string;
  /** Returns what was seen, in one line. @throws ClusterError when it is not so, LeftOut when it cannot be shown here */
  run(mesh: Mesh): Promise<string>;
}

/** Of a pod, what is used here. */
export interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: { readonly podIP: string; readonly containerStatuses: readonly { readonly restartCount: number }[] };
}

/** @throws ClusterError with the sentence unless it holds */
export function require(holds: boolean, sentence: string): void {
  if (!holds) throw new ClusterError(sentence);
}

/** The pods that serve, those on their way out not counted. */
export async function servingPods({ cluster }: Mesh): Promise<Pod[]> {
  const selector = ["-l", "app.kubernetes.io/component=service", "--field-selector", "status.phase=Running"];
  const { items } = await cluster.kubectl.get<{
    items: (Pod & { readonly metadata: { readonly deletionTimestamp?: string } })[];
  }>(["-n", namespace, "pods", ...selector]);
  return items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

/** @throws ClusterError with every sentence when stock or money are not in balance, or orders are under way for ever */
export async function requireBalance({ surroundings }: Mesh): Promise<string> {
  const { findings, underway, inBalance } = await surroundings.balance();
  const wrong = findings.flatMap((finding) => finding.wrong);
  require(inBalance, `stock or money are not in balance: ${wrong.join("; ")}`);
  return `stock and money in balance by ${findings.length} checks, ${underway} orders under way`;
}
