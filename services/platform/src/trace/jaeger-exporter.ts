import type { SpanContext } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { JaegerExporter } from "@opentelemetry/exporter-jaeger";
import { emptyResource } from "@opentelemetry/resources";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";
import { JaegerSender } from "./jaeger-sender.ts";

/**
 * Sends spans to a Jaeger collector, and says once with each batch what all spans of the process have in common. By itself
 * the exporter repeats it in every span, and replicas look to Jaeger like one process.
 */
export class ProcessJaegerExporter implements SpanExporter {
  readonly #endpoint: string;
  #exporter: JaegerExporter | undefined;

  /** @param endpoint the collector's URL for Thrift over HTTP */
  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  export(batch: ReadableSpan[], done: (result: ExportResult) => void): void {
    const [first] = batch;
    if (!first) {
      done({ code: ExportResultCode.SUCCESS });
      return;
    }
    this.#exporter ??= this.#open(first);
    this.#exporter.export(batch.map(bare), done);
  }

  #open({ resource }: ReadableSpan): JaegerExporter {
    const texts = Object.entries(resource.attributes).map(([key, value]) => [key, String(value)] as const);
    const { "service.name": name = "", ...attributes } = Object.fromEntries(texts);
    const sender = new JaegerSender(this.#endpoint, name, attributes);
    // It makes a sender of its own when it has none, and has no option for another one.
    return Object.assign(new JaegerExporter({ endpoint: this.#endpoint }), { _sender: sender });
  }

  async shutdown(): Promise<void> {
    await this.#exporter?.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter?.forceFlush();
  }
}

const resource = emptyResource();

/**
 * A trace id as bytes, for the exporter, which fills it up, cuts it in two and makes bytes of the halves. Of what is bytes
 * already it does so at once: ids in digits are half of what it takes for a span.
 */
class TraceIdBytes {
  readonly #bytes: Buffer;

  constructor(digits: string) {
    this.#bytes = Buffer.from(digits, "hex");
  }

  padStart(): this {
    return this;
  }

  /** @param start and end count digits */
  slice(start: number, end = 32): Buffer {
    return this.#bytes.subarray(start / 2, end / 2);
  }
}

function idBytes({ traceId, spanId, traceFlags }: SpanContext): SpanContext {
  const bytes = { traceId: new TraceIdBytes(traceId), spanId: Buffer.from(spanId, "hex"), traceFlags };
  return bytes as unknown as SpanContext;
}

/** What the exporter reads of a span. Written out: a copy of all its fields, or an heir, takes as long as the sending. */
function bare(span: ReadableSpan): ReadableSpan {
  const { name, kind, startTime, duration, status, attributes, links, events, parentSpanContext } = span;
  const { droppedAttributesCount, droppedEventsCount, droppedLinksCount } = span;
  const ids = idBytes(span.spanContext());
  return {
    name,
    kind,
    startTime,
    duration,
    status,
    attributes,
    links: links.map(({ context }) => ({ context: idBytes(context) })),
    events,
    parentSpanContext: parentSpanContext && idBytes(parentSpanContext),
    droppedAttributesCount,
    droppedEventsCount,
    droppedLinksCount,
    spanContext: () => ids,
    resource,
  } as unknown as ReadableSpan;
}
