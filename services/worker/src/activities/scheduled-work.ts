import type { CallOptions } from "@connectrpc/connect";
import { Context } from "@temporalio/activity";
import { ExpireHoldsRequestSchema } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { RefreshOrderStatisticsRequestSchema } from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import { whole } from "#platform/whole.ts";
import type { ScheduledActivities, WorkDone } from "../workflows/scheduled-work.ts";
import { guarded } from "./batch-call.ts";
import type { ServiceClients } from "./step-work.ts";

/** One call: how much it did, and whether there is more. */
type Round = (options: CallOptions) => Promise<WorkDone & { readonly more: boolean }>;

/** The activities of schedules. What a call has done, the service has committed: whoever repeats one finds what is left. */
export function createScheduledActivities({
  inventory,
  statistics,
}: Pick<ServiceClients, "inventory" | "statistics">): ScheduledActivities {
  const works: Readonly<Record<keyof ScheduledActivities, Round>> = {
    async expireHolds(options) {
      const { orders: handled, more } = await inventory.expireHolds(whole(ExpireHoldsRequestSchema, {}), options);
      return { handled, more };
    },
    async countOrders(options) {
      const request = whole(RefreshOrderStatisticsRequestSchema, {});
      const { events, more } = await statistics.refreshOrderStatistics(request, options);
      return { handled: Number(events), more };
    },
  };
  const all = Object.entries(works).map(([name, round]) => [name, () => workThrough(round)]);
  return Object.fromEntries(all) as ScheduledActivities;
}

/**
 * Calls again and again while there is more to do, and heartbeats with what was done so far: when the worker dies, the next
 * attempt goes on counting from there. What does not come to its end in the time of the activity is left for the next run.
 */
async function workThrough(round: Round): Promise<WorkDone> {
  const context = Context.current();
  const endMs = Date.now() + context.info.startToCloseTimeoutMs / 2;
  const before = context.info.heartbeatDetails as WorkDone | undefined;
  let handled = before?.handled ?? 0;
  for (;;) {
    const { handled: count, more } = await guarded(round);
    handled += count;
    context.heartbeat({ handled } satisfies WorkDone);
    if (!more || Date.now() >= endMs) return { handled };
  }
}
