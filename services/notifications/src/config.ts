import { z } from "zod";
import { type ConfigOf, databaseConfig, type EventsConfig, type PlatformConfig } from "#platform/config.ts";
import { mailConfig } from "#platform/mail/mail-config.ts";

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
  ...mailConfig,
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

/** The values that the service works with. */
export type NotificationsConfig = ConfigOf<typeof notificationsConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;
