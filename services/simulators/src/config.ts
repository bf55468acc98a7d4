import { z } from "zod";
import { databaseConfig } from "#platform/config.ts";

const milliseconds = z.coerce.number().int().min(0);
const names = z
  .string()
  .default("")
  .transform((text) => text.split(",").map((name) => name.trim()))
  .transform((all) => all.filter((name) => name !== ""));

/** What the simulators read besides the platform's own. Durations are milliseconds. */
export const simulatorsConfig = {
  ...databaseConfig,
  /** How long the simulated gateway takes for `tok_slow`. */
  SIMULATOR_SLOW_MS: milliseconds.default(10_000),
  /** How long the simulated gateway takes before it does anything of what a call asks for. */
  SIMULATOR_LATENCY_MS: milliseconds.default(0),
  /** Whether the simulated gateway gives free a part that is voided `now`, or, `deferred`, with the last operation of its authorization. */
  SIMULATOR_PART_VOID: z.enum(["now", "deferred"]).default("now"),
  /** Whether the simulated gateway captures an authorization `many` times, or, `once`, gives free what the first capture leaves. */
  SIMULATOR_CAPTURES: z.enum(["many", "once"]).default("many"),
  /** The simulated warehouse packs a shipment in this time. */
  PACKING_MS: milliseconds.default(500),
  /** And this much longer at most: which share of it follows from the shipment's id, alike for every attempt. */
  PACKING_SPREAD_MS: milliseconds.default(0),
  /** The simulated carrier delivers a parcel this long after it was booked. */
  CARRIER_TRANSIT_MS: milliseconds.default(2_000),
  /** The simulated carrier answers after this time for the postal codes `SIM-SLOW`, `SIM-BACK-SLOW` and `SIM-LABEL-SLOW`. */
  CARRIER_SLOW_MS: milliseconds.default(1_500),
  /** Stock locations that the simulated carrier collects nothing from, separated by commas. */
  CARRIER_SIMULATOR_REFUSED_LOCATIONS: names,
  /** Where the simulated carrier tells what happens to parcels. */
  SHIPPING_ADDRESS: z.string().default("127.0.0.1:50054"),
  /** How often is looked for what has happened to parcels; up to five times as seldom while there is nothing. */
  SWEEP_MS: milliseconds.min(10).default(200),
};
