// biome-ignore lint/plugin/files: mails in MAIL_FOLDER, named by ids
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { detached } from "#platform/context.ts";
import { newId } from "#platform/id.ts";
import type { Logger } from "#platform/log/logger.ts";

/** A token by which a password is set. */
export interface PasswordMail {
  readonly kind: "password_token";
  readonly email: string;
  /** Sets a password, once. */
  readonly token: string;
  readonly expireTime: Date;
}

/** What was done with what somebody proves who they are with. `codes_refused`: the password was right, and several codes in a row were not. */
const noticeKinds = [
  "password_changed",
  "second_factor_confirmed",
  "second_factor_disabled",
  "second_factor_reset",
  "recovery_code_used",
  "codes_refused",
] as const;

/** What mails are about. */
export const mailKinds = ["password_token", ...noticeKinds] as const;
export type MailKind = (typeof mailKinds)[number];

/** What becomes of a mail; `deferred` is each attempt that is followed by another one. */
export const mailOutcomes = ["sent", "deferred", "failed"] as const;
export type MailOutcome = (typeof mailOutcomes)[number];

/** Tells somebody what was done: if it was not them, they should know. */
export interface NoticeMail {
  readonly kind: (typeof noticeKinds)[number];
  readonly email: string;
  /** When it was done. */
  readonly time: Date;
}

/** What somebody is to be sent; who sends it makes words of it. */
export type MailMessage = PasswordMail | NoticeMail;

/** Who sends mails. */
export interface Mailer {
  /** Sends a mail; that may take as long as the mail is worth sending. @throws Error when it is not sent */
  send(mail: MailMessage): Promise<void>;
  /** Sends nothing more: what waits is given up. */
  stop?(): Promise<void>;
}

/** Puts mails into a folder, a file each, for whoever sends them, or looks. */
export class MailFolder implements Mailer {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A file appears with all that it holds, named so that files sort by time. */
  async send(mail: MailMessage): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const name = `${newId()}.json`;
    const begun = join(this.#folder, `.${name}`);
    await writeFile(begun, JSON.stringify(mail, null, 2), { mode: 0o600 });
    await rename(begun, join(this.#folder, name));
  }
}

/** Where nobody sends mails. */
export class NoMail implements Mailer {
  readonly #log: Pick<Logger, "warn">;

  constructor(log: Pick<Logger, "warn">) {
    this.#log = log;
  }

  /** Says so; not to whom, nor what. */
  async send(): Promise<void> {
    this.#log.warn("a mail is not sent: set MAIL_SERVER_URL and MAIL_FROM");
  }
}

/** Sends mails for which nobody waits: what they tell of has happened, and an answer says nothing of the address. */
export class Postman {
  readonly #mailer: Mailer;
  readonly #log: Pick<Logger, "error">;

  constructor(mailer: Mailer, log: Pick<Logger, "error">) {
    this.#mailer = mailer;
    this.#log = log;
  }

  /** Sends what is made, unless it is undefined; a failure is a line of the log. */
  post(make: () => Promise<MailMessage | undefined>): void {
    const send = async () => {
      const message = await make();
      if (message) await this.#mailer.send(message);
    };
    detached(send).catch((error: unknown) => this.#log.error("a mail was not sent", { err: error }));
  }

  /** Tells somebody what was done. */
  tell(kind: NoticeMail["kind"], email: string): void {
    const time = new Date();
    this.post(async () => ({ kind, email, time }));
  }
}
