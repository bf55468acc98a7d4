import { setTimeout as sleep } from "node:timers/promises";
import { newId } from "#platform/id.ts";
import { toHtml, toText } from "#platform/mail/letter.ts";
import type { Mail, MailServer } from "#platform/mail/mail-server.ts";
import { letterOf, type Style } from "./letters.ts";
import type { Mailer, MailKind, MailMessage, MailOutcome } from "./mail.ts";

/** What a mailer works with. */
export interface SmtpMailerOptions {
  readonly server: Pick<MailServer, "send" | "close">;
  readonly style: Style;
  /** Told what became of a mail, or of an attempt. */
  readonly count: (kind: MailKind, outcome: MailOutcome) => void;
  /** The pause before a mail is tried again: this one, and twice as long each further time; milliseconds, default 1,000. */
  readonly firstPauseMs?: number;
  /** Mails that may wait; what comes beyond is not sent. Default 1,000. */
  readonly mostWaiting?: number;
}

/** The longest pause between two attempts, in milliseconds. */
const mostPauseMs = 60_000;
/** How long it is tried to tell somebody what was done, in milliseconds. A token is tried for as long as it is good. */
const noticeMs = 3_600_000;

/**
 * Sends mails by SMTP, and again what the server does not take now. What waits is in memory alone: a token that can be used is to be nowhere else, and
 * whoever waits for one in vain asks for another.
 */
export class SmtpMailer implements Mailer {
  readonly #options: SmtpMailerOptions;
  readonly #stopped = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  /** By address, ended by the next one: an older token is good no more. */
  readonly #tokens = new Map<string, AbortController>();

  constructor(options: SmtpMailerOptions) {
    this.#options = options;
  }

  /** @throws Error for a mail that the server refuses, or does not take in time; and for one too many */
  send(message: MailMessage): Promise<void> {
    const { mostWaiting = 1_000, count } = this.#options;
    if (this.#underWay.size >= mostWaiting) {
      count(message.kind, "failed");
      return Promise.reject(new Error(`${mostWaiting} mails wait already`));
    }
    const sending = this.#follow(message);
    this.#underWay.add(sending);
    return sending.finally(() => this.#underWay.delete(sending));
  }

  /** Gives up what waits, and ends once nothing is on its way. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the service stops"));
    await Promise.allSettled(this.#underWay);
    await this.#options.server.close();
  }

  async #follow(message: MailMessage): Promise<void> {
    if (message.kind !== "password_token") return await this.#deliver(message, this.#stopped.signal);
    const { email } = message;
    const replaced = new AbortController();
    this.#tokens.get(email)?.abort(new Error("another token was asked for"));
    this.#tokens.set(email, replaced);
    try {
      await this.#deliver(message, AbortSignal.any([this.#stopped.signal, replaced.signal]));
    } finally {
      if (this.#tokens.get(email) === replaced) this.#tokens.delete(email);
    }
  }

  async #deliver(message: MailMessage, signal: AbortSignal): Promise<void> {
    const { server, count, firstPauseMs = 1_000 } = this.#options;
    const mail = this.#mailOf(message);
    const end = "expireTime" in message ? message.expireTime.getTime() : Date.now() + noticeMs;
    try {
      for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, mostPauseMs)) {
        // Also what is made only after the service has begun to stop: the server would be connected to anew.
        signal.throwIfAborted();
        const { outcome, reason } = await server.send(mail);
        if (outcome === "sent") break;
        if (outcome === "refused") throw new Error(`the mail server refuses it: ${reason}`);
        if (Date.now() + pauseMs > end) throw new Error(`the mail server has not taken it in time: ${reason}`);
        count(message.kind, "deferred");
        await sleep(pauseMs, undefined, { signal });
      }
    } catch (error) {
      count(message.kind, "failed");
      throw signal.aborted ? signal.reason : error;
    }
    count(message.kind, "sent");
  }

  #mailOf(message: MailMessage): Mail {
    const { style } = this.#options;
    const letter = letterOf(message, style);
    return {
      to: { name: "", address: message.email },
      id: newId(),
      language: style.language,
      subject: letter.subject,
      text: toText(letter),
      html: toHtml(letter, style.language),
    };
  }
}
