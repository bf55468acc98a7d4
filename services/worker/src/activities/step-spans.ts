import { AsyncLocalStorage } from "node:async_hooks";
import type { Link, Span } from "@opentelemetry/api";
import { withContext } from "#platform/context.ts";
import { isId, timeOf } from "#platform/id.ts";
import {
  endSpan,
  linksTo,
  notKeptTraceParent,
  startBatchSpan,
  startResumed,
  traceParentOf,
  tracing,
  underSpan,
} from "#platform/trace/spans.ts";
import { traceIdOf } from "#platform/trace-parent.ts";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import { type EntryKey, keyOf } from "./entry-key.ts";
import type { StepLabel } from "./step-name.ts";

/** One attempt of a step's batch, as its spans tell it. */
export interface AttemptFacts {
  readonly activity: string;
  readonly sagaId: string;
  /** From 1. */
  readonly attempt: number;
  /** Whether it runs inside of a workflow task. */
  readonly local: boolean;
  /** Trace context of the workflow; undefined when it is not traced. */
  readonly workflowTrace: string | undefined;
  readonly entries: readonly EntryKey[];
  /** Trace context of the order of each entry, "" where it is not kept; absent when none is. */
  readonly traceparents: readonly string[] | undefined;
  readonly labelOf: (index: number) => StepLabel;
}

const running = new AsyncLocalStorage<StepSpans | undefined>();

/** The trace contexts that go along with entries of the running attempt; `[]` when none of them is traced. */
export function traceparentsOf(entries: readonly EntryKey[]): string[] {
  return running.getStore()?.traceparentsOf(entries) ?? [];
}

/** Runs work that no trace shall have, neither here nor where it calls. */
export function outsideOfTraces<T>(work: () => Promise<T>): Promise<T> {
  if (!tracing()) return work();
  const traceParent = notKeptTraceParent();
  return running.run(undefined, () => underSpan(undefined, () => withContext({ traceParent }, work)));
}

/** When a workflow was begun: its id says it. */
function beginOf(sagaId: string): Date {
  return isId(sagaId) ? timeOf(sagaId) : new Date();
}

/**
 * The spans of one attempt: one of the batch, in the workflow's trace, and one for each order that is traced, in its own
 * trace and linked to the batch's. Hours after the workflow was begun they begin new traces, linked to the first ones.
 */
export class StepSpans {
  /** The span of the batch; undefined when no trace that it belongs to is kept. */
  readonly batch: Span | undefined;
  readonly #steps: (Span | undefined)[];
  readonly #traceparents = new Map<string, string>();

  constructor(facts: AttemptFacts) {
    this.batch = startBatch(facts);
    const links = this.batch ? [{ context: this.batch.spanContext() }] : [];
    this.#steps = (facts.traceparents ?? []).map((traceparent, index) =>
      startStep(facts, { traceparent, index, links }),
    );
    for (const [index, span] of this.#steps.entries()) {
      const entry = facts.entries[index];
      const traceparent = traceParentOf(span);
      if (!entry || !traceparent) continue;
      this.#traceparents.set(keyOf(entry), traceparent);
      // Some calls are about the order of several parcels: they go to the first one's trace.
      if (!this.#traceparents.has(entry.orderId)) this.#traceparents.set(entry.orderId, traceparent);
    }
  }

  /** Runs the attempt's work, which finds the trace contexts of its entries. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#traceparents.size > 0 ? running.run(this, work) : work();
  }

  traceparentsOf(entries: readonly EntryKey[]): string[] {
    const known = entries.map(
      (entry) => this.#traceparents.get(keyOf(entry)) ?? this.#traceparents.get(entry.orderId) ?? "",
    );
    return known.some((traceparent) => traceparent !== "") ? known : [];
  }

  /** The attempt has an outcome for each entry. */
  end(outcomes: readonly Outcome<unknown>[]): void {
    for (const [index, span] of this.#steps.entries()) {
      const outcome = outcomes[index];
      if (!span || !outcome) continue;
      span.setAttribute("ordermesh.outcome", outcome.kind);
      if (outcome.kind === "refused") span.setAttribute("error.type", outcome.refusal.reason);
      endSpan(span);
    }
    endSpan(this.batch);
  }

  /** The attempt failed as a whole. */
  fail(error: unknown): void {
    for (const span of [...this.#steps, this.batch]) {
      span?.setAttribute("ordermesh.outcome", "failed");
      endSpan(span, error);
    }
  }
}

function startBatch(facts: AttemptFacts): Span | undefined {
  const { activity: name, entries, traceparents = [], workflowTrace, sagaId, attempt, local } = facts;
  const attributes = {
    "saga.id": sagaId,
    "ordermesh.list.size": entries.length,
    "ordermesh.attempt": attempt,
    "temporal.activity.local": local,
  };
  if (!workflowTrace) return startBatchSpan(name, { attributes }, traceparents);
  // A batch of one runs in its order's trace: a link would lead to where it is.
  const links = linksTo(traceparents.filter((traceparent) => traceIdOf(traceparent) !== traceIdOf(workflowTrace)));
  return startResumed({ traceparent: workflowTrace, time: beginOf(sagaId) }, { name, attributes, links });
}

function startStep(
  { entries, sagaId, attempt, labelOf }: AttemptFacts,
  { traceparent, index, links }: { traceparent: string; index: number; links: Link[] },
): Span | undefined {
  const entry = entries[index];
  if (!entry || traceparent === "") return undefined;
  const name = labelOf(index);
  const attributes = {
    "order.id": entry.orderId,
    "saga.id": sagaId,
    "ordermesh.step": name,
    "ordermesh.list.size": entries.length,
    "ordermesh.attempt": attempt,
    ...(entry.locationId && { "ordermesh.location": entry.locationId }),
  };
  return startResumed({ traceparent, time: beginOf(sagaId) }, { name, attributes, links });
}
