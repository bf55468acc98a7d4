import { Code, ConnectError } from "@connectrpc/connect";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import type { Logger } from "#platform/log/logger.ts";
import { inParallel } from "#platform/parallel.ts";
import type { InboxRepository, OpenEvent } from "../inbox/inbox.repository.ts";
import type { NotificationKind } from "../notification/notification.ts";
import type { NotificationRepository } from "../outbox/notification.repository.ts";
import type { RecipientRepository } from "../recipient/recipient.repository.ts";
import { planOf } from "./plan.ts";

/** What a planner works with. */
export interface PlannerOptions {
  readonly inbox: Pick<InboxRepository, "take" | "postpone" | "close">;
  readonly notifications: Pick<NotificationRepository, "plan">;
  readonly recipients: Pick<RecipientRepository, "forget">;
  /** The order as it is; undefined when there is none any more. @throws ConnectError */
  readonly orderOf: (orderId: string) => Promise<Order | undefined>;
  readonly log: Pick<Logger, "error">;
  /** Told of each notification that is made. */
  readonly onPlanned: (kind: NotificationKind) => void;
  /** How long a notification is tried, in milliseconds. */
  readonly budgetMs: number;
}

/** The most events of one sweep, and how many of them are asked about at the same time. */
const batchSize = 50;
const width = 8;
/** So long an event is left alone by others, in milliseconds: longer than asking for its order takes. */
const leaseMs = 60_000;
/** The first pause after an event that could not be decided, and the longest, in milliseconds. */
const pauseMs = 1_000;
const maxPauseMs = 600_000;

/** What a call ends with when it is orders that is away, or does not let us in, and not the event that is at fault. */
const awayCodes: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.PermissionDenied,
  Code.ResourceExhausted,
  Code.Unauthenticated,
  Code.Unavailable,
]);

/**
 * Decides, for each event that was heard, what its customer is to be told, and writes that down together with that it is decided. Dying in
 * between has it decided again, and what is told is told once.
 */
export class Planner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** Decides about a batch; returns how many. For a `Relay`. @throws ConnectError when orders is away; what it was asked about is asked again */
  async sweep(): Promise<number> {
    const events = await this.#options.inbox.take(batchSize, leaseMs);
    let away: unknown;
    await inParallel(events, width, async (event) => {
      try {
        await this.#decide(event);
      } catch (error) {
        const isAway = awayCodes.has(ConnectError.from(error).code);
        if (isAway) away ??= error;
        await (isAway ? this.#options.inbox.postpone(event.eventId, pauseMs) : this.#stumble(event, error));
      }
    });
    if (away !== undefined) throw away;
    return events.length;
  }

  /** Has an event looked at again, later and later, until its time is over. */
  async #stumble(event: OpenEvent, err: unknown): Promise<void> {
    const { inbox, log, budgetMs } = this.#options;
    const { eventId, type, orderId = "", attempts, receiveTime } = event;
    const isOver = Date.now() - receiveTime.getTime() > budgetMs;
    const says = isOver ? "nobody is told of an event" : "it cannot be decided yet who is told of an event";
    log.error(says, { err, "event.id": eventId, "event.action": type, "order.id": orderId });
    const pause = Math.min(pauseMs * 2 ** Math.min(attempts, 20), maxPauseMs);
    await (isOver ? inbox.close(eventId) : inbox.postpone(eventId, pause));
  }

  async #decide(event: OpenEvent): Promise<void> {
    const { inbox, notifications, recipients, orderOf, onPlanned, budgetMs } = this.#options;
    const { eventId, orderId, customerId } = event;
    if (customerId !== undefined) return await recipients.forget(customerId, eventId);
    const order = orderId === undefined ? undefined : await orderOf(orderId);
    const drafts = order ? planOf(event, order) : [];
    if (!order || drafts.length === 0) return await inbox.close(eventId);
    const whose = { eventId, orderId: order.orderId, customerId: order.customerId };
    for (const { kind } of await notifications.plan(whose, drafts, budgetMs)) onPlanned(kind);
  }
}
