import { type Payload, proxySinks, type Sinks, type WorkflowInterceptors, workflowInfo } from "@temporalio/workflow";

/** Where the trace context travels: the header that Temporal's own tracing uses, so that its tools understand it. */
export const traceHeader = "_tracer-data";

/** What workflows tell about themselves; only those whose trace is kept. */
export interface TraceSinks extends Sinks {
  traces: {
    /**
     * A part of a workflow task has run.
     *
     * @param header  the payload of {@link traceHeader}
     * @param jobs    what it was about, for example "initializeWorkflow", "resolveActivity"
     * @param startMs when it began, milliseconds since 1970
     */
    task(header: Payload, jobs: string[], startMs: number): void;
  };
}

/** What comes and goes by itself, and is nothing that the workflow does. */
const silent: ReadonlySet<string> = new Set(["queryWorkflow", "removeFromCache", "notifyHasPatch", "updateRandomSeed"]);

function kindOf(job: object): string {
  return "variant" in job ? String(job.variant) : "";
}

/**
 * Hands the trace context that a workflow was started with to its activities and to its next run, and tells of each of its
 * turns, but not of those that are replayed. Without a trace context it does nothing. No span is made in here: the spans
 * are made outside, where the trace is known and the clock is real.
 */
export const interceptors = (): WorkflowInterceptors => {
  const { traces } = proxySinks<TraceSinks>();
  let header: Payload | undefined;
  let jobs: string[] = [];
  const along = <I extends { headers: Record<string, Payload> }>(input: I): I =>
    header ? { ...input, headers: { ...input.headers, [traceHeader]: header } } : input;
  return {
    inbound: [
      {
        execute(input, next) {
          header = input.headers[traceHeader];
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(along(input)),
        scheduleLocalActivity: (input, next) => next(along(input)),
        continueAsNew: (input, next) => next(along(input)),
      },
    ],
    internals: [
      {
        activate(input, next) {
          // Before: the SDK takes the first job off the list. Whether it brings a header is known afterwards.
          const kinds = input.activation.jobs?.map(kindOf) ?? [];
          next(input);
          if (header && !workflowInfo().unsafe.isReplaying) jobs.push(...kinds.filter((kind) => !silent.has(kind)));
        },
        concludeActivation(input, next) {
          const told = jobs;
          jobs = [];
          if (header && told.length > 0) traces.task(header, [...new Set(told)], Date.now());
          return next(input);
        },
      },
    ],
  };
};
