import { setTimeout as pause } from "node:timers/promises";
import type { Answer } from "../kubectl.ts";
import { eventually } from "./eventually.ts";
import { type Mesh, require, requireBalance, type Stage } from "./mesh.ts";
import { namespace, releaseName } from "./release.ts";
import { underLoad } from "./under-load.ts";

const ordersMeanwhile = 100;
/** Every pod has to start anew, one of each service after the other, on a machine that carries load. */
const drainSeconds = 600;
/** What drain says of a pod that has to stay for now. */
const refusal = "violate the pod's disruption budget";

/** The mesh alone: on a cluster of one node its names and figures have nowhere else to go. */
const selector = `app.kubernetes.io/instance=${releaseName},app.kubernetes.io/component=service`;

interface PlacedPod {
  readonly metadata: { readonly uid: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly nodeName?: string };
}

/** A node is emptied as its operator empties it. On a cluster of one node, new pods wait until it takes some again. */
export const drainStage: Stage = {
  name: "a node drained during a hundred orders, one pod of each service at a time",
  async run(mesh) {
    const before = await pods(mesh);
    const node = busiestNode(before);
    const leaving = before.filter(({ spec }) => spec.nodeName === node);
    const { seen, placed, orders } = await underLoad(mesh, "load-drain", async () => {
      const [drained] = await Promise.all([drain(mesh, node), pause(loadMs(mesh.rate))]);
      return drained;
    });
    require(placed >= ordersMeanwhile, `only ${placed} orders were placed meanwhile`);
    const now = new Set((await pods(mesh)).map(({ metadata }) => metadata.uid));
    const stayed = leaving.filter(({ metadata }) => now.has(metadata.uid));
    require(stayed.length === 0, `${stayed.length} pods were not drained`);
    return `${leaving.length} pods went, ${seen}; ${orders}; ${await requireBalance(mesh)}`;
  },
};

/** The load begins slowly, and a busy machine does not keep its rate. */
function loadMs(rate: number): number {
  return 1.5 * (ordersMeanwhile / rate) * 1_000;
}

async function pods({ cluster }: Mesh): Promise<PlacedPod[]> {
  const { items } = await cluster.kubectl.get<{ items: PlacedPod[] }>(["-n", namespace, "pods", "-l", selector]);
  return items;
}

function busiestNode(all: readonly PlacedPod[]): string {
  const byNode = Map.groupBy(all, ({ spec }) => spec.nodeName ?? "");
  const [node = ""] = [...byNode].sort(([, one], [, other]) => other.length - one.length)[0] ?? [];
  require(node !== "", "no pod of the mesh is on a node");
  return node;
}

/** Drains the node; lets it take pods again once half of the mesh waits for that, and sees the drain to its end. */
async function drain(mesh: Mesh, node: string): Promise<string> {
  const { kubectl } = mesh.cluster;
  const start = performance.now();
  const seconds = () => Math.round((performance.now() - start) / 1_000);
  const what = [`--pod-selector=${selector}`, "--delete-emptydir-data", `--timeout=${drainSeconds}s`];
  let ended: Answer | undefined;
  const draining = kubectl.try(["drain", node, ...what], { timeoutMs: (drainSeconds + 30) * 1_000 }).then((answer) => {
    ended = answer;
    return answer;
  });
  try {
    const fewest = await eventually({
      what: "a drain that waits for new pods",
      seconds: drainSeconds,
      ask: () => waiting(mesh),
      is: ({ services, unscheduled }) => ended !== undefined || unscheduled === services,
    });
    const half = ended ? "" : await serveByHalf(mesh, fewest.unscheduled, seconds());
    await kubectl.run(["uncordon", node]);
    const { code, stdout, stderr } = await draining;
    require(code === 0, `the drain failed: ${(stderr || stdout).trim().slice(-500)}`);
    await untilReady(mesh);
    const refused = (stdout + stderr).split(refusal).length - 1;
    return `${half}the drain ended after ${seconds()} s, ${refused} evictions refused by budgets`;
  } finally {
    await kubectl.try(["uncordon", node]);
    await draining;
  }
}

interface Waiting {
  readonly services: number;
  /** Services of which one pod has found no node. */
  readonly unscheduled: number;
}

async function waiting(mesh: Mesh): Promise<Waiting> {
  const byService = Map.groupBy(await pods(mesh), ({ metadata }) => metadata.labels["app.kubernetes.io/name"]);
  const without = [...byService.values()].filter((all) => all.some(({ spec }) => spec.nodeName === undefined));
  return { services: byService.size, unscheduled: without.length };
}

/** With the node closed: what the budgets have kept must carry the mesh. */
async function serveByHalf(mesh: Mesh, waitingPods: number, seconds: number): Promise<string> {
  const { status } = await mesh.caller.placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status} while one pod of each service is away`);
  return `${waitingPods} of them waiting for a node after ${seconds} s while the others delivered; `;
}

/** Every deployment has all its pods again. */
export async function untilReady({ cluster }: Mesh): Promise<void> {
  const wait = ["wait", "--for=condition=Available", "deployment", "--all", "--timeout=240s"];
  await cluster.kubectl.run(["-n", namespace, ...wait], { timeoutMs: 250_000 });
}
