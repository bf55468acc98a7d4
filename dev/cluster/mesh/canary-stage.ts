import { setTimeout as pause } from "node:timers/promises";
import { untilSeen } from "../../observers/jaeger-query.ts";
import { callCounts, callsBetween } from "./call-counts.ts";
import { change, imagesOf, ownImage } from "./change.ts";
import { type Mesh, require, type Stage } from "./mesh.ts";
import { underLoad } from "./under-load.ts";

/** Callers look for new pods when a connection ends. */
export const connectionAgeSeconds = 20;
/** How long callers may take to find a new pod: an age, give or take a tenth, and a busy machine. */
export const foundWithinMs = 90_000;
/** How long calls are counted. */
const countingMs = 30_000;

/** A second version that gets a share of the calls. */
export const canaryStage: Stage = {
  name: "a canary of orders gets its share of the calls, and goes again",
  async run(mesh) {
    const { running, other } = await imagesOf(mesh);
    const on = { orders: { connectionAgeSeconds, canary: { enabled: true, image: ownImage(other) } } };
    const off = { orders: { connectionAgeSeconds } };
    const { seen, orders } = await underLoad(mesh, "load-canary", async () => {
      const onSeconds = await change(mesh, running, on);
      const share = await shareOfCanary(mesh);
      return `on in ${onSeconds} s, ${share}, off in ${await change(mesh, running, off)} s`;
    });
    const { running: left } = await imagesOf(mesh);
    require(left === running, `the pods run ${left}`);
    return `${seen}; ${orders}`;
  },
};

async function shareOfCanary(mesh: Mesh): Promise<string> {
  const start = performance.now();
  await untilSeen(
    () => callCounts(mesh),
    (counts) => [...counts.values()].some(({ track, calls }) => track === "canary" && calls > 0),
    foundWithinMs,
  );
  const seconds = Math.round((performance.now() - start) / 1_000);
  const before = await callCounts(mesh);
  await pause(countingMs);
  const { canary = 0, blue = 0 } = callsBetween(before, await callCounts(mesh));
  const percent = Math.round((100 * canary) / (canary + blue));
  const said = `the canary beside two others served ${canary} of ${canary + blue} calls (${percent} %)`;
  // A third, but for the moments in which connections are opened again.
  require(percent >= 20 && percent <= 50, said);
  return `found by its caller ${seconds} s later, ${said}`;
}
