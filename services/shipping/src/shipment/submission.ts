import { type AuditOrigin, auditOrigin } from "#platform/audit/audit-entry.ts";
import { activeTraceParent, type Begun } from "#platform/trace/spans.ts";

/** By whom and in which trace something was submitted; what serves many callers at once runs in the context of none. */
export interface Submission {
  readonly origin: AuditOrigin;
  /** W3C `traceparent` of the running span; empty when it is not kept. */
  readonly traceparent: string;
}

/** The submission of what the running call asks for. */
export function submission(requestId?: string): Submission {
  return { origin: auditOrigin(requestId), traceparent: activeTraceParent() ?? "" };
}

/** What the service does by itself, for a shipment that was begun in some trace. */
export function ownOrigin(trace: Begun): AuditOrigin {
  return { ...auditOrigin("", "service:shipping"), traceId: traceIdOf(trace) };
}

/** The trace in which something was begun; empty when it was not kept. */
export function traceIdOf({ traceparent }: Begun): string {
  return traceparent?.split("-")[1] ?? "";
}
