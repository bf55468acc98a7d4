import { setTimeout as pause } from "node:timers/promises";
import { LoadPod, type Outcome } from "./load.ts";
import { type Mesh, require } from "./mesh.ts";

/** How long the last orders may take once no more are placed, and how long their pod may take to say so, in seconds. */
export const patience = 300;
export const settleSeconds = patience + 60;
/** How long orders are placed before and after what is done. */
const leadMs = 5_000;

/** What became of orders, in words. */
export function summary({ placed, calls, failedCalls, orders, slowestCallMs }: Outcome): string {
  const failed = Object.entries(failedCalls).map(([code, times]) => `${times} ${code}`);
  const ended = Object.entries(orders).map(([status, times]) => `${times} ${status.toLowerCase()}`);
  const failures = failed.length === 0 ? "no call failed" : `failed: ${failed.join(", ")}`;
  return `${placed} orders, ${calls} calls, ${failures}, ${ended.join(", ")}, slowest call ${slowestCallMs} ms`;
}

/**
 * Does something to the mesh while orders are placed, `mesh.rate` a second, until every one of them is delivered.
 *
 * @returns what was seen, how many orders were placed, and what became of them in words
 * @throws ClusterError when a call failed, or an order is not delivered
 */
export async function underLoad<T>(
  { cluster, image, rate }: Mesh,
  name: string,
  act: () => Promise<T>,
): Promise<{ readonly seen: T; readonly placed: number; readonly orders: string }> {
  // More than can be placed meanwhile: it is told when it is enough.
  const load = await LoadPod.start(cluster.kubectl, { name, image, count: 5_000, rate, patience });
  try {
    await pause(leadMs);
    const seen = await act();
    await pause(leadMs);
    await load.enough();
    const outcome = await load.outcome(settleSeconds);
    const orders = summary(outcome);
    const calls = Object.keys(outcome.failedCalls).length === 0;
    require(calls, `calls failed: ${orders}; ${outcome.trouble}`);
    require(outcome.lost === 0, `${outcome.lost} orders are lost: ${orders}`);
    require(outcome.orders.DELIVERED === outcome.placed, `not every order is delivered: ${orders}`);
    return { seen, placed: outcome.placed, orders };
  } finally {
    // It must not go on while others are looked at.
    await load.remove();
  }
}
