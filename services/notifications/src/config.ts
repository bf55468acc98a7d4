import { z } from "zod";
import {
  type ConfigOf,
  databaseConfig,
  type EventsConfig,
  type PlatformConfig,
  type Together,
} from "#platform/config.ts";
import { secret } from "#platform/secret.ts";
import { isMailAddress } from "./delivery/mail-address.ts";

const milliseconds = z.coerce.number().int().min(0);
const minute = 60_000;
const day = 24 * 60 * minute;

/** One that `new Intl.DateTimeFormat` knows. */
function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** What the notifications service reads besides the platform's own. Durations are milliseconds. */
export const notificationsConfig = {
  ...databaseConfig,
  /** Where orders answers: `host:port`, or any target that grpc-js resolves. It is asked who is to be told of an order, and what the order is. */
  ORDERS_ADDRESS: z.string().min(1).default("127.0.0.1:50051"),
  /** How long one call to orders may take. */
  ORDERS_TIMEOUT_MS: milliseconds.min(1).default(5_000),
  /** The mail server: `smtp://host:587`, where STARTTLS is asked for, or `smtps://host:465`. Without it nobody is told, and events wait. */
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
  /** What customers know the shop by: it stands before that address, and below each mail. */
  MAIL_SHOP_NAME: z
    .string()
    .regex(/^[^\p{C}]{1,80}$/u, "must be 1 to 80 characters that can be seen")
    .default("Ordermesh"),
  /** Where answers go; to MAIL_FROM unless it is set. */
  MAIL_REPLY_TO: z.string().refine(isMailAddress, "must be one e-mail address").optional(),
  /** Connections to the mail server at the same time. */
  MAIL_CONNECTIONS: z.coerce.number().int().min(1).max(50).default(4),
  /** How long the mail server may take for one mail, connecting included. */
  MAIL_TIMEOUT_MS: milliseconds.min(1_000).default(minute),
  /** In which time zone days are said, by its name in the IANA database. */
  MAIL_TIME_ZONE: z.string().refine(isTimeZone, "must be a time zone, for example Europe/Berlin").default("UTC"),
  /** How long a notification is tried again that the mail server does not take, or that cannot be said yet; then it has failed. */
  NOTIFICATION_BUDGET_MS: milliseconds.min(1_000).default(3 * day),
  /** The pause before it is tried again: this one, and twice as long each further time. */
  NOTIFICATION_RETRY_MS: milliseconds.min(10).default(30_000),
  /** The longest such pause. */
  NOTIFICATION_RETRY_MAX_MS: milliseconds.min(10).default(10 * minute),
  /** How often is looked for what is to be sent; four times as seldom while there is nothing. */
  NOTIFICATION_SWEEP_MS: milliseconds.min(10).default(250),
  /** For how many days it is kept what customers were told. */
  NOTIFICATION_KEEP_DAYS: z.coerce.number().int().min(1).max(3_650).default(90),
  /** For how many days the ids of events are kept that were heard: longer than the stream keeps events. */
  INBOX_KEEP_DAYS: z.coerce.number().int().min(1).max(3_650).default(30),
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

/** The values that the service works with. */
export type NotificationsConfig = ConfigOf<typeof notificationsConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;
