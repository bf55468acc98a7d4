import { z } from "zod";
import { databaseConfig } from "#platform/config.ts";

const milliseconds = z.coerce.number().int().min(0);

/** What the simulators read besides the platform's own. Durations are milliseconds. */
export const simulatorsConfig = {
  ...databaseConfig,
  /** How long the simulated gateway takes for `tok_slow`. */
  SIMULATOR_SLOW_MS: milliseconds.default(10_000),
  /** How long the simulated gateway takes before it does anything of what a call asks for. */
  SIMULATOR_LATENCY_MS: milliseconds.default(0),
};
