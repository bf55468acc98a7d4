import { setTimeout as pause } from "node:timers/promises";
import { runningImages } from "./change.ts";
import { drainStage, untilReady } from "./drain-stage.ts";
import { LoadPod } from "./load.ts";
import { type Mesh, require, requireBalance, type Stage, servingPods } from "./mesh.ts";
import { imageValues, mustSucceed, namespace } from "./release.ts";
import { patience, settleSeconds, summary, underLoad } from "./under-load.ts";

const ordersDuringFailures = 100;

/** What may happen to a mesh that works. */
export const rolloutStages: readonly Stage[] = [
  { name: "an upgrade under load, every service restarted", run: upgrade },
  { name: "pods killed, PostgreSQL and Temporal restarted during a hundred orders", run: failures },
  drainStage,
  { name: "a failed migration stops an upgrade", run: failedMigration },
  { name: "a failed helm test rolls back, by npm run rollout", run: failedTest },
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

async function failedMigration(mesh: Mesh): Promise<string> {
  const { release, caller, image, nextImage, values } = mesh;
  const before = await uids(mesh);
  const broken = {
    orders: { database: { ownerSecret: "mesh-wrong-owner" }, migration: { retries: 0, deadlineSeconds: 60 } },
  };
  const { code, stdout, stderr } = await release.upgrade([values, imageValues(image), broken]);
  require(code !== 0, "an upgrade went on although a migration failed");
  require((stdout + stderr).includes("password authentication failed"), "Helm did not show the log of the migration");
  const left = await objectsOf(mesh, "migration");
  require(left.length === 0, `the failed hook has left ${left.join(", ")}`);
  const after = await uids(mesh);
  require([...before].every((uid) => after.has(uid)), "pods were replaced although a migration failed");
  const { status, seconds } = await caller.placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status} afterwards`);
  const next = await release.rollOut([values, imageValues(nextImage)]);
  mustSucceed("the rollout after it", next);
  const [passed = ""] = /revision \d+ runs, and has passed its test/.exec(next.stderr) ?? [];
  require(passed !== "", `the rollout after it was not tested: ${next.stderr.slice(-500)}`);
  return `Helm gave up, showed why and left nothing, all ${before.size} pods stayed, an order was delivered after ${seconds.toFixed(1)} s; then ${passed}`;
}

async function failedTest(mesh: Mesh): Promise<string> {
  const { release, caller, nextImage, values } = mesh;
  const { version } = await release.status();
  const broken = { orders: { config: { WORKER_ADDRESS: "mesh-nowhere:1" } }, test: { deadlineSeconds: 20 } };
  const start = performance.now();
  const { code, stdout, stderr } = await release.rollOut([values, imageValues(nextImage), broken]);
  const took = Math.round((performance.now() - start) / 1_000);
  require(code === 1, `a rollout that fails its test ended with ${code}: ${stderr.slice(-500)}`);
  const [why] = /(?:the order is|a call failed|only) .*/.exec(stdout + stderr) ?? [];
  require(why !== undefined, `the log of the test was not shown: ${(stdout + stderr).slice(-500)}`);
  const left = (await objectsOf(mesh, "test")).filter((name) => name.startsWith("pod/"));
  require(left.length === 0, `the failed test has left ${left.join(", ")}`);
  const now = await release.status();
  require(now.info.status === "deployed", `the release is ${now.info.status}`);
  const { status, seconds } = await caller.placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status} afterwards`);
  const back = `revision ${version + 1} failed its test (${why}), ${now.version} is ${version} again after ${took} s`;
  return `${back}, an order after ${seconds.toFixed(1)} s`;
}

/** What is left of one part of the release. */
async function objectsOf({ cluster }: Mesh, component: string): Promise<string[]> {
  const kinds = ["get", "pods,jobs,networkpolicies", "-l", `app.kubernetes.io/component=${component}`];
  const list = await cluster.kubectl.run(["-n", namespace, ...kinds, "-o", "name", "--ignore-not-found"]);
  return list.split("\n").filter((name) => name !== "");
}
