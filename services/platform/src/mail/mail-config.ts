import { z } from "zod";
import type { ConfigOf, Together } from "../config.ts";
import { secret } from "../secret.ts";
import { isMailAddress } from "./mail-address.ts";
import { MailServer } from "./mail-server.ts";

/** How mails are sent, by whichever service sends some. Durations are milliseconds. */
export const mailConfig = {
  /** The mail server: `smtp://host:587`, where STARTTLS is asked for, or `smtps://host:465`. Without it none are sent. */
  MAIL_SERVER_URL: z
    .string()
    .regex(/^smtps?:\/\/[^/@?#]+:\d{1,5}$/, "must be smtp://host:587 or smtps://host:465; who logs in is MAIL_USERNAME")
    .optional(),
  /** Who logs in there; nobody does unless it is set. */
  MAIL_USERNAME: z.string().min(1).optional(),
  /** The password. */
  MAIL_PASSWORD: secret(z.string().min(1)).optional(),
  /** The file (PEM) of the authority that signed the server's certificate; the machine's own unless it is set. */
  MAIL_CA: z.string().min(1).optional(),
  /** `required`: nothing is sent without TLS. `none`: plain text, for a server on the same machine. */
  MAIL_TLS: z.enum(["required", "none"]).default("required"),
  /** Whom mails are from. Their Message-IDs end with its domain. */
  MAIL_FROM: z.string().refine(isMailAddress, "must be one e-mail address, for example orders@shop.example").optional(),
  /** What people know the shop by: it stands before that address, and below each mail. */
  MAIL_SHOP_NAME: z
    .string()
    .regex(/^[^\p{C}]{1,80}$/u, "must be 1 to 80 characters that can be seen")
    .default("Ordermesh"),
  /** Where answers go; to MAIL_FROM unless it is set. */
  MAIL_REPLY_TO: z.string().refine(isMailAddress, "must be one e-mail address").optional(),
  /** Connections to the mail server at the same time. */
  MAIL_CONNECTIONS: z.coerce.number().int().min(1).max(50).default(4),
  /** How long the mail server may take for one mail, connecting included. */
  MAIL_TIMEOUT_MS: z.coerce.number().int().min(1_000).default(60_000),
};

/** Mails are from somebody, and a password is of one who logs in. */
export const mailTogether: Together = (given) => {
  const problems: string[] = [];
  if (given.MAIL_SERVER_URL && !given.MAIL_FROM) problems.push("MAIL_FROM: is not set, and MAIL_SERVER_URL is");
  const isSecretSet = Boolean(given.MAIL_PASSWORD ?? given.MAIL_PASSWORD_FILE);
  if (given.MAIL_USERNAME ? !isSecretSet : isSecretSet)
    problems.push("MAIL_USERNAME: it and MAIL_PASSWORD are set together, or neither is");
  return problems;
};

/** The server that mails are sent by; undefined where none is named. */
export function mailServerOf(config: ConfigOf<typeof mailConfig>): MailServer | undefined {
  const { MAIL_SERVER_URL: url, MAIL_FROM: from } = config;
  if (!url || !from) return undefined;
  return new MailServer({
    url,
    username: config.MAIL_USERNAME,
    password: config.MAIL_PASSWORD,
    caFile: config.MAIL_CA,
    tls: config.MAIL_TLS === "required",
    from: { name: config.MAIL_SHOP_NAME, address: from },
    replyTo: config.MAIL_REPLY_TO,
    connections: config.MAIL_CONNECTIONS,
    timeoutMs: config.MAIL_TIMEOUT_MS,
  });
}
