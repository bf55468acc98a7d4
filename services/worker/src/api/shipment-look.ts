import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { lookAfterShipments } from "../workflows/look-after-shipments.ts";
import type { TemporalCalls } from "./temporal-calls.ts";

/** How often is seen to it that the look is under way, in milliseconds: it may have been terminated, or never started. */
const everyMs = 120_000;

/** After its wait. One that takes longer is stuck: it ends, and another one is started. */
const longestRun = "6 hours";

/** The one workflow that looks after the parcels of those whose workers poll a task queue. */
export function lookIdOf(taskQueue: string): string {
  return `look-after-shipments:${taskQueue}`;
}

/**
 * Starts the look at parcels that nobody reports, unless it is under way; a new one begins at once. Every replica may, at any
 * time: the workflow's id is the same.
 *
 * @throws UNAVAILABLE when Temporal is away
 */
export async function startLook(calls: TemporalCalls, taskQueue: string): Promise<void> {
  await calls.within(() =>
    calls.client.workflow.start<typeof lookAfterShipments>("lookAfterShipments", {
      taskQueue,
      workflowId: lookIdOf(taskQueue),
      args: [],
      workflowRunTimeout: longestRun,
      workflowIdReusePolicy: "ALLOW_DUPLICATE",
      workflowIdConflictPolicy: "USE_EXISTING",
    }),
  );
}

/** Sees to it that the look is under way, from the start of a process on. */
export function createLookKeeper(calls: TemporalCalls, taskQueue: string, log: Pick<Logger, "error">): Relay {
  const sweep = async () => {
    await startLook(calls, taskQueue);
    return 0;
  };
  return new Relay({ name: "shipment.look", everyMs, log, sweep });
}
