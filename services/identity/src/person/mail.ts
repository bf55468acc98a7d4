// biome-ignore lint/plugin/files: mails in MAIL_FOLDER, named by ids
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newId } from "#platform/id.ts";
import type { Logger } from "#platform/log/logger.ts";

/** What somebody is to be sent. */
export interface PasswordMail {
  readonly email: string;
  /** Sets a password, once. */
  readonly token: string;
  readonly expireTime: Date;
}

/** Who sends mails. */
export interface Mail {
  /** Takes a mail to be sent; it need not have arrived when this resolves. */
  send(mail: PasswordMail): Promise<void>;
}

/** Puts mails into a folder, a file each, for whoever sends them, or looks. */
export class MailFolder implements Mail {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A file appears with all that it holds, named so that files sort by time. */
  async send(mail: PasswordMail): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const name = `${newId()}.json`;
    const begun = join(this.#folder, `.${name}`);
    await writeFile(begun, JSON.stringify(mail, null, 2), { mode: 0o600 });
    await rename(begun, join(this.#folder, name));
  }
}

/** Where nobody sends mails. */
export class NoMail implements Mail {
  readonly #log: Pick<Logger, "warn">;

  constructor(log: Pick<Logger, "warn">) {
    this.#log = log;
  }

  /** Says so; not to whom, nor what. */
  async send(): Promise<void> {
    this.#log.warn("a mail is not sent: set MAIL_FOLDER");
  }
}
