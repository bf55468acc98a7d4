import { LeftOut } from "../errors.ts";
import { change, imagesOf, withoutMigrations } from "./change.ts";
import { eventually } from "./eventually.ts";
import { type Mesh, require, requireBalance, type Stage } from "./mesh.ts";
import { namespace, releaseName } from "./release.ts";
import { underLoad } from "./under-load.ts";

/** The first figures of a new pod take about half a minute. */
const figuresSeconds = 120;
/** How long an autoscaler may take to add or remove a pod, and the pod to be ready: it looks every 15 s in most clusters. */
const scalingSeconds = 240;
/** How long one pod must be enough without load: several looks of an autoscaler. */
const steadyMs = 40_000;
/** Orders a second at least: with fewer, orders works hardly more than it does at rest. */
const leastRate = 10;
/** How often the idle mesh is looked at. */
const idleLooks = 4;

interface Autoscaler {
  readonly name: string;
  /** Of the requested processor time; undefined while there are no figures. */
  readonly percent: number | undefined;
}

interface Answer {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly currentMetrics?: readonly {
      readonly resource?: { readonly current?: { readonly averageUtilization?: number } };
    }[];
  };
}

/** Whether autoscalers do their work, where the cluster serves resource metrics. */
export const autoscalingStage: Stage = {
  name: "autoscalers see processor time; the one of orders adds a pod under load and takes it away again",
  async run(mesh) {
    const { code } = await mesh.cluster.kubectl.try(["get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"]);
    if (code !== 0) throw new LeftOut("this cluster serves no resource metrics");
    const seen = await eventually({
      what: "the figures of every autoscaler",
      seconds: figuresSeconds,
      ask: () => autoscalers(mesh),
      is: (all) => all.length > 0 && all.every(({ percent }) => percent !== undefined),
    });
    const { running } = await imagesOf(mesh);
    try {
      return `${seen.map(({ name, percent }) => `${name} ${percent} %`).join(", ")}; ${await scale(mesh, running)}`;
    } finally {
      await change(mesh, running, withoutMigrations);
      await orders(mesh, "both pods of orders, as before", ({ ready }) => ready === 2);
    }
  },
};

async function scale(mesh: Mesh, image: string): Promise<string> {
  const idle = await idlePercent(mesh);
  // What two idle pods take together is below it, so that one goes; what one takes that works is above it.
  const cpuPercent = 2 * idle + 10;
  const autoscaling = { minReplicas: 1, maxReplicas: 2, cpuPercent, scaleDownSeconds: 0 };
  await change(mesh, image, withoutMigrations, { orders: { autoscaling } });
  await orders(mesh, "one pod of orders without load", ({ pods }) => pods === 1);
  const alone = await requireSteady(mesh);
  const load = { ...mesh, rate: Math.max(mesh.rate, leastRate) };
  const loaded = await underLoad(load, "load-autoscaling", async () => {
    const { seconds, percent } = await orders(mesh, "a second pod of orders under load", ({ ready }) => ready === 2);
    return `under load up to ${percent} %, and a second pod ready ${seconds} s later`;
  });
  const { seconds } = await orders(mesh, "one pod of orders after the load", ({ pods }) => pods === 1);
  const aim = `orders, aimed at ${cpuPercent} %: one pod at ${alone} % without load`;
  const after = `one pod again ${seconds} s after the last order`;
  return `${aim}; ${loaded.seen}; ${after}; ${loaded.orders}; ${await requireBalance(mesh)}`;
}

async function idlePercent(mesh: Mesh): Promise<number> {
  const percents: number[] = [];
  await eventually({
    what: "an idle orders",
    seconds: figuresSeconds,
    ask: async () => percents.push((await scalerOfOrders(mesh)).percent ?? Number.POSITIVE_INFINITY),
    is: (looks) => looks >= idleLooks && percents.some(Number.isFinite),
  });
  return Math.min(...percents);
}

/** It is the load that brings the second pod. @returns the most that one pod took without it, in percent */
async function requireSteady(mesh: Mesh): Promise<number> {
  const end = Date.now() + steadyMs;
  const seen = await orders(mesh, "a steady pod of orders", ({ pods }) => pods > 1 || Date.now() > end);
  require(seen.pods === 1, `a second pod of orders came without load, at ${seen.percent} %`);
  return seen.percent;
}

interface Pods {
  /** As many as there are to be. */
  readonly pods: number;
  readonly ready: number;
}

interface Seen extends Pods {
  /** How long it took, whole. */
  readonly seconds: number;
  /** The most of the requested processor time that was seen meanwhile. */
  readonly percent: number;
}

/** Waits until the pods of orders are as wanted. */
async function orders(mesh: Mesh, what: string, is: (pods: Pods) => boolean): Promise<Seen> {
  const start = performance.now();
  const path = ["-n", namespace, "deployment", `${releaseName}-orders`];
  let most = 0;
  const ask = async () => {
    const { spec, status } = await mesh.cluster.kubectl.get<Deployment>(path);
    const { percent = 0 } = await scalerOfOrders(mesh);
    most = Math.max(most, percent);
    return { pods: spec.replicas, ready: status.readyReplicas ?? 0, percent };
  };
  const { pods, ready } = await eventually({ what, seconds: scalingSeconds, ask, is });
  return { pods, ready, percent: most, seconds: Math.round((performance.now() - start) / 1_000) };
}

interface Deployment {
  readonly spec: { readonly replicas: number };
  readonly status: { readonly readyReplicas?: number };
}

async function scalerOfOrders(mesh: Mesh): Promise<Autoscaler> {
  const found = (await autoscalers(mesh)).find(({ name }) => name === `${releaseName}-orders`);
  return found ?? { name: "none", percent: undefined };
}

async function autoscalers({ cluster }: Mesh): Promise<Autoscaler[]> {
  const { items } = await cluster.kubectl.get<{ items: Answer[] }>(["-n", namespace, "hpa"]);
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    percent: status?.currentMetrics?.[0]?.resource?.current?.averageUtilization,
  }));
}
