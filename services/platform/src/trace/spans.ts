import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  createTraceState,
  INVALID_SPAN_CONTEXT,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { randomBytes } from "#platform/random-bytes.ts";
import { formatTraceParent, isTraceParent, parseTraceParent } from "#platform/trace-parent.ts";
import { failSpan } from "./span-error.ts";

/** How this process makes spans. */
export interface Tracing {
  readonly tracer: Tracer;
  /** The share of new traces that is kept, from 0 to 1. */
  readonly ratio: number;
  /** Work that is resumed later than this is a trace of its own, linked to the first one; milliseconds. */
  readonly maxAgeMs: number;
}

/** In a context with this key it is already decided that the new trace is kept. */
export const chosen = createContextKey("ordermesh: the new trace is kept");

/** Undefined while this process makes no spans, and then nothing here costs anything. */
let active: Tracing | undefined;

/** Begins to make spans, or ends it with undefined. For `telemetry.ts` alone. */
export function useTracing(tracing: Tracing | undefined): void {
  active = tracing;
}

/** Whether this process makes spans. */
export function tracing(): boolean {
  return active !== undefined;
}

/** What runs in this context belongs to a trace that is not kept: nothing in it makes a span, nor begins a trace. */
const notSampled = trace.setSpan(ROOT_CONTEXT, trace.wrapSpanContext(INVALID_SPAN_CONTEXT));

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

/**
 * A span that the caller ends with {@link endSpan}: a child of the span in `parent`, or of none with `root`. A new trace
 * is kept when one of the spans that it links to is, without links by ratio. Undefined when the trace is not kept or this
 * process makes no spans; run the work in {@link underSpan} all the same, so that nothing in it begins a trace.
 */
export function startSpan(name: string, options: SpanOptions, parent = context.active()): Span | undefined {
  if (!active) return undefined;
  const above = options.root ? undefined : trace.getSpan(parent);
  if (above) return isSampled(above.spanContext()) ? active.tracer.startSpan(name, options, parent) : undefined;
  const keep = options.links?.length
    ? options.links.some((link) => isSampled(link.context))
    : // biome-ignore lint/plugin/random: chooses traces to keep, and hides nothing
      Math.random() < active.ratio;
  return keep ? active.tracer.startSpan(name, options, parent.setValue(chosen, true)) : undefined;
}

/**
 * The span of a call that another process made, as the child of the caller's. The caller decides whether it is kept;
 * without a (well-formed) `traceparent` a new trace begins. See {@link startSpan}.
 */
export function startServedSpan(
  name: string,
  options: SpanOptions,
  caller: { readonly traceparent: string | undefined; readonly tracestate: string | undefined },
): Span | undefined {
  if (!active) return undefined;
  const { traceparent, tracestate } = caller;
  if (!traceparent || !isTraceParent(traceparent)) return startSpan(name, options, ROOT_CONTEXT);
  const above = sampledContext(traceparent);
  if (!above) return undefined;
  if (tracestate) above.traceState = createTraceState(tracestate);
  return startSpan(name, options, trace.setSpanContext(ROOT_CONTEXT, above));
}

/** Adds what is known by now to the running span, if it is kept. */
export function annotateSpan(attributes: Attributes): void {
  activeSpan()?.setAttributes(attributes);
}

/** Runs `fn` with the span as the parent of what it starts; without a span, so that it starts none. */
export function underSpan<T>(span: Span | undefined, fn: () => T, parent = context.active()): T {
  if (span) return context.with(trace.setSpan(parent, span), fn);
  return active ? context.with(notSampled, fn) : fn();
}

/** Ends a span as its work ended. An error leaves its reason, never personal data; see {@link failSpan}. */
export function endSpan(span: Span | undefined, error?: unknown): void {
  if (!span) return;
  if (error !== undefined) failSpan(span, error);
  span.end();
}

/** Runs `fn` in a given span and ends it; without a span it just runs `fn`, in which no trace begins. */
export async function runSpan<T>(span: Span | undefined, fn: () => Promise<T>): Promise<T> {
  if (!span) return underSpan(undefined, fn);
  try {
    const result = await underSpan(span, fn);
    span.end();
    return result;
  } catch (error) {
    endSpan(span, error);
    throw error;
  }
}

/** Runs `fn` in a span of its own; without tracing it just runs `fn`. */
export function inSpan<T>(name: string, attributes: Attributes, fn: () => Promise<T>): Promise<T> {
  return active ? runSpan(startSpan(name, { attributes }), fn) : fn();
}

