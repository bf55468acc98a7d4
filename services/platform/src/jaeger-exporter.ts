import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { JaegerExporter } from "@opentelemetry/exporter-jaeger";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";

const serviceName = "service.name";

/**
 * Sends spans to a Jaeger collector, and says once with each batch what all spans of the process have in common. By itself
 * the exporter repeats it in every span, which is a third of its work, and replicas look to Jaeger like one process.
 */
export class ProcessJaegerExporter implements SpanExporter {
  readonly #endpoint: string;
  #exporter: JaegerExporter | undefined;
  #named: Resource | undefined;

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
    this.#exporter ??= this.#open(first.resource);
    this.#exporter.export(
      batch.map((span) => bare(span, this.#named)),
      done,
    );
  }

  #open({ attributes }: Resource): JaegerExporter {
    this.#named = resourceFromAttributes({ [serviceName]: attributes[serviceName] });
    const common = Object.entries(attributes).filter(([key]) => key !== serviceName);
    const tags = common.map(([key, value]) => ({ key, value: String(value) }));
    return new JaegerExporter({ endpoint: this.#endpoint, tags });
  }

  async shutdown(): Promise<void> {
    await this.#exporter?.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter?.forceFlush();
  }
}

/** What the exporter reads of a span. Written out: a copy of all its fields, or an heir, takes as long as the sending. */
function bare(span: ReadableSpan, resource: Resource | undefined): ReadableSpan {
  const { name, kind, startTime, duration, status, attributes, links, events, parentSpanContext } = span;
  const { droppedAttributesCount, droppedEventsCount, droppedLinksCount } = span;
  return {
    name,
    kind,
    startTime,
    duration,
    status,
    attributes,
    links,
    events,
    parentSpanContext,
    droppedAttributesCount,
    droppedEventsCount,
    droppedLinksCount,
    spanContext: () => span.spanContext(),
    resource,
  } as ReadableSpan;
}
