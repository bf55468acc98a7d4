import { Gauge, type Registry } from "prom-client";
import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { TemporalCalls } from "../api/temporal-calls.ts";
import { type FoundSchedule, ScheduleCalls } from "./schedule-calls.ts";
import { contentOf, type ScheduleMessage, toMessage } from "./schedule-message.ts";
import { type ScheduleSpec, scheduleTable } from "./schedule-table.ts";

/** How often is seen to it that Temporal's schedules are those that are declared, in milliseconds. */
const everyMs = 120_000;
/** How often a change is tried that meets another one. */
const attempts = 3;

/** What a keeper works with. */
export interface ScheduleKeeperOptions {
  readonly calls: TemporalCalls;
  readonly taskQueue: string;
  /** The names of those that are switched off. */
  readonly off: ReadonlySet<string>;
  /** Whether this process may change schedules: of several versions of the worker only the current one may. */
  readonly mayChange: () => Promise<boolean>;
  readonly registry: Registry;
  readonly log: Pick<Logger, "info" | "error">;
  /** By default those of the worker. */
  readonly table?: Readonly<Record<string, ScheduleSpec>>;
}

/** The schedule of a name, of those whose workers poll a task queue. */
export function scheduleIdOf(name: string, taskQueue: string): string {
  return `${name}:${taskQueue}`;
}

/**
 * Keeps Temporal's schedules as they are declared: makes those that are missing, sets right what differs, takes away what is not
 * declared any more. Whether one is paused and what is noted about it is left as somebody set it. Every replica may, at any time.
 */
export class ScheduleKeeper {
  readonly #options: ScheduleKeeperOptions;
  readonly #schedules: ScheduleCalls;
  readonly #metrics: ReturnType<typeof createMetrics>;
  readonly #relay: Relay;

  constructor(options: ScheduleKeeperOptions) {
    const { calls, taskQueue, registry, log } = options;
    this.#options = options;
    this.#schedules = new ScheduleCalls(calls, taskQueue);
    this.#metrics = createMetrics(registry);
    // What is not known yet is not overdue; and what never comes to be known will be.
    for (const [schedule, { everyMs: interval }] of this.#declared()) {
      this.#metrics.lastSuccess.set({ schedule }, Date.now() / 1_000);
      this.#metrics.interval.set({ schedule }, interval / 1_000);
    }
    this.#relay = new Relay({ name: "schedules", everyMs, log, sweep: () => this.keep() });
  }

  /** Begins to see to it. */
  start(): void {
    this.#relay.start();
  }

  stop(): Promise<void> {
    return this.#relay.stop();
  }

  /**
   * Does it once.
   *
   * @returns 0: there is no more to do at once
   * @throws StartError that says what to do, when this worker may not keep schedules
   */
  async keep(): Promise<0> {
    const mayChange = await this.#options.mayChange();
    const declared = this.#declared();
    for (const [name, spec] of declared) {
      const scheduleId = scheduleIdOf(name, this.#options.taskQueue);
      const found = mayChange ? await this.#agree(scheduleId, spec) : await this.#schedules.find(scheduleId);
      await this.#show(name, found);
    }
    if (mayChange) await this.#removeOthers(declared.map(([name]) => scheduleIdOf(name, this.#options.taskQueue)));
    return 0;
  }

  #declared(): [string, ScheduleSpec][] {
    const { off, table = scheduleTable } = this.#options;
    return off.has("all") ? [] : Object.entries(table).filter(([name]) => !off.has(name));
  }

  /** Has Temporal's schedule be what is declared. */
  async #agree(scheduleId: string, spec: ScheduleSpec): Promise<FoundSchedule | undefined> {
    const { taskQueue, log } = this.#options;
    const wanted = toMessage(spec, { scheduleId, taskQueue });
    for (let attempt = 1; ; attempt++) {
      const found = await this.#schedules.find(scheduleId);
      if (found && !found.isOurs) throw notOurs(scheduleId);
      if (found && contentOf(found.message) === contentOf(wanted)) return found;
      if (await this.#set(scheduleId, spec, found))
        log.info(`the schedule ${scheduleId} was ${found ? "set right" : "made"}`);
      else if (attempt === attempts)
        throw new Error(`the schedule ${scheduleId} is being changed by others all the time`);
    }
  }

  #set(scheduleId: string, spec: ScheduleSpec, found: FoundSchedule | undefined): Promise<boolean> {
    const wanted: ScheduleMessage = toMessage(spec, { scheduleId, taskQueue: this.#options.taskQueue });
    if (!found) return this.#schedules.create(scheduleId, { ...wanted, state: { notes: spec.note } });
    const { state } = found.message;
    return this.#schedules.update(scheduleId, { ...wanted, ...(state && { state }) }, found.conflictToken);
  }

  async #removeOthers(declared: readonly string[]): Promise<void> {
    for (const scheduleId of await this.#schedules.ours()) {
      if (declared.includes(scheduleId)) continue;
      await this.#schedules.remove(scheduleId);
      this.#options.log.info(`the schedule ${scheduleId} was taken away: it is not declared any more`);
    }
  }

  async #show(schedule: string, found: FoundSchedule | undefined): Promise<void> {
    const { lastSuccess, paused } = this.#metrics;
    if (!found) return;
    paused.set({ schedule }, found.message.state?.paused ? 1 : 0);
    // One that is new has had no time for a run.
    const success = await this.#schedules.lastSuccess(scheduleIdOf(schedule, this.#options.taskQueue));
    lastSuccess.set({ schedule }, Math.max(success, found.createTime) / 1_000);
  }
}

function notOurs(scheduleId: string): Error {
  return new Error(
    `there is a schedule ${scheduleId} that no worker made; delete it, or rename it, and the worker makes its own`,
  );
}

function createMetrics(registry: Registry) {
  const registers = [registry];
  const labelNames = ["schedule"] as const;
  return {
    lastSuccess: new Gauge({
      name: "worker_schedule_last_success_seconds",
      help: "When the last run of a schedule ended well, in seconds since 1970: every replica shows all of them. Before the first one when it was made, and while a replica does not know yet when that replica began.",
      labelNames,
      registers,
    }),
    interval: new Gauge({
      name: "worker_schedule_interval_seconds",
      help: "How often a schedule is to run.",
      labelNames,
      registers,
    }),
    paused: new Gauge({
      name: "worker_schedule_paused",
      help: "Whether somebody has paused a schedule: 1.",
      labelNames,
      registers,
    }),
  };
}
