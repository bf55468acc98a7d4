import { ConnectError } from "@connectrpc/connect";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import type { Logger } from "#platform/log/logger.ts";
import { toHtml, toText } from "#platform/mail/letter.ts";
import type { Mail, MailOutcome, MailServer } from "#platform/mail/mail-server.ts";
import { inParallel } from "#platform/parallel.ts";
import { harmlessName } from "../letter/harmless-name.ts";
import { languageOf } from "../letter/language.ts";
import { letterOf } from "../letter/letter.ts";
import { isMutable, staleness } from "../letter/staleness.ts";
import type { Claimed, NotificationRepository, Outcome } from "../outbox/notification.repository.ts";
import type { NotificationMetrics } from "../proof/metrics.ts";
import type { RecipientRepository } from "../recipient/recipient.repository.ts";

/** What a sender works with. */
export interface SenderOptions {
  readonly notifications: Pick<NotificationRepository, "claim" | "settle">;
  readonly recipients: Pick<RecipientRepository, "get">;
  /** The order as it is; undefined when there is none any more. @throws ConnectError */
  readonly orderOf: (orderId: string) => Promise<Order | undefined>;
  readonly server: Pick<MailServer, "send">;
  readonly metrics: Pick<NotificationMetrics, "became" | "attempted">;
  readonly log: Pick<Logger, "warn" | "error">;
  readonly shopName: string;
  readonly timeZone: string;
  /** Mails on their way at the same time. */
  readonly width: number;
  /** How long one may take, with asking for its order, in milliseconds. */
  readonly timeoutMs: number;
  /** The pauses between attempts, in milliseconds. */
  readonly pause: { readonly firstMs: number; readonly mostMs: number };
}

/** Beyond the time that an attempt may take, so that nobody else begins one meanwhile, in milliseconds. */
const leaseMarginMs = 5_000;

/** A mail, or why none is to be sent. */
type Made = Mail | { readonly skip: string };

/**
 * Sends what is due. A notification is taken before it is sent, and settled after: who dies in between has it sent again by another, under the
 * Message-ID that it had. That a mail was taken by its server, and nobody knows, is the only way in which it comes twice.
 */
export class Sender {
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * Sends a batch; returns how many were tried. For a `Relay`, whose end it does not heed: what is on its way would come twice. A mail server that
   * takes some of a batch is there: what it did not take has a pause of its own, and holds nobody else up.
   *
   * @throws Error when the mail server, or orders, is away for all of the batch, which is tried again
   */
  async sweep(): Promise<number> {
    const { notifications, width, timeoutMs } = this.#options;
    const claimed = await notifications.claim(width, timeoutMs + leaseMarginMs);
    const away: string[] = [];
    await inParallel(claimed, width, async (each) => {
      const reason = await this.#attempt(each);
      if (reason !== undefined) away.push(reason);
    });
    if (away[0] !== undefined && away.length === claimed.length) throw new Error(`notifications wait: ${away[0]}`);
    return claimed.length;
  }

  /** Returns why nothing else can be sent either; undefined when it can. */
  async #attempt(claimed: Claimed): Promise<string | undefined> {
    let made: Made;
    try {
      made = await this.#make(claimed);
    } catch (error) {
      return await this.#stumble(claimed, error);
    }
    if ("skip" in made) {
      await this.#settle(claimed, { status: "skipped", reason: made.skip });
      return undefined;
    }
    const { outcome, reason } = await this.#options.server.send(made);
    this.#options.metrics.attempted(outcome);
    await this.#settle(claimed, this.#resultOf(claimed, { outcome, reason }));
    return outcome === "away" ? `the mail server does not answer, or not as it should: ${reason}` : undefined;
  }

  /** Orders is away, which it is for all; or what is to be said cannot be said, which stops nobody else. */
  async #stumble(claimed: Claimed, error: unknown): Promise<string | undefined> {
    const isAway = error instanceof ConnectError;
    await this.#settle(claimed, this.#later(claimed, isAway ? "orders_away" : "cannot_be_said"));
    if (isAway) return `orders does not answer: ${error.message}`;
    const { notificationId, orderId } = claimed;
    const fields = { err: error, "notification.id": notificationId, "order.id": orderId };
    this.#options.log.error("what a customer is to be told cannot be said", fields);
    return undefined;
  }

  #resultOf(claimed: Claimed, { outcome, reason }: MailOutcome): Outcome {
    if (outcome === "sent") return { status: "sent", reason: "" };
    return outcome === "refused" ? { status: "failed", reason } : this.#later(claimed, reason);
  }

  /** Once more, unless its time is over. */
  #later({ attempts, giveUpTime }: Claimed, reason: string): Outcome {
    const { firstMs, mostMs } = this.#options.pause;
    const pauseMs = Math.min(firstMs * 2 ** Math.min(attempts - 1, 30), mostMs);
    const isOver = Date.now() + pauseMs > giveUpTime.getTime();
    return isOver ? { status: "failed", reason } : { status: "pending", reason, pauseMs };
  }

  async #settle(claimed: Claimed, outcome: Outcome): Promise<void> {
    const { notifications, metrics, log } = this.#options;
    const isOwn = await notifications.settle(claimed, outcome);
    if (isOwn && outcome.status !== "pending") metrics.became(claimed.kind, outcome.status);
    if (outcome.status !== "failed") return;
    const { notificationId, orderId, kind } = claimed;
    const fields = { "notification.id": notificationId, "order.id": orderId, "notification.kind": kind };
    log.warn("a customer is not told: no more attempts", { ...fields, "error.code": outcome.reason });
  }

  /** The mail as it is to be sent, of the order as it is now; or why there is nothing to be sent. */
  async #make(claimed: Claimed): Promise<Made> {
    const { recipients, orderOf, shopName, timeZone } = this.#options;
    const { kind, customerId, orderId, notificationId } = claimed;
    const recipient = await recipients.get(customerId);
    if (recipient.isErased) return { skip: "customer_erased" };
    if (isMutable(kind) && recipient.muted.includes(kind)) return { skip: "muted" };
    const order = await orderOf(orderId);
    if (!order) return { skip: "order_gone" };
    const { email = "", givenName = "", familyName = "" } = order.contact ?? {};
    if (email === "") return { skip: "nobody_to_tell" };
    const stale = staleness(claimed, order);
    if (stale !== undefined) return { skip: stale };
    const { language, locale } = languageOf(recipient.language, order.shippingAddress?.country ?? "");
    const name = harmlessName(givenName, familyName);
    const letter = letterOf(claimed, order, { language, locale, timeZone, name, shopName });
    const content = { subject: letter.subject, text: toText(letter), html: toHtml(letter, language) };
    return { to: { name, address: email }, id: notificationId, language, ...content };
  }
}
