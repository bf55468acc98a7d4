import { SpanKind } from "@opentelemetry/api";
import type { WorkflowClientInterceptor } from "@temporalio/client";
import { defaultPayloadConverter, type Payload } from "@temporalio/common";
import type { ActivityInterceptorsFactory, InjectedSinks } from "@temporalio/worker";
import { withContext } from "#platform/context.ts";
import { activeSpan, runSpan, startResumed, startSpan, traceParentOf } from "#platform/trace/spans.ts";
import { type TraceSinks, traceHeader } from "../workflows/engine/trace-header.ts";

type Headers = Record<string, Payload>;

/** The running trace as a header of Temporal; none when it is not kept. */
function headers(): Headers {
  const traceparent = traceParentOf(activeSpan());
  return traceparent ? { [traceHeader]: defaultPayloadConverter.toPayload({ traceparent }) } : {};
}

/** The `traceparent` of a header; undefined when there is none, or when others wrote it who do it otherwise. */
function traceParentIn(header: Payload | null | undefined): string | undefined {
  if (!header) return undefined;
  try {
    const carrier: unknown = defaultPayloadConverter.fromPayload(header);
    const known = typeof carrier === "object" && carrier !== null && "traceparent" in carrier;
    return known && typeof carrier.traceparent === "string" ? carrier.traceparent : undefined;
  } catch {
    return undefined;
  }
}

/** A call of Temporal in the running trace; what is not traced begins no trace here. */
function calling<T>(name: string, workflowId: string | undefined, call: () => Promise<T>): Promise<T> {
  if (!activeSpan()) return call();
  const attributes = { "peer.service": "temporal", ...(workflowId && { "saga.id": workflowId }) };
  return runSpan(startSpan(`temporal ${name}`, { kind: SpanKind.CLIENT, attributes }), call);
}

/** Spans of what is asked of Temporal; the trace that starts a workflow goes along with it. */
export const traceClient: WorkflowClientInterceptor = {
  startWithDetails: (input, next) =>
    calling("start", input.options.workflowId, () => next({ ...input, headers: { ...input.headers, ...headers() } })),
  signal: (input, next) => calling("signal", input.workflowExecution.workflowId, () => next(input)),
  startUpdate: (input, next) => calling("update", input.workflowExecution.workflowId, () => next(input)),
  query: (input, next) => calling("query", input.workflowExecution.workflowId, () => next(input)),
};

/** Runs an activity in the trace that its workflow was started with; what it does there is up to it. */
export const traceActivity: ActivityInterceptorsFactory = () => ({
  inbound: {
    execute(input, next) {
      const traceParent = traceParentIn(input.headers[traceHeader]);
      return traceParent ? withContext({ traceParent }, () => next(input)) : next(input);
    },
  },
});

/**
 * Spans of workflow tasks. Each begins when the server handed the task out (a workflow's clock stands still while it
 * runs) and ends when the workflow came to rest.
 */
export const traceSinks: InjectedSinks<TraceSinks> = {
  traces: {
    task: {
      fn({ workflowType, workflowId, startTime, historyLength }, header, jobs, startMs) {
        const span = startResumed(
          { traceparent: traceParentIn(header), time: startTime },
          {
            name: `${workflowType} task`,
            startTime: Math.min(startMs, Date.now()),
            attributes: { "saga.id": workflowId, "temporal.jobs": jobs, "temporal.history.length": historyLength },
          },
        );
        span?.end();
      },
    },
  },
};
