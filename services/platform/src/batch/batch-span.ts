import { type Context, ROOT_CONTEXT, type Span } from "@opentelemetry/api";
import { runSpan, startSpan, tracing, underSpan } from "#platform/trace/spans.ts";

/**
 * Runs the work that a batch of callers share. When all have the same span it runs in that; for several it is a trace of
 * its own, linked with the spans of those that are kept. Costs nothing when no spans are made.
 */
export function runShared<T>(
  name: string,
  callers: readonly { readonly span: Span | undefined }[],
  work: () => Promise<T>,
): Promise<T> {
  if (!tracing()) return work();
  const outside: Context = ROOT_CONTEXT;
  const [first] = callers;
  const spans = new Set<Span>();
  let alike = true;
  for (const { span } of callers) {
    if (span) spans.add(span);
    alike &&= span === first?.span;
  }
  if (alike || spans.size === 0) return underSpan(first?.span, work, outside);
  const links = Array.from(spans, (span) => ({ context: span.spanContext() }));
  const attributes = { "ordermesh.list.size": callers.length };
  const shared = startSpan(`batch ${name}`, { root: true, links, attributes }, outside);
  if (shared) for (const span of spans) span.addLink({ context: shared.spanContext() });
  return runSpan(shared, work);
}
