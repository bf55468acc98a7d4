import type { Attributes } from "@opentelemetry/api";
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace-base";
import { redactText } from "#platform/redact/redact-text.ts";

/** Attributes whose values come from code or from our own configuration; most of a span are of these. */
const harmless = /^(?:rpc|db|server)\./;

function redactAttributes(attributes: Attributes): void {
  for (const name in attributes) {
    const value = attributes[name];
    if (harmless.test(name)) continue;
    if (typeof value === "string") attributes[name] = redactText(value);
    else if (Array.isArray(value)) attributes[name] = value.map(redactEntry) as string[];
  }
}

function redactEntry<T>(entry: T): T | string {
  return typeof entry === "string" ? redactText(entry) : entry;
}

/**
 * Takes out of a span what must not leave the process, as the log does: whoever made the span, be it a library. Must come
 * before the processors that send.
 */
export class SpanRedaction implements SpanProcessor {
  onStart(): void {}

  onEnd({ attributes, events, links, status }: ReadableSpan): void {
    redactAttributes(attributes);
    for (const event of events) if (event.attributes) redactAttributes(event.attributes);
    for (const link of links) if (link.attributes) redactAttributes(link.attributes);
    if (status.message) status.message = redactText(status.message);
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}
