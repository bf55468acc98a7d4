import { z } from "zod";
import { databaseConfig, type Together } from "#platform/config.ts";
import { secret } from "#platform/secret.ts";
import { returnParcel, senders, services } from "./settings.ts";

const milliseconds = z.coerce.number().int().min(0);

/** What the connector to EasyPost reads besides the platform's own. Durations are milliseconds. */
export const easypostConfig = {
  ...databaseConfig,
  /** A key of the account: `EZAK…` sells, `EZTK…` is that of its test mode. */
  EASYPOST_API_KEY: secret(z.string().regex(/^EZ[AT]K\w{8,200}$/, "is no key of an account: EZAK… or EZTK…")),
  /** Secrets of its webhooks, with spaces or commas between: two while one is changed. Without it EasyPost tells nothing. */
  EASYPOST_WEBHOOK_SECRETS: secret(
    z
      .string()
      .regex(/^[^\s,]{16,256}(?:[\s,]{1,4}[^\s,]{16,256}){0,15}$/, "is no list of secrets of 16 to 256 characters"),
  ).optional(),
  /** Where EasyPost is. Only tests have it elsewhere. */
  EASYPOST_API_URL: z.url({ protocol: /^https?$/ }).default("https://api.easypost.com"),
  /** Who sends from each stock location, as JSON: addresses, with `phone` and `email` where carriers want them. */
  EASYPOST_SENDERS: z.string().default("{}").pipe(senders),
  /** Which carriers and services each service level means, as JSON. By default the cheapest of all. */
  EASYPOST_SERVICES: z.string().default('{"*": []}').pipe(services),
  /** What a parcel that comes back weighs, how large it is, and how it is sent, as JSON. */
  EASYPOST_RETURN_PARCEL: z.string().default("{}").pipe(returnParcel),
  /** For one request to EasyPost, which waits for carriers. */
  EASYPOST_TIMEOUT_MS: milliseconds.min(1).default(60_000),
  /** After so long shipping is told that nothing is decided, and the work goes on. Less than its `CARRIER_TIMEOUT_MS`. */
  EASYPOST_ANSWER_WITHIN_MS: milliseconds.default(1_500),
  /** So long after a request whose answer was lost EasyPost is believed when it shows no effect of it. Longer than `EASYPOST_TIMEOUT_MS`. */
  EASYPOST_SETTLE_MS: milliseconds.default(90_000),
  /** For so long a carrier that names no price, or sells no label, is asked again before it has refused. */
  EASYPOST_PERSIST_MS: milliseconds.default(600_000),
  /** How often EasyPost is asked whether its carrier takes a label back. */
  EASYPOST_VOID_LOOK_MS: milliseconds.default(60_000),
  /** Requests in a second that all replicas together send. */
  EASYPOST_REQUESTS_PER_SECOND: z.coerce.number().min(1).default(20),
  /** Where shipping is, which is told what EasyPost tells. */
  SHIPPING_ADDRESS: z.string().default("127.0.0.1:50054"),
};

/** A request that may still run when it is believed to have had no effect would have it twice. */
export const settleTogether: Together = (given) => {
  const timeoutMs = easypostConfig.EASYPOST_TIMEOUT_MS.safeParse(given.EASYPOST_TIMEOUT_MS).data ?? Number.NaN;
  const settleMs = easypostConfig.EASYPOST_SETTLE_MS.safeParse(given.EASYPOST_SETTLE_MS).data ?? Number.NaN;
  return settleMs <= timeoutMs ? ["EASYPOST_SETTLE_MS: is not longer than EASYPOST_TIMEOUT_MS"] : [];
};
