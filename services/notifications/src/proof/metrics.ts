import { Counter, Gauge, type Registry } from "prom-client";
import {
  type InboxBacklog,
  type NotificationKind,
  type NotificationStatus,
  notificationKinds,
  type OutboxBacklog,
} from "../notification/notification.ts";

/** What the notifications service counts. */
export class NotificationMetrics {
  readonly #heard: Counter<"outcome">;
  readonly #ended: Counter<"kind" | "outcome">;
  readonly #attempts: Counter<"outcome">;
  readonly #pending: Gauge;
  readonly #age: Gauge;
  readonly #failed: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#heard = new Counter({
      name: "notifications_events_total",
      help: "Events that were heard, by outcome: fresh or known (they came again).",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of ["fresh", "known"]) this.#heard.inc({ outcome }, 0);
    this.#ended = new Counter({
      name: "notifications_total",
      help: "Notifications of customers, by kind and what became of them: planned when they are made, then sent, failed or skipped.",
      labelNames: ["kind", "outcome"],
      registers,
    });
    for (const kind of notificationKinds)
      for (const outcome of ["planned", "sent", "failed", "skipped"]) this.#ended.inc({ kind, outcome }, 0);
    this.#attempts = new Counter({
      name: "notifications_attempts_total",
      help: "Attempts to send a notification, by outcome: sent, refused (for good), deferred (the server wants it later) or away (the server, or what it says is not known).",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of ["sent", "refused", "deferred", "away"]) this.#attempts.inc({ outcome }, 0);
    this.#pending = new Gauge({
      name: "notifications_pending",
      help: "Events of which it is not decided who is told, and notifications that are to be sent.",
      registers,
    });
    this.#age = new Gauge({
      name: "notifications_pending_age_seconds",
      help: "Age of the oldest of these; 0 when there is none.",
      registers,
    });
    this.#failed = new Gauge({
      name: "notifications_failed",
      help: "Notifications that failed and that nobody has had sent again.",
      registers,
    });
  }

  /** Counts events by whether the inbox had them. */
  heard({ fresh, known }: { readonly fresh: number; readonly known: number }): void {
    this.#heard.inc({ outcome: "fresh" }, fresh);
    this.#heard.inc({ outcome: "known" }, known);
  }

  /** Counts a notification that is made, or has ended. */
  became(kind: NotificationKind, outcome: "planned" | Exclude<NotificationStatus, "pending">): void {
    this.#ended.inc({ kind, outcome });
  }

  /** Counts an attempt. */
  attempted(outcome: "sent" | "refused" | "deferred" | "away"): void {
    this.#attempts.inc({ outcome });
  }

  /** Says how much there is to do. */
  backlog(inbox: InboxBacklog, { pending, ageSeconds, failed }: OutboxBacklog): void {
    this.#pending.set(inbox.open + pending);
    this.#age.set(Math.max(inbox.ageSeconds, ageSeconds));
    this.#failed.set(failed);
  }
}
