// W3C `traceparent` (https://www.w3.org/TR/trace-context), without an import: workflows read it as well.

/** What a `traceparent` says. */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whether the trace is kept. */
  readonly sampled: boolean;
}

const wellFormed = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})$/;
const sampledFlag = 1;

/** The parts of a `traceparent`; undefined when the text is none. */
export function parseTraceParent(text: string | undefined): TraceParent | undefined {
  const [, traceId, spanId, flags = ""] = (text && wellFormed.exec(text)) || [];
  if (!traceId || !spanId) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & sampledFlag) !== 0 };
}

/** Whether a text is a `traceparent`. */
export function isTraceParent(text: string): boolean {
  return wellFormed.test(text);
}

/** The trace's id; empty when the text is no `traceparent`. */
export function traceIdOf(text: string | undefined): string {
  return parseTraceParent(text)?.traceId ?? "";
}

/** The text of a `traceparent`. */
export function formatTraceParent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}