/** The running span when it is kept. */
export function activeSpan(): Span | undefined {
  const span = active && trace.getActiveSpan();
  return span && isSampled(span.spanContext()) ? span : undefined;
}

/** The running span as W3C `traceparent`; undefined when there is none that is kept. */
export function activeTraceParent(): string | undefined {
  return traceParentOf(activeSpan()) || undefined;
}

/** The ids of the running span; undefined when there is none that is kept. */
export function activeSpanIds(): { traceId: string; spanId: string } | undefined {
  return activeSpan()?.spanContext();
}

/** W3C `traceparent` of a span; "" when there is none or it is not kept. */
export function traceParentOf(span: Span | undefined): string {
  const ids = span?.spanContext();
  return ids && isSampled(ids) ? formatTraceParent({ ...ids, sampled: true }) : "";
}

/** A new W3C `traceparent` that says: not sampled, so that no callee decides otherwise. Undefined when no spans are made. */
export function notKeptTraceParent(): string | undefined {
  if (!active) return undefined;
  const ids = randomBytes(24).toString("hex");
  return formatTraceParent({ traceId: ids.slice(0, 32), spanId: ids.slice(32), sampled: false });
}

function sampledContext(traceparent: string | undefined): SpanContext | undefined {
  const ids = active && parseTraceParent(traceparent);
  if (!ids?.sampled) return undefined;
  return { traceId: ids.traceId, spanId: ids.spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
}

/** The context of a W3C `traceparent`; undefined when it is empty, malformed or not sampled, or no spans are made. */
export function sampledParent(traceparent: string | undefined): Context | undefined {
  const parent = sampledContext(traceparent);
  return parent && trace.setSpanContext(ROOT_CONTEXT, parent);
}

/** Links to the sampled ones of these; `[]` when there is none or no spans are made. */
export function linksTo(traceparents: Iterable<string | undefined>): Link[] {
  const links: Link[] = [];
  if (!active) return links;
  for (const traceparent of traceparents) {
    const context = sampledContext(traceparent);
    if (context) links.push({ context });
  }
  return links;
}

/**
 * The span of work that is done for several traces at once: for one it is its child; for more it is a trace of its own,
 * linked to those that are kept. Undefined when none of them is, or no spans are made.
 */
export function startBatchSpan(
  name: string,
  options: SpanOptions,
  traceparents: readonly (string | undefined)[],
): Span | undefined {
  const links = linksTo(traceparents);
  const first = links[0];
  if (!first) return undefined;
  if (traceparents.length === 1) return startSpan(name, options, trace.setSpanContext(ROOT_CONTEXT, first.context));
  return startSpan(name, { ...options, root: true, links }, ROOT_CONTEXT);
}

/** Work that was begun earlier, and what its going on is called. */
export interface Resumed extends SpanOptions {
  readonly name: string;
}

/** Where work was begun that goes on now. */
export interface Begun {
  /** W3C `traceparent`; empty when the work was not traced. */
  readonly traceparent: string | undefined;
  readonly time: Date;
}

/** Whether work that was begun then goes on in its own trace: it is younger than `TRACE_MAX_AGE_MS`, or no spans are made. */
export function isYoung(time: Date): boolean {
  return !active || Date.now() - time.getTime() < active.maxAgeMs;
}

/**
 * The span of work that was begun earlier, for the caller to end: a child of its trace while that is younger than
 * `TRACE_MAX_AGE_MS`, then a new trace that is linked to it as well. Undefined when the first trace is not kept, or no
 * spans are made.
 */
export function startResumed({ traceparent, time }: Begun, { name, ...options }: Resumed): Span | undefined {
  const parent = sampledContext(traceparent);
  if (!active || !parent) return undefined;
  if (isYoung(time)) return startSpan(name, options, trace.setSpanContext(ROOT_CONTEXT, parent));
  const links = [...(options.links ?? []), { context: parent }];
  return startSpan(name, { ...options, root: true, links }, ROOT_CONTEXT);
}

/**
 * Takes up the trace of work that was begun earlier, in a span of {@link startResumed} that it ends. When the first trace
 * is not kept, or no spans are made, it just runs `fn`.
 */
export function resumeTrace<T>(begun: Begun, resumed: Resumed, fn: () => Promise<T>): Promise<T> {
  return active ? runSpan(startResumed(begun, resumed), fn) : fn();
}
