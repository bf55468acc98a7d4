import { Counter, Gauge, type Registry } from "prom-client";
import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { AuditRepository } from "./audit.repository.ts";
import type { AuditStream } from "./audit-stream.ts";

/** What a publisher works with. */
export interface AuditPublisherOptions {
  readonly repository: Pick<AuditRepository, "publish" | "lagSeconds">;
  readonly stream: Pick<AuditStream, "write">;
  readonly registry: Registry;
  readonly log: Pick<Logger, "error" | "warn">;
  /** Between two looks for new events, in milliseconds; default 1,000. */
  readonly everyMs?: number;
  /** The most events of one publication; default 200. */
  readonly batch?: number;
}

const defaultBatch = 200;

/**
 * Publishes the audit log as a stream, in the order in which transactions began to write, each event at least once: an event that is written when
 * the process dies before this is noted comes again, with the same id. Of several replicas one publishes at a time.
 */
export class AuditPublisher {
  readonly #options: AuditPublisherOptions;
  readonly #relay: Relay;
  readonly #events: Counter<"action">;
  readonly #lag: Gauge;

  constructor(options: AuditPublisherOptions) {
    const { registry, log, everyMs = 1_000, batch = defaultBatch } = options;
    this.#options = options;
    this.#events = new Counter({
      name: "audit_events_total",
      help: "Audit events that this process published, by action.",
      labelNames: ["action"],
      registers: [registry],
    });
    this.#lag = new Gauge({
      name: "audit_publish_lag_seconds",
      help: "Age of the oldest audit event that is not published; 0 when there is none.",
      registers: [registry],
    });
    this.#relay = new Relay({
      name: "publishing audit events",
      everyMs,
      restMs: 4 * everyMs,
      pace: { spacingMs: everyMs, full: batch },
      log,
      sweep: () => this.publish(),
    });
  }

  /** Begins to publish. */
  start(): void {
    this.#relay.start();
  }

  /** Ends with what is being published. */
  async stop(): Promise<void> {
    await this.#relay.stop();
  }

  /** Publishes what can be published now, one batch of it; returns how many events that were. */
  async publish(): Promise<number> {
    const { repository, stream, log, batch = defaultBatch } = this.#options;
    // Mostly there is nothing: that is one statement, and no transaction.
    if ((await this.#look()) === undefined) return 0;
    try {
      const { events, begunAnew } = await repository.publish(batch, (list) => stream.write(list));
      if (begunAnew) log.warn("the audit log came from another server: its events are published once more");
      for (const { action } of events) this.#events.inc({ action });
      return events.length;
    } finally {
      await this.#look();
    }
  }

  /** How many seconds the stream is behind; undefined when there is nothing to publish. */
  async #look(): Promise<number | undefined> {
    const seconds = await this.#options.repository.lagSeconds();
    this.#lag.set(seconds ?? 0);
    return seconds;
  }
}
