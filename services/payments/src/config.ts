import { z } from "zod";
import { databaseConfig, type Together } from "#platform/config.ts";
import { majorUnitsOf, minorUnitsOf } from "./refund/refund-limits.ts";

const milliseconds = z.coerce.number().int().min(1);

const week = 7 * 24 * 3_600_000;

/** What the payments service reads besides the platform's own. Durations are milliseconds. */
export const paymentsConfig = {
  ...databaseConfig,
  /** How long a call waits for the gateway before it answers "pending"; less when the caller's deadline is nearer. */
  PAYMENTS_ANSWER_WITHIN_MS: milliseconds.default(2_000),
  /** How often each replica looks for payments that a crash or a lost answer left undecided. */
  PAYMENTS_RESOLVE_EVERY_MS: milliseconds.default(1_000),
  /** How often each replica asks the gateway's connector what happened by itself. */
  PAYMENTS_EVENTS_EVERY_MS: milliseconds.default(5_000),
  /** The connector of the card gateway, `host:port`, or any target that gRPC resolves. No default: whoever sells names the gateway that moves the money. */
  GATEWAY_CONNECTOR_ADDRESS: z
    .string()
    .min(1)
    .describe("it names the connector of the card gateway as host:port; docs/connectors.md says what that is"),
  /** For one call to the gateway. */
  GATEWAY_TIMEOUT_MS: milliseconds.default(3_000),
  /** Operations that the gateway has at the same time. */
  GATEWAY_MAX_INFLIGHT: z.coerce.number().int().min(1).default(512),
  /**
   * How much of a payment may be refunded without a second person, all such refunds together: so many whole units of its currency, or `off`.
   * 0 has every refund wait. Refunds of the saga have no limit.
   */
  REFUND_LIMIT_MAJOR_UNITS: z.string().default("500").transform(majorUnitsOf),
  /** The same by currency, in minor units, as a JSON object; it counts more: a yen is worth less than a euro. */
  REFUND_LIMITS_MINOR_UNITS: z.string().default('{"JPY":50000,"KRW":500000}').transform(minorUnitsOf),
  /** How long a refund waits for a second person, at most as long as request ids are remembered (`REQUEST_ID_RETENTION_MS`). */
  REFUND_APPROVAL_WITHIN_MS: milliseconds.default(week),
};

/** A refund whose request id is forgotten while it waits would begin a second time. */
export const refundsTogether: Together = (given) => {
  const kept = databaseConfig.REQUEST_ID_RETENTION_MS.safeParse(given.REQUEST_ID_RETENTION_MS).data ?? Number.NaN;
  const within = paymentsConfig.REFUND_APPROVAL_WITHIN_MS.safeParse(given.REFUND_APPROVAL_WITHIN_MS).data ?? Number.NaN;
  return within > kept ? ["  REFUND_APPROVAL_WITHIN_MS: is longer than REQUEST_ID_RETENTION_MS"] : [];
};
