import { existsSync } from "node:fs";
import { delimiter } from "node:path";
import type { Say } from "../tools/tool.ts";
import { personalKubeconfig } from "./config.ts";
import { loadImage } from "./images.ts";
import { Kubectl } from "./kubectl.ts";
import { network, paths } from "./layout.ts";
import { nodeRuns, startNode } from "./node.ts";

/** A cluster to install into. */
export interface Cluster {
  readonly kubectl: Kubectl;
  /** Whether it is the node of this machine, which we start and stop, and put images onto. */
  readonly own: boolean;
  /** The address of this machine as pods see it; undefined when that is not known. */
  readonly hostAddress: string | undefined;
  /** Puts an image archive where pods find it. */
  load(archive: string): Promise<void>;
}

function ownCluster(kubectl: Kubectl): Cluster {
  return { kubectl, own: true, hostAddress: network.node, load: loadImage };
}

/** The cluster that a person's kubeconfig leads to, when it answers; else our own node when it runs; else none. */
export async function presentCluster(): Promise<Cluster | undefined> {
  const file = personalKubeconfig.split(delimiter).find((path) => existsSync(path));
  if (file !== undefined && file !== paths.kubeconfig && (await answers(new Kubectl(file)))) {
    return {
      kubectl: new Kubectl(file),
      own: false,
      hostAddress: undefined,
      // Whoever brings a cluster brings a registry that it pulls from.
      load: () => Promise.resolve(),
    };
  }
  return nodeRuns() ? ownCluster(new Kubectl(paths.kubeconfig)) : undefined;
}

/** The present cluster, else our own node, started. @throws ClusterError when there is none and none can be had */
export async function haveCluster(say: Say): Promise<Cluster> {
  const present = await presentCluster();
  if (present && !present.own) return present;
  return ownCluster(await startNode(say));
}

async function answers(kubectl: Kubectl): Promise<boolean> {
  const { code } = await kubectl.try(["--request-timeout=5s", "get", "--raw", "/readyz"], { timeoutMs: 10_000 });
  return code === 0;
}
