import { defaultPayloadConverter } from "@temporalio/common";
import protos from "@temporalio/proto";
import type { ScheduleSpec } from "./schedule-table.ts";

const { Duration } = protos.google.protobuf;
const { SCHEDULE_OVERLAP_POLICY_SKIP: skip } = protos.temporal.api.enums.v1.ScheduleOverlapPolicy;

/** A schedule as Temporal has it. */
export type ScheduleMessage = protos.temporal.api.schedule.v1.ISchedule;
/** What Temporal keeps beside a schedule. */
export type Memo = protos.temporal.api.common.v1.IMemo;

/** Seconds and nanoseconds, as Temporal's contract has times and durations. */
type Seconds = protos.google.protobuf.IDuration;

/** Milliseconds of a duration, or since 1970; 0 when it is not said. */
export function msOf(time: Seconds | null | undefined): number {
  return Number(time?.seconds ?? 0) * 1_000 + Math.round((time?.nanos ?? 0) / 1_000_000);
}

function durationOf(ms: number): Seconds {
  return Duration.fromObject({ seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 });
}

/** By what a schedule is known for one that a worker made, and may change and take away: it says for which task queue. */
const markName = "ordermesh";

/** What marks the schedules of those whose workers poll a task queue. It is no secret, and not encrypted. */
export function markOf(taskQueue: string): Memo {
  return { fields: { [markName]: defaultPayloadConverter.toPayload(taskQueue) ?? {} } };
}

/** Whether a schedule is one of these. */
export function isMarked(memo: Memo | null | undefined, taskQueue: string): boolean {
  const payload = memo?.fields?.[markName];
  return payload !== undefined && payload !== null && defaultPayloadConverter.fromPayload(payload) === taskQueue;
}

/** What a schedule is for Temporal, but for whether somebody has paused it. */
export function toMessage(spec: ScheduleSpec, ids: { scheduleId: string; taskQueue: string }): ScheduleMessage {
  const { workflow: name, everyMs, jitterMs, catchupMs, deadlineMs } = spec;
  return {
    spec: { interval: [{ interval: durationOf(everyMs) }], jitter: durationOf(jitterMs) },
    action: {
      startWorkflow: {
        // Temporal adds when the run was due.
        workflowId: ids.scheduleId,
        workflowType: { name },
        taskQueue: { name: ids.taskQueue },
        workflowExecutionTimeout: durationOf(deadlineMs),
      },
    },
    policies: { overlapPolicy: skip, catchupWindow: durationOf(catchupMs) },
  };
}

/** All of a schedule that is declared, as a text: two that are alike have the same. What was set otherwise by hand makes another one. */
export function contentOf({ spec, action, policies }: ScheduleMessage): string {
  const start = action?.startWorkflow;
  return JSON.stringify({
    intervals: spec?.interval?.map(({ interval, phase }) => [msOf(interval), msOf(phase)]),
    others: [spec?.calendar, spec?.structuredCalendar, spec?.cronString, spec?.excludeStructuredCalendar].map(
      (list) => list?.length ?? 0,
    ),
    ends: [spec?.startTime, spec?.endTime].map(msOf),
    jitter: msOf(spec?.jitter),
    workflow: [
      start?.workflowId,
      start?.workflowType?.name,
      start?.taskQueue?.name,
      start?.input?.payloads?.length ?? 0,
    ],
    deadline: msOf(start?.workflowExecutionTimeout),
    overlap: policies?.overlapPolicy,
    catchup: msOf(policies?.catchupWindow),
    pauses: policies?.pauseOnFailure ?? false,
  });
}
