import { untilSeen } from "../../observers/jaeger-query.ts";
import { tool } from "../../tools/tool.ts";
import { change, imagesOf, ownImage, withoutMigrations } from "./change.ts";
import { require, requireBalance, type Stage } from "./mesh.ts";
import { releaseName, type Values } from "./release.ts";
import { Sagas } from "./sagas.ts";
import { underLoad } from "./under-load.ts";

/** A parcel is on its way longer than a change of the version takes, so orders are under way whenever there is one. */
const transitMs = 90_000;
/** Orders a second at most: with six workers two cores have much to do, and it is not the number that is shown. */
const maxRate = 2;
/** How long the first saga of a version may take to be seen. */
const beginsWithinMs = 60_000;
const first = "1.0.0";
const second = "1.1.0";
/** What the charts call the worker that is no version. */
const none = "unversioned";
const deployment = `${releaseName}-worker`;

/** Versions of the worker beside each other. */
export const versionsStage: Stage = {
  name: "versions of the worker: each carries its orders to their end, also back",
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
    let stayed = 0;
    for (const { kept, from } of seen) stayed += await requireOneVersion(sagas, kept, from);
    await change(mesh, running, withoutMigrations);
    const { status } = await mesh.caller.placeOrder(120);
    require(status === "ORDER_STATUS_DELIVERED", `an order without versions is ${status}`);
    const steps = seen.map(({ said }) => said).join(", ");
    const ended = `${stayed} of these ended with the version with which they began, the others had begun without one`;
    return `${steps}; ${ended}; ${orders}; ${await requireBalance(mesh)}`;
  },
};

function versionedValues(images: ReadonlyMap<string, string>, current: string, draining: readonly string[]): Values {
  const image = (id: string) => ownImage(images.get(id) ?? "");
  const versions = { enabled: true, current, draining: draining.map((id) => ({ id, replicas: 1, image: image(id) })) };
  return {
    shipping: { config: { CARRIER_TRANSIT_MS: transitMs } },
    worker: { image: image(current), versions },
  };
}

/** A change from one version to another. */
interface Step {
  readonly from: string;
  /** The sagas of the version before that were under way when new ones began with the next. */
  readonly kept: readonly string[];
  readonly said: string;
}

/** Changes the version with orders under way. @param to empty for none */
async function step(sagas: Sagas, from: string, to: string, go: () => Promise<number>): Promise<Step> {
  const before = to === "" ? [] : await sagas.running(to);
  const seconds = await go();
  const kept = await sagas.running(from);
  require(kept.length > 0, `no order of ${from} was under way when ${to || "no version"} took over`);
  await requireNew(sagas, to, before);
  return { from, kept, said: `${from} → ${to || "none"} in ${seconds} s with ${kept.length} orders under way` };
}

/** New sagas begin with this version, by Temporal's word and by what happens. */
async function requireNew(sagas: Sagas, version: string, before: readonly string[]): Promise<void> {
  const current = await sagas.current();
  require(current === version, `new sagas begin with "${current}", not with "${version}"`);
  // What is no version is not found by its version; that its orders are delivered is shown in the end.
  if (version === "") return;
  await untilSeen(
    () => sagas.running(version),
    (running) => running.some((id) => !before.includes(id)),
    beginsWithinMs,
  );
}

/**
 * Every saga has been carried by this version alone, but for those that began without one: they go on with the first.
 *
 * @returns how many began with the version
 */
async function requireOneVersion(sagas: Sagas, ids: readonly string[], version: string): Promise<number> {
  let began = 0;
  for (const id of ids) {
    const versions = await sagas.versionsOf(id);
    const alone = versions.filter((carrier) => carrier !== "").join(", ");
    require(alone === version &&
      versions.at(-1) === version, `${id} of ${version} was carried by ${versions.join(", ")}`);
    if (versions.length === 1) began += 1;
  }
  require(began > 0, `no order under way had begun with ${version}`);
  return began;
}
