import { serviceFacts } from "../../../services/services.ts";
import { type Mesh, servingPods } from "./mesh.ts";
import { namespace } from "./release.ts";

/** What callers from outside of the mesh call; its own services do not. */
const servedTo = 'rpc="shop.orders.v1.OrderService/';

/** Calls that pods have served since they began, by the name of the pod. */
export type CallCounts = ReadonlyMap<string, { readonly track: string; readonly calls: number }>;

/** How many calls of OrderService each pod of orders has served. */
export async function callCounts(mesh: Mesh): Promise<CallCounts> {
  const pods = (await servingPods(mesh)).filter(
    ({ metadata }) => metadata.labels["app.kubernetes.io/name"] === "orders",
  );
  const counts = await Promise.all(
    pods.map(async ({ metadata }) => {
      const calls = callsIn(await metricsOf(mesh, metadata.name));
      return [metadata.name, { track: metadata.labels["ordermesh.io/track"] ?? "", calls }] as const;
    }),
  );
  return new Map(counts);
}

function metricsOf({ cluster }: Mesh, pod: string): Promise<string> {
  const url = `http://127.0.0.1:${serviceFacts.orders.http}/metrics`;
  const script = `fetch("${url}").then((answer) => answer.text()).then(console.log)`;
  return cluster.kubectl.run(["-n", namespace, "exec", pod, "--", "node", "-e", script]);
}

/** The calls of OrderService in what a pod says of itself. */
export function callsIn(metrics: string): number {
  const lines = metrics.split("\n").filter((line) => line.startsWith("rpc_server_duration_seconds_count{"));
  const ours = lines.filter((line) => line.includes(servedTo));
  return ours.reduce((sum, line) => sum + Number(/} (\d+)/.exec(line)?.[1] ?? 0), 0);
}

/** The calls of each track between two looks, by the pods that were there at both. */
export function callsBetween(before: CallCounts, after: CallCounts): Readonly<Record<string, number>> {
  const byTrack: Record<string, number> = {};
  for (const [name, { track, calls }] of after) {
    const earlier = before.get(name);
    if (earlier) byTrack[track] = (byTrack[track] ?? 0) + calls - earlier.calls;
  }
  return byTrack;
}
