import { proxyActivities } from "@temporalio/workflow";

/** What a run of a schedule came to; shown as its result. */
export interface WorkDone {
  /** How much there was to do: of what, the schedule says. */
  readonly handled: number;
}

/** The activities of schedules: each does all that there is to do now, a batch at a time, and heartbeats after each. */
export interface ScheduledActivities {
  expireHolds(): Promise<WorkDone>;
  countOrders(): Promise<WorkDone>;
}

/** The policy of steps; see decision 61. The run's own deadline ends what does not come to an end. */
const activities = proxyActivities<ScheduledActivities>({
  startToCloseTimeout: "2 minutes",
  heartbeatTimeout: "30 seconds",
  retry: { initialInterval: "1 second", backoffCoefficient: 2, maximumInterval: "1 minute", maximumAttempts: 5 },
});

/** Gives back the stock of holds that are over. */
export function expireHolds(): Promise<WorkDone> {
  return activities.expireHolds();
}

/** Counts what has happened to orders since the last run. */
export function countOrders(): Promise<WorkDone> {
  return activities.countOrders();
}

/** The workflows that schedules start. They take nothing and remember nothing: what is to be done, the services know. */
export const scheduled = { expireHolds, countOrders } as const;
