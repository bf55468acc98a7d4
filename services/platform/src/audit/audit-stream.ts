import { LogOutput } from "#platform/log/log-output.ts";
import type { AuditEvent } from "./audit-event.ts";

/** How the stream is written. */
export interface AuditStreamOptions {
  /** `service.name` of every line. */
  readonly service: string;
  /** `json` is Elastic Common Schema; `pretty` is for people. Pretty on a terminal unless given. */
  readonly format?: "json" | "pretty" | undefined;
  /** Where the lines go; standard output unless given. */
  readonly stream?: NodeJS.WritableStream | undefined;
  /** How long whoever reads the stream may take, in milliseconds; default 5,000. */
  readonly timeoutMs?: number;
}

/** What tells the lines of the audit log from all others. */
export const auditDataset = "ordermesh.audit";
/** The version that the other log lines say. */
const ecsVersion = "8.10.0";

/**
 * Writes audit events as lines beside the log. Not through the logger: that one leaves out lines which repeat, and does not
 * say when a line was taken.
 */
export class AuditStream {
  readonly #options: AuditStreamOptions;
  readonly #stream: NodeJS.WritableStream;
  /** Whether lines were written that are not taken yet. */
  #waiting = false;
  readonly #line: (service: string, event: AuditEvent) => string;

  constructor(options: AuditStreamOptions) {
    this.#options = options;
    this.#stream = options.stream ?? process.stdout;
    const format = options.format ?? (process.stdout.isTTY ? "pretty" : "json");
    this.#line = format === "json" ? jsonLine : prettyLine;
  }

  /**
   * Resolves once the stream has taken the lines.
   *
   * @throws when it fails, takes too long (the lines may be written later) or has not taken those of before: what waits for
   * a reader that stands still is bounded
   */
  async write(events: readonly AuditEvent[]): Promise<void> {
    const { service, timeoutMs = 5_000 } = this.#options;
    if (this.#waiting) throw new Error("the audit stream still waits for its reader");
    const text = events.map((event) => `${this.#line(service, event)}\n`).join("");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`the audit stream took nothing for ${timeoutMs} ms`)), timeoutMs);
    this.#waiting = true;
    this.#stream.write(text, (error) => {
      this.#waiting = false;
      if (error) reject(error);
      else resolve();
    });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
    if (this.#stream instanceof LogOutput && this.#stream.broken) throw new Error("nobody reads the audit stream");
  }
}

function jsonLine(service: string, event: AuditEvent): string {
  const { eventId, time, action, orderId, subject, details, actor, requestId, traceId } = event;
  return JSON.stringify({
    "@timestamp": time.toISOString(),
    "log.level": "info",
    message: action,
    "ecs.version": ecsVersion,
    "service.name": service,
    "event.dataset": auditDataset,
    "event.id": eventId,
    "event.action": action,
    "order.id": orderId || undefined,
    "audit.subject": subject || undefined,
    "audit.actor": actor,
    "audit.details": details,
    "http.request.id": requestId || undefined,
    "trace.id": traceId || undefined,
  });
}

function prettyLine(service: string, { time, action, orderId, subject, details }: AuditEvent): string {
  const about = [orderId, subject, ...Object.entries(details).map(([name, value]) => `${name}=${value}`)];
  return [time.toISOString().slice(11, -1), "audit", service, action, ...about].filter(Boolean).join(" ");
}
