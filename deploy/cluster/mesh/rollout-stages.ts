import { setTimeout as pause } from "node:timers/promises";
import { runningImages } from "./delivery-stages.ts";
import { LoadPod } from "./load.ts";
import { type Mesh, require, requireBalance, type Stage, servingPods } from "./mesh.ts";
import { imageValues, mustSucceed, namespace } from "./release.ts";
import { upgradeTested } from "./rollout.ts";
import { patience, settleSeconds, summary, underLoad } from "./under-load.ts";

const ordersDuringFailures = 100;

/** What may happen to a mesh that works. */
export const rolloutStages: readonly Stage[] = [
  { name: "an upgrade under load, every service restarted", run: upgrade },
  { name: "pods killed, PostgreSQL and Temporal restarted during a hundred orders", run: failures },
  { name: "pods evicted, as a drained node does: one of each at a time", run: evictions },
  { name: "a failed migration stops an upgrade", run: failedMigration },
  { name: "a failed helm test rolls back", run: failedTest },
];

async function uids(mesh: Mesh): Promise<Set<string>> {
  return new Set((await servingPods(mesh)).map(({ metadata }) => metadata.uid));
}

async function upgrade(mesh: Mesh): Promise<string> {
  const { release, nextImage, values } = mesh;
  const before = await uids(mesh);
  const { seen: seconds, orders } = await underLoad(mesh, "load-upgrade", async () => {
    const start = performance.now();
    mustSucceed("helm upgrade", await release.upgrade([values, imageValues(nextImage)]));
    return Math.round((performance.now() - start) / 1_000);
  });
  const images = await runningImages(mesh);
  require(images.length === 1 && images[0] === nextImage, `the pods run ${images.join(", ")}`);
  const kept = [...(await uids(mesh))].filter((uid) => before.has(uid));
  require(kept.length === 0, `${kept.length} pods were not replaced`);
  return `${before.size} pods replaced in ${seconds} s; ${orders}; ${await requireBalance(mesh)}`;
}

async function failures(mesh: Mesh): Promise<string> {
  const { cluster, surroundings, nextImage: image, rate } = mesh;
  const plan = { name: "load-failures", image, count: ordersDuringFailures, rate, patience, persistent: true };
  const load = await LoadPod.start(cluster.kubectl, plan);
  await pause(4_000);
  const victims = onePodOfEach(await servingPods(mesh));
  const kill = ["delete", "pod", ...victims, "--grace-period=0", "--force", "--wait=false"];
  await cluster.kubectl.run(["-n", namespace, ...kill]);
  await pause(4_000);
  await surroundings.restart("postgres");
  await pause(4_000);
  await surroundings.restart("temporal");
  const outcome = await load.outcome(ordersDuringFailures / rate + settleSeconds);
  require(outcome.lost === 0, `${outcome.lost} orders are lost: ${summary(outcome)}`);
  await untilReady(mesh);
  return `${victims.length} pods killed; ${summary(outcome)}; ${await requireBalance(mesh)}`;
}

function onePodOfEach(pods: Awaited<ReturnType<typeof servingPods>>): string[] {
  const byName = new Map(pods.map(({ metadata }) => [metadata.labels["app.kubernetes.io/name"], metadata.name]));
  return [...byName.values()];
}

/** Both pods of each service are to go at once; the disruption budget lets one of them. */
async function evictions(mesh: Mesh): Promise<string> {
  const byService = Map.groupBy(await servingPods(mesh), ({ metadata }) => metadata.labels["app.kubernetes.io/name"]);
  let evicted = 0;
  let refused = 0;
  for (const pods of byService.values()) {
    const answers = [];
    for (const { metadata } of pods) answers.push(await evict(mesh, metadata.name));
    evicted += answers.filter(({ code }) => code === 0).length;
    refused += answers.filter(({ stderr }) => stderr.includes("disruption budget")).length;
  }
  require(evicted === byService.size, `${evicted} pods of ${byService.size} services were evicted`);
  require(refused === byService.size, `${refused} evictions were refused by a budget`);
  await untilReady(mesh);
  const { status } = await mesh.caller.placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status} afterwards`);
  return `${evicted} pods went, ${refused} were kept by their budgets, an order was delivered afterwards`;
}

function evict({ cluster }: Mesh, name: string) {
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
  return cluster.kubectl.try(["create", "--raw", path, "-f", "-"], { input: JSON.stringify(eviction) });
}

async function untilReady({ cluster }: Mesh): Promise<void> {
  const wait = ["wait", "--for=condition=Available", "deployment", "--all", "--timeout=240s"];
  await cluster.kubectl.run(["-n", namespace, ...wait], { timeoutMs: 250_000 });
}

async function failedMigration(mesh: Mesh): Promise<string> {
  const { release, caller, image, nextImage, values } = mesh;
  const before = await uids(mesh);
  const broken = {
    orders: { database: { ownerSecret: "mesh-wrong-owner" }, migration: { retries: 0, deadlineSeconds: 60 } },
  };
  const answer = await release.upgrade([values, imageValues(image), broken]);
  require(answer.code !== 0, "an upgrade went on although a migration failed");
  const after = await uids(mesh);
  require([...before].every((uid) => after.has(uid)), "pods were replaced although a migration failed");
  const { status, seconds } = await caller.placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status} afterwards`);
  mustSucceed("the upgrade after it", await release.upgrade([values, imageValues(nextImage)]));
  return `Helm gave up, all ${before.size} pods stayed, an order was delivered after ${seconds.toFixed(1)} s`;
}

async function failedTest(mesh: Mesh): Promise<string> {
  const { release, caller, nextImage, values } = mesh;
  const { version } = await release.status();
  const broken = { orders: { config: { WORKER_ADDRESS: "mesh-nowhere:1" } }, test: { deadlineSeconds: 20 } };
  const verdict = await upgradeTested(release, [values, imageValues(nextImage), broken]);
  require(verdict.rolledBack, "the upgrade stayed although helm test failed");
  const now = await release.status();
  require(now.info.status === "deployed", `the release is ${now.info.status}`);
  const { status, seconds } = await caller.placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status} afterwards`);
  return `revision ${version + 1} failed its test, ${now.version} is ${version} again, an order after ${seconds.toFixed(1)} s`;
}
