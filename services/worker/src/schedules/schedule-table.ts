import type { scheduled } from "../workflows/scheduled-work.ts";

/** What is done again and again, and when. Times are milliseconds. */
export interface ScheduleSpec {
  /** The workflow that does it. */
  readonly workflow: keyof typeof scheduled;
  /** From one run to the next, counted from midnight UTC. */
  readonly everyMs: number;
  /** Each run begins up to so much later, at random: not everything at the full minute. */
  readonly jitterMs: number;
  /** A run that could not begin in time, because Temporal was away, is made up for by so much later; else the next one does its work. */
  readonly catchupMs: number;
  /** A run that takes longer is ended. */
  readonly deadlineMs: number;
  /** What it is for, as Temporal shows it until somebody writes something else there. */
  readonly note: string;
}

const [second, minute] = [1_000, 60_000];

/** Everything that Temporal has done at set times, by its name. Taken away from here, or switched off, it is taken from Temporal. */
export const scheduleTable = {
  "expire-holds": {
    workflow: "expireHolds",
    everyMs: 5 * minute,
    jitterMs: 30 * second,
    catchupMs: minute,
    deadlineMs: 4 * minute,
    note: "Gives back stock that is held beyond its time. Inventory does so by itself; this sees to it when it does not.",
  },
  "order-statistics": {
    workflow: "countOrders",
    everyMs: minute,
    jitterMs: 10 * second,
    catchupMs: 30 * second,
    deadlineMs: 50 * second,
    note: "Counts what has happened to orders. See docs/statistics.md.",
  },
} as const satisfies Record<string, ScheduleSpec>;

/** The name of a schedule. */
export type ScheduleName = keyof typeof scheduleTable;

/** All of them. */
export const scheduleNames = Object.keys(scheduleTable) as ScheduleName[];
