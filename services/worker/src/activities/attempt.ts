import { ApplicationFailure, Context } from "@temporalio/activity";
import { TemporalFailure } from "@temporalio/common";
import { requestContext, withContext } from "#platform/context.ts";
import { traceParentOf, tracing, underSpan } from "#platform/trace/spans.ts";
import type { BatchFailure, Outcome, StepBatch } from "../workflows/engine/step-batch.ts";
import { type Activities, type InputOf, type OutputOf, type StepFacts, type StepName, steps } from "./all-steps.ts";
import type { SagaMetrics, StepOutcome } from "./metrics.ts";
import { stageAfter, stepLabel } from "./step-name.ts";
import { StepSpans } from "./step-spans.ts";
import type { FencedInput } from "./step-work.ts";

/**
 * How often a batch of many is tried that fails although its callee is there: then maybe one entry of it has a fault, and it is
 * taken apart. The others wait for an answer, and need not have all of the pauses that somebody who is away gets.
 */
const faultAttempts = 2;

type Work<N extends StepName> = (entries: FencedInput<N>[]) => Promise<Outcome<OutputOf<N>>[]>;

/**
 * Makes an activity of what is done for a batch: each attempt has its spans, its metrics, and the ids of saga and order
 * on its log lines and for whom it calls.
 */
export function asActivity<N extends StepName>(name: N, metrics: SagaMetrics, work: Work<N>): Activities[N] {
  const activity = async (batch: StepBatch<InputOf<N>>) => {
    const { entries } = batch;
    const spans = spansOf(name, batch);
    const began = performance.now();
    const note = (outcomes: Outcome<unknown>[] | undefined) =>
      count(metrics, { name, entries, outcomes, seconds: (performance.now() - began) / 1000 });
    try {
      const outcomes = await inContext(entries, spans, () => work(fenced(batch)));
      spans?.end(outcomes);
      note(outcomes);
      return outcomes;
    } catch (error) {
      // The error of the call says more than what Temporal is told.
      spans?.fail(error instanceof ApplicationFailure ? (error.cause ?? error) : error);
      note(undefined);
      throw failureOf(name, batch, error);
    }
  };
  return activity as Activities[N];
}

function fenced<N extends StepName>({ entries, fences }: StepBatch<InputOf<N>>): FencedInput<N>[] {
  return entries.map((entry, index) => ({ ...entry, fence: fences?.[index] ?? 0 }));
}

/** What an attempt fails with: for good, when the batch is to be taken apart. */
function failureOf<N extends StepName>(
  name: N,
  { entries, attemptsBefore = 0 }: StepBatch<InputOf<N>>,
  error: unknown,
) {
  const { patient = false }: StepFacts = steps[name];
  const isLast = attemptsBefore + Context.current().info.attempt >= faultAttempts;
  if (patient || entries.length === 1 || !isLast || !isFault(error)) return error;
  return ApplicationFailure.fromError(error, { nonRetryable: true });
}

/** Whether it is neither a cancellation nor a callee that did not answer. */
function isFault(error: unknown): error is Error {
  if (!(error instanceof ApplicationFailure)) return error instanceof Error && !(error instanceof TemporalFailure);
  return (error.details as [BatchFailure?] | undefined)?.[0]?.away !== true;
}

/** The spans of an attempt; undefined when nothing of it is traced. */
function spansOf<N extends StepName>(name: N, batch: StepBatch<InputOf<N>>): StepSpans | undefined {
  const workflowTrace = requestContext().traceParent;
  const { entries, traceparents, attemptsBefore = 0 } = batch;
  if (!tracing() || (workflowTrace === undefined && traceparents === undefined)) return undefined;
  const { info } = Context.current();
  return new StepSpans({
    activity: name,
    entries,
    traceparents,
    workflowTrace,
    local: info.isLocal,
    sagaId: info.workflowExecution?.workflowId ?? "",
    attempt: attemptsBefore + info.attempt,
    labelOf: (index) => stepLabel(name, entries[index] as InputOf<N>),
  });
}

function inContext<T>(
  entries: readonly { orderId: string }[],
  spans: StepSpans | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const sagaId = Context.current().info.workflowExecution?.workflowId;
  const [first, ...others] = entries;
  const orderId = others.length === 0 ? first?.orderId : undefined;
  const subject = { ...(sagaId && { "saga.id": sagaId }), ...(orderId && { "order.id": orderId }) };
  const about = { requestId: sagaId, subject };
  if (!tracing()) return withContext(about, work);
  const traceParent = traceParentOf(spans?.batch) || undefined;
  return underSpan(spans?.batch, () =>
    withContext({ ...about, traceParent }, () => (spans ? spans.run(work) : work())),
  );
}

/** One attempt in the metrics; without outcomes it failed as a whole. */
function count<N extends StepName>(
  { steps, stepDuration, batchSize, orders, over }: SagaMetrics,
  attempt: { name: N; entries: InputOf<N>[]; outcomes: Outcome<unknown>[] | undefined; seconds: number },
): void {
  const { name, entries, outcomes, seconds } = attempt;
  const byStep = new Map<string, Map<StepOutcome, number>>();
  for (const [index, entry] of entries.entries()) {
    const step = stepLabel(name, entry);
    const known = outcomes?.[index];
    const outcome = known?.kind ?? "failed";
    if (name === "settleOrder" && known?.kind === "refused" && known.refusal.reason === "EPISODE_OVER") over.inc();
    const counts = byStep.get(step) ?? new Map<StepOutcome, number>();
    byStep.set(step, counts.set(outcome, (counts.get(outcome) ?? 0) + 1));
    const stage = outcome === "done" ? stageAfter(name, entry) : undefined;
    if (stage) orders.inc({ stage });
  }
  for (const [step, counts] of byStep) {
    let size = 0;
    for (const [outcome, number] of counts) {
      steps.inc({ step, outcome }, number);
      size += number;
    }
    stepDuration.observe({ step }, seconds);
    batchSize.observe({ step }, size);
  }
}
