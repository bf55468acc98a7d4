import { untilSeen } from "../../observers/jaeger-query.ts";
import { tool } from "../../tools/tool.ts";
import { change, imagesOf, ownImage, withoutMigrations } from "./change.ts";
import { require, requireBalance, type Stage } from "./mesh.ts";
import { releaseName, type Values } from "./release.ts";
import { Sagas } from "./sagas.ts";
import { underLoad } from "./under-load.ts";

/** A parcel is on its way longer than a change of the version takes: its order is carried on by the next version. */
const transitMs = 90_000;
/** Orders a second at most: with six workers two cores have much to do, and it is not the number that is shown. */
const maxRate = 2;
/** How long the first workflow of a version may take to be seen, and the last one to end when another version is current. */
const beginsWithinMs = 60_000;
const drainsWithinMs = 60_000;
/** Histories of each version that are looked at. */
const mostHistories = 8;
const first = "1.0.0";
const second = "1.1.0";
/** What the charts call the worker that is no version. */
const none = "unversioned";
const deployment = `${releaseName}-worker`;

/** Versions of the worker beside each other. */
export const versionsStage: Stage = {
  name: "versions of the worker: each ends what it began, and orders that rest go on with the next, also back",
  async run(mesh) {
    const sagas = new Sagas(await tool("temporal"), mesh.surroundings.stack.address("temporal"), deployment);
    const { running, other } = await imagesOf(mesh);
    const images = new Map([
      [first, running],
      [second, other],
      [none, running],
    ]);
    const go = (current: string, ...draining: string[]) =>
      change(mesh, running, withoutMigrations, versionedValues(images, current, draining));
    const gently = { ...mesh, rate: Math.min(mesh.rate, maxRate) };
    const { seen, orders } = await underLoad(gently, "load-versions", async () => {
      await go(first, none);
      await requireNew(sagas, first, []);
      const toSecond = await step(sagas, first, second, () => go(second, first));
      const toFirst = await step(sagas, second, first, () => go(first, second));
      const toNone = await step(sagas, first, "", () => go(none, first, second));
      return [toSecond, toFirst, toNone];
    });
    let alone = 0;
    for (const { carried, from } of seen) alone += await requireOneVersion(sagas, carried, from);
    await change(mesh, running, withoutMigrations);
    const { status } = await mesh.caller.placeOrder(120);
    require(status === "ORDER_STATUS_DELIVERED", `an order without versions is ${status}`);
    const steps = seen.map(({ said }) => said).join(", ");
    return `${steps}; ${alone} workflows looked at, each carried by one version; ${orders}; ${await requireBalance(mesh)}`;
  },
};

function versionedValues(images: ReadonlyMap<string, string>, current: string, draining: readonly string[]): Values {
  const image = (id: string) => ownImage(images.get(id) ?? "");
  const versions = { enabled: true, current, draining: draining.map((id) => ({ id, replicas: 1, image: image(id) })) };
  return {
    simulators: { config: { CARRIER_TRANSIT_MS: transitMs } },
    worker: { image: image(current), versions },
  };
}

/** A change from one version to another. */
interface Step {
  readonly from: string;
  /** Workflows of the version before, the last ones first. */
  readonly carried: readonly string[];
  readonly said: string;
}

/** Changes the version with orders under way, of which most rest. @param to empty for none */
async function step(sagas: Sagas, from: string, to: string, go: () => Promise<number>): Promise<Step> {
  const before = to === "" ? [] : await sagas.all(to);
  const seconds = await go();
  await requireNew(sagas, to, before);
  const start = performance.now();
  await untilSeen(
    () => sagas.running(from),
    (running) => running.length === 0,
    drainsWithinMs,
  );
  const drained = Math.round((performance.now() - start) / 1_000);
  const carried = await sagas.all(from);
  return {
    from,
    carried,
    said: `${from} → ${to || "none"} in ${seconds} s, nothing of ${from} after ${drained} s more`,
  };
}

/** New workflows begin with this version, by Temporal's word and by what happens. */
async function requireNew(sagas: Sagas, version: string, before: readonly string[]): Promise<void> {
  const current = await sagas.current();
  require(current === version, `new workflows begin with "${current}", not with "${version}"`);
  // What is no version is not found by its version; that its orders are delivered is shown in the end.
  if (version === "") return;
  await untilSeen(
    () => sagas.all(version),
    (all) => all.some((id) => !before.includes(id)),
    beginsWithinMs,
  );
}

/** Every workflow has been carried by its version alone. @returns how many were looked at */
async function requireOneVersion(sagas: Sagas, ids: readonly string[], version: string): Promise<number> {
  const looked = ids.slice(0, mostHistories);
  for (const id of looked) {
    const versions = await sagas.versionsOf(id);
    require(versions.join() === version, `${id} of ${version} was carried by ${versions.join(", ")}`);
  }
  require(looked.length > 0, `no workflow was carried by ${version}`);
  return looked.length;
}
