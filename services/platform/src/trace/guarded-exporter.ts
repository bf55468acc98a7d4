import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";
import type { Logger } from "winston";
import { spans as spansTotal } from "#platform/metrics/process-metrics.ts";

/** An exporter, and how much patience it gets. */
export interface GuardOptions {
  /** In metrics and in the log. */
  readonly name: string;
  readonly exporter: SpanExporter;
  /** How long it may take to send one batch, in milliseconds. */
  readonly timeoutMs: number;
  /** Told that spans cannot be sent, and that they can be again. */
  readonly log: Pick<Logger, "warn">;
}

/** Batches that a collector took and never answered are held in memory; this many, then no more are given to it. */
const mostAbandoned = 4;

/**
 * An exporter whose collector may be gone: what it sends and loses is counted, a batch that takes too long is given up, and
 * the log has one line when sending begins to fail and one when it works again.
 */
export class GuardedExporter implements SpanExporter {
  readonly #options: GuardOptions;
  readonly #exported;
  readonly #failed;
  #abandoned = 0;
  #failing = false;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#exported = spansTotal.labels({ exporter: options.name, outcome: "exported" });
    this.#failed = spansTotal.labels({ exporter: options.name, outcome: "failed" });
    // A series that is there from the start shows its first increase.
    for (const counter of [this.#exported, this.#failed]) counter.inc(0);
  }

  export(batch: ReadableSpan[], done: (result: ExportResult) => void): void {
    if (this.#abandoned < mostAbandoned) this.#send(batch, done);
    else this.#settle(batch.length, notAnswered(), done);
  }

  #send(batch: ReadableSpan[], done: (result: ExportResult) => void): void {
    let settled = false;
    const timer = setTimeout(() => {
      settled = true;
      this.#abandoned += 1;
      this.#settle(batch.length, notAnswered(), done);
    }, this.#options.timeoutMs).unref();
    this.#options.exporter.export(batch, (result) => {
      clearTimeout(timer);
      if (settled) this.#abandoned -= 1;
      else this.#settle(batch.length, result, done);
      settled = true;
    });
  }

  #settle(count: number, result: ExportResult, done: (result: ExportResult) => void): void {
    const { name, log } = this.#options;
    const failed = result.code !== ExportResultCode.SUCCESS;
    (failed ? this.#failed : this.#exported).inc(count);
    if (failed && !this.#failing) log.warn(`spans cannot be sent to ${name} and are lost: ${result.error?.message}`);
    if (!failed && this.#failing) log.warn(`spans are sent to ${name} again`);
    this.#failing = failed;
    done(result);
  }

  shutdown(): Promise<void> {
    return this.#options.exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#options.exporter.forceFlush?.();
  }
}

function notAnswered(): ExportResult {
  return { code: ExportResultCode.FAILED, error: new Error("the collector does not answer") };
}
