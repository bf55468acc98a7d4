// Makes spans in this process and keeps them, for tests of what is traced.
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { recordSpans } from "#platform/trace/telemetry.ts";

/** The spans of this process, as they end. */
export interface KeptSpans {
  /** All that have ended, in this order. */
  all(): ReadableSpan[];
  /** The only one with this name; throws when there is none or more. */
  one(name: string): ReadableSpan;
  reset(): void;
  /** No spans are made after it. */
  stop(): Promise<void>;
}

/** Begins to make spans; `ratio` is the share of new traces that is kept. */
export async function keepSpans(ratio = 1): Promise<KeptSpans> {
  const exporter = new InMemorySpanExporter();
  const telemetry = await recordSpans("test", [new SimpleSpanProcessor(exporter)], { ratio });
  const all = (): ReadableSpan[] => exporter.getFinishedSpans();
  const one = (name: string): ReadableSpan => {
    const found = all().filter((span) => span.name === name);
    if (found.length === 1 && found[0]) return found[0];
    throw new Error(`${found.length} spans are called ${name}: ${all().map((span) => span.name)}`);
  };
  return { all, one, reset: () => exporter.reset(), stop: () => telemetry.shutdown() };
}
