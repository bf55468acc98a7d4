import { type AuditOrigin, auditOrigin } from "#platform/audit/audit-entry.ts";
import { requestContext } from "#platform/context.ts";

/** Who wanted an operation, and in which trace: kept with it, for whoever carries it on. */
export interface Source {
  readonly actor: string;
  readonly requestId: string;
  /** W3C trace context; empty when the request was not traced. */
  readonly traceparent: string;
}

/** An input together with who wants it. */
export type Submitted<I> = I & { readonly source: Source };

/** The source of what the running call wants. */
export function currentSource(requestId: string): Source {
  const { actor, requestId: harmless } = auditOrigin(requestId);
  return { actor, requestId: harmless, traceparent: requestContext().traceParent ?? "" };
}

/** What the audit log says of a source. */
export function originOf({ actor, requestId, traceparent }: Source): AuditOrigin {
  return { actor, requestId, traceId: traceparent.slice(3, 35) };
}
