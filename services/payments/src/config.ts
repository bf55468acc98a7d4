import { z } from "zod";
import { databaseConfig, databaseUrl } from "#platform/config.ts";
import { secret } from "#platform/secret.ts";

const milliseconds = z.coerce.number().int().min(1);

/** What the payments service reads besides the platform's own. Durations are milliseconds. */
export const paymentsConfig = {
  ...databaseConfig,
  /** How long a call waits for the gateway before it answers "pending"; less when the caller's deadline is nearer. */
  PAYMENTS_ANSWER_WITHIN_MS: milliseconds.default(2_000),
  /** How often each replica looks for payments that a crash or a lost answer left undecided. */
  PAYMENTS_RESOLVE_EVERY_MS: milliseconds.default(1_000),
  /** For one call to the gateway. */
  GATEWAY_TIMEOUT_MS: milliseconds.default(3_000),
  /** Calls to the gateway at the same time. */
  GATEWAY_MAX_INFLIGHT: z.coerce.number().int().min(1).default(512),
  /** How long the simulated gateway takes for `tok_slow`. */
  SIMULATOR_SLOW_MS: milliseconds.default(10_000),
  /** How long the simulated gateway takes for every call. */
  SIMULATOR_LATENCY_MS: z.coerce.number().int().min(0).default(0),
  /** Where the simulated gateway keeps what it did; DATABASE_URL when it is not set. What lies between is the way to it. */
  SIMULATOR_DATABASE_URL: secret(databaseUrl).optional(),
  /** The simulated gateway's own connections. */
  SIMULATOR_POOL_MAX: z.coerce.number().int().min(1).default(4),
};
