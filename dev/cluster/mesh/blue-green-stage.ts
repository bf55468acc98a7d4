import { setTimeout as pause } from "node:timers/promises";
import { ClusterError } from "../errors.ts";
import { callCounts, callsBetween } from "./call-counts.ts";
import { connectionAgeSeconds, foundWithinMs } from "./canary-stage.ts";
import { change, imagesOf, ownImage, withoutMigrations } from "./change.ts";
import { type Mesh, require, type Stage } from "./mesh.ts";
import type { Values } from "./release.ts";
import { underLoad } from "./under-load.ts";

type Colour = "blue" | "green";

/** How long a colour must have served nothing to be left by everybody. */
const quietMs = 5_000;

/** Two versions beside each other, of which one serves. */
export const blueGreenStage: Stage = {
  name: "blue and green of orders: a preview, the switch, and back",
  async run(mesh) {
    const { running, other } = await imagesOf(mesh);
    const active = (colour: Colour): Values => ({
      orders: { connectionAgeSeconds, blueGreen: { enabled: true, active: colour, image: ownImage(other) } },
    });
    const { seen, orders } = await underLoad(mesh, "load-blue-green", async () => {
      const seconds = await change(mesh, running, active("blue"));
      const preview = await previewGreen(mesh);
      await change(mesh, running, withoutMigrations, active("green"));
      const there = await untilMoved(mesh, "blue", "green");
      await change(mesh, running, withoutMigrations, active("blue"));
      const back = await untilMoved(mesh, "green", "blue");
      await change(mesh, running, withoutMigrations, { orders: { connectionAgeSeconds } });
      return `green beside blue in ${seconds} s; ${preview}; ${there}; ${back}`;
    });
    const { running: left } = await imagesOf(mesh);
    require(left === running, `the pods run ${left}`);
    return `${seen}; ${orders}`;
  },
};

/** Green serves those who ask for the preview, and nobody else. */
async function previewGreen(mesh: Mesh): Promise<string> {
  const before = await callCounts(mesh);
  const early = [...before.values()].filter(({ track, calls }) => track === "green" && calls > 0);
  require(early.length === 0, "green has served calls before anybody asked for it");
  const { status } = await mesh.caller.placeOrder(120, "orders-preview");
  const { green = 0, blue = 0 } = callsBetween(before, await callCounts(mesh));
  require(status === "ORDER_STATUS_DELIVERED", `an order through the preview is ${status}`);
  require(green > 0, "the preview does not lead to green");
  require(blue > 0, "blue served nothing meanwhile");
  return `an order through the preview took ${green} calls of green`;
}

/** Waits until one colour serves nothing any more and the other one does. */
async function untilMoved(mesh: Mesh, from: Colour, to: Colour): Promise<string> {
  const start = performance.now();
  let before = await callCounts(mesh);
  for (;;) {
    await pause(quietMs);
    const now = await callCounts(mesh);
    const calls = callsBetween(before, now);
    const ms = performance.now() - start;
    if (calls[from] === 0 && (calls[to] ?? 0) > 0) {
      return `${to} alone at most ${Math.round(ms / 1_000)} s after the switch`;
    }
    if (ms > foundWithinMs) {
      throw new ClusterError(`${from} still serves ${calls[from]} calls in ${quietMs / 1_000} s, ${to} ${calls[to]}`);
    }
    before = now;
  }
}
