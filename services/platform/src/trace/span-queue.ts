import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { spans as spansTotal, waitingSpans } from "#platform/metrics/process-metrics.ts";

/** How spans wait and go. Times are milliseconds. */
export interface QueueOptions {
  /** In metrics. */
  readonly name: string;
  readonly exporter: SpanExporter;
  /** Spans that may wait; more are dropped. */
  readonly maxWaiting: number;
  /** Spans that go together. */
  readonly maxBatch: number;
  /** How long a span waits at most before it goes. */
  readonly delayMs: number;
  /** How long one batch may take. */
  readonly timeoutMs: number;
}

/** A batch processor that tells how much waits in it, and counts what did not because its queue was full. */
export class SpanQueue implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #maxWaiting: number;
  readonly #dropped;
  readonly #forget: () => void;
  #waiting = 0;
  #open = true;

  constructor({ name, exporter, maxWaiting, maxBatch, delayMs, timeoutMs }: QueueOptions) {
    this.#maxWaiting = maxWaiting;
    this.#dropped = spansTotal.labels({ exporter: name, outcome: "dropped" });
    this.#dropped.inc(0);
    this.#forget = waitingSpans.add(() => [[{ exporter: name }, this.#waiting]]);
    const taking: SpanExporter = {
      export: (batch, done) => {
        this.#waiting -= batch.length;
        exporter.export(batch, done);
      },
      shutdown: () => exporter.shutdown(),
    };
    this.#batches = new BatchSpanProcessor(taking, {
      maxQueueSize: maxWaiting,
      maxExportBatchSize: Math.min(maxBatch, maxWaiting),
      scheduledDelayMillis: delayMs,
      exportTimeoutMillis: timeoutMs,
    });
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (!this.#open) return;
    if (this.#waiting >= this.#maxWaiting) {
      this.#dropped.inc();
      return;
    }
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  async shutdown(): Promise<void> {
    this.#open = false;
    try {
      await this.#batches.shutdown();
    } finally {
      this.#forget();
    }
  }
}
