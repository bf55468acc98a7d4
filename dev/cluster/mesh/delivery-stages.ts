import { accountedServices } from "../../../services/services.ts";
import { serviceOf, untilSeen } from "../../observers/jaeger-query.ts";
import { ClusterError, LeftOut } from "../errors.ts";
import { autoscalingStage } from "./autoscaling-stage.ts";
import type { EndedOrder } from "./caller.ts";
import { type Mesh, require, type Stage } from "./mesh.ts";
import { networkStage } from "./network-stage.ts";
import { imageValues, mustSucceed, namespace, releaseName, secretObjects } from "./release.ts";
import { outsideNamespace } from "./surroundings.ts";

/** How long spans and lines may be on their way. */
const telemetryDeadlineMs = 60_000;
const orderDeadlineSeconds = 120;

/** From nothing to an order that was delivered, and what can be seen of it. */
export const deliveryStages: readonly Stage[] = [
  { name: "the whole mesh installed by Helm, under Pod Security “restricted”", run: install },
  { name: "an order delivered, through grpcurl into the cluster", run: deliver },
  { name: "its trace in Jaeger", run: trace },
  { name: "its logs in Elasticsearch", run: logs },
  { name: "helm test", run: helmTest },
  { name: "the books compared in the cluster, by roles that may only read", run: compareBooks },
  networkStage,
  autoscalingStage,
];

async function install({ cluster, surroundings, release, image, values }: Mesh): Promise<string> {
  const restricted = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
  };
  const space = (name: string, labels: object) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels },
  });
  await cluster.kubectl.apply([space(namespace, restricted), space(outsideNamespace, {})]);
  await cluster.kubectl.apply(surroundings.objects());
  await cluster.kubectl.apply(secretObjects(await surroundings.provision()));
  const start = performance.now();
  mustSucceed("helm install", await release.upgrade([values, imageValues(image)]));
  const seconds = Math.round((performance.now() - start) / 1_000);
  const pods = await cluster.kubectl.get<{ items: unknown[] }>(["-n", namespace, "pods"]);
  return `${pods.items.length} pods ready after ${seconds} s`;
}

async function deliver(mesh: Mesh): Promise<string> {
  const order = await mesh.caller.placeOrder(orderDeadlineSeconds);
  const { orderId, status, seconds } = order;
  require(status === "ORDER_STATUS_DELIVERED", `the order ${orderId} is ${status}`);
  mesh.delivered = order;
  return `${orderId} delivered after ${seconds.toFixed(1)} s`;
}

function deliveredOrder({ delivered }: Mesh): EndedOrder {
  if (delivered === undefined) throw new ClusterError("there is no delivered order to look for");
  return delivered;
}

/** Who has a part in an order: nothing of it asks who somebody is. */
const taking = [...accountedServices, "worker"] as const;

async function trace(mesh: Mesh): Promise<string> {
  const { traceId } = deliveredOrder(mesh);
  const found = await untilSeen(
    () => mesh.surroundings.jaeger.trace(traceId),
    (seen) => taking.every((name) => seen.spans.some((span) => serviceOf(seen, span) === name)),
    telemetryDeadlineMs,
  );
  return `${found.spans.length} spans of ${taking.join(", ")}`;
}

interface Buckets {
  readonly hits: { readonly total: { readonly value: number } };
  readonly aggregations?: { readonly services: { readonly buckets: readonly { readonly key: string }[] } };
}

async function logs(mesh: Mesh): Promise<string> {
  const { stack } = mesh.surroundings;
  if (!stack.blueprint.observers.includes("elasticsearch")) {
    throw new LeftOut("the nodes of this cluster are elsewhere, and their logs with them");
  }
  // The audit log is a data stream of its own; an order without trouble is in no other.
  const url = `${stack.observerUrl("elasticsearch")}/logs-ordermesh*-${namespace}/_search`;
  const query = { term: { "order.id": deliveredOrder(mesh).orderId } };
  const aggs = { services: { terms: { field: "service.name" } } };
  const ask = async () => {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ size: 0, track_total_hits: true, query, aggs }),
      signal: AbortSignal.timeout(10_000),
    });
    // Before the first line arrives there is nothing to search in.
    return answer.ok ? ((await answer.json()) as Buckets) : undefined;
  };
  const namesIn = ({ aggregations }: Buckets) => aggregations?.services.buckets.map(({ key }) => key) ?? [];
  const seen = await untilSeen(
    ask,
    (answer) => accountedServices.every((name) => namesIn(answer).includes(name)),
    telemetryDeadlineMs,
  );
  const names = namesIn(seen);
  return `${seen.hits.total.value} lines with its id, of ${names.join(", ")}`;
}

async function helmTest({ release }: Mesh): Promise<string> {
  const { stdout, stderr } = mustSucceed("helm test", await release.test());
  require(/Phase:\s+Succeeded/.test(stdout), "helm test ran nothing");
  const [delivered] = /\d+\.\d s DELIVERED/.exec(stdout + stderr) ?? [];
  require(delivered !== undefined, "the log of the test was not shown");
  return `its order after ${delivered}, as its log says`;
}

/** A run by hand: the CronJob is suspended here, so that nothing runs beside what is measured. */
async function compareBooks({ cluster }: Mesh): Promise<string> {
  const job = `${releaseName}-books-now`;
  const inPlace = ["-n", namespace];
  await cluster.kubectl.run([...inPlace, "create", "job", job, `--from=cronjob/${releaseName}-books`]);
  try {
    const ended = ["wait", "--for=condition=Complete", `job/${job}`, "--timeout=180s"];
    await cluster.kubectl.run([...inPlace, ...ended], { timeoutMs: 190_000 });
    const log = await cluster.kubectl.run([...inPlace, "logs", `job/${job}`]);
    const last = JSON.parse(log.trim().split("\n").at(-1) ?? "{}") as Readonly<Record<string, unknown>>;
    require(last.message === "the books are in balance", `the job says last: ${JSON.stringify(last)}`);
    return `in balance by ${last["books.checks"]} checks`;
  } finally {
    await cluster.kubectl.run([...inPlace, "delete", "job", job]);
  }
}
