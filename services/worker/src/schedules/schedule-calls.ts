import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { isGrpcServiceError } from "@temporalio/client";
import { StartError } from "#platform/process/startup.ts";
import type { TemporalCalls } from "../api/temporal-calls.ts";
import { isMarked, markOf, msOf, type ScheduleMessage } from "./schedule-message.ts";

/** A schedule that Temporal has. */
export interface FoundSchedule {
  readonly message: ScheduleMessage;
  /** Whether a worker of this task queue made it. */
  readonly isOurs: boolean;
  /** Milliseconds since 1970. */
  readonly createTime: number;
  /** Refuses a change of what has been changed since. */
  readonly conflictToken: Uint8Array;
}

/** Without the rights of a writer; and a Temporal that has no schedules. */
const refusals: readonly number[] = [status.PERMISSION_DENIED, status.UNAUTHENTICATED, status.UNIMPLEMENTED];
/** Schedules of a namespace that are looked through for those that are not declared any more: in so many pages at most. */
const maxPages = 50;

/** The calls of Temporal about schedules of one task queue. */
export class ScheduleCalls {
  readonly #calls: TemporalCalls;
  readonly #taskQueue: string;

  constructor(calls: TemporalCalls, taskQueue: string) {
    this.#calls = calls;
    this.#taskQueue = taskQueue;
  }

  /** Undefined: there is none. */
  async find(scheduleId: string): Promise<FoundSchedule | undefined> {
    const { namespace, workflowService } = this.#client;
    const found = await this.#ask(() => workflowService.describeSchedule({ namespace, scheduleId }), status.NOT_FOUND);
    if (!found) return undefined;
    const { schedule, memo, info, conflictToken } = found;
    const isOurs = isMarked(memo, this.#taskQueue);
    return { message: schedule ?? {}, isOurs, createTime: msOf(info?.createTime), conflictToken };
  }

  /** Returns false when somebody else was faster. */
  async create(scheduleId: string, schedule: ScheduleMessage): Promise<boolean> {
    const { namespace, workflowService, identity } = this.#client;
    const request = {
      namespace,
      scheduleId,
      schedule,
      identity,
      requestId: randomUUID(),
      memo: markOf(this.#taskQueue),
    };
    return (await this.#ask(() => workflowService.createSchedule(request), status.ALREADY_EXISTS)) !== undefined;
  }

  /** Returns false when it has been changed since it was found: paused, for example. */
  async update(scheduleId: string, schedule: ScheduleMessage, conflictToken: Uint8Array): Promise<boolean> {
    const { namespace, workflowService, identity } = this.#client;
    const request = { namespace, scheduleId, schedule, conflictToken, identity, requestId: randomUUID() };
    const { NOT_FOUND, FAILED_PRECONDITION } = status;
    const done = await this.#ask(() => workflowService.updateSchedule(request), NOT_FOUND, FAILED_PRECONDITION);
    return done !== undefined;
  }

  async remove(scheduleId: string): Promise<void> {
    const { namespace, workflowService, identity } = this.#client;
    await this.#ask(() => workflowService.deleteSchedule({ namespace, scheduleId, identity }), status.NOT_FOUND);
  }

  /** The ids of those that workers of this task queue made, as far as Temporal's lists have them yet. */
  async ours(): Promise<string[]> {
    const { namespace, workflowService } = this.#client;
    const ids: string[] = [];
    let nextPageToken: Uint8Array | undefined;
    for (let pages = 0; pages < maxPages; pages++) {
      const request = { namespace, maximumPageSize: 100, ...(nextPageToken && { nextPageToken }) };
      const page = await this.#ask(() => workflowService.listSchedules(request));
      for (const { scheduleId, memo } of page?.schedules ?? []) {
        if (scheduleId && isMarked(memo, this.#taskQueue)) ids.push(scheduleId);
      }
      nextPageToken = page?.nextPageToken;
      if (!nextPageToken?.length) break;
    }
    return ids;
  }

  /** When the last run of a schedule ended well, in milliseconds since 1970; 0 when none did, as far back as workflows are kept. */
  async lastSuccess(scheduleId: string): Promise<number> {
    const { namespace, workflowService } = this.#client;
    const query = `TemporalScheduledById = ${JSON.stringify(scheduleId)} AND ExecutionStatus = "Completed"`;
    // Temporal lists what closed last first.
    const page = await this.#ask(() => workflowService.listWorkflowExecutions({ namespace, query, pageSize: 1 }));
    return msOf(page?.executions[0]?.closeTime);
  }

  get #client() {
    const { workflowService, options } = this.#calls.client;
    return { workflowService, namespace: options.namespace, identity: options.identity };
  }

  /** Undefined when the answer is one of these codes. @throws StartError that says what to do, when this worker may not */
  async #ask<T>(call: () => Promise<T>, ...expected: number[]): Promise<T | undefined> {
    try {
      return await this.#calls.within(call);
    } catch (error) {
      const code = isGrpcServiceError(error) ? error.code : undefined;
      if (code !== undefined && expected.includes(code)) return undefined;
      if (code === undefined || !refusals.includes(code)) throw error;
      const message = `Temporal refuses to let this worker keep schedules in the namespace ${this.#client.namespace}; it has to be a writer of it, or SCHEDULES_OFF=all`;
      throw new StartError(message, { cause: error });
    }
  }
}
