import { z } from "zod";
import {
  type ConfigOf,
  databaseConfig,
  databaseUrl,
  type EventsConfig,
  type PlatformConfig,
  platformConfig,
} from "#platform/config.ts";
import { personalConfig } from "#platform/personal/personal-config.ts";
import { secret } from "#platform/secret.ts";

const milliseconds = z.coerce.number().int().min(0);
const names = z
  .string()
  .default("")
  .transform((text) => text.split(",").map((name) => name.trim()))
  .transform((all) => all.filter((name) => name !== ""));

/** What the shipping service reads from its environment. Durations are milliseconds. */
export const shippingConfig = {
  ...databaseConfig,
  ...personalConfig,
  GRPC_PORT: platformConfig.GRPC_PORT.default(50054),
  HTTP_PORT: platformConfig.HTTP_PORT.default(8084),
  /** Where sagas of the kind before episodes are told how shipments ended. Goes with them, as the next one does. */
  WORKER_ADDRESS: z.string().default("127.0.0.1:50055"),
  /** How long one call to the worker may take. */
  WORKER_TIMEOUT_MS: milliseconds.default(5_000),
  /** Where orders are told what becomes of their shipments. */
  ORDERS_ADDRESS: z.string().default("127.0.0.1:50051"),
  /** How long one call to orders may take. */
  ORDERS_TIMEOUT_MS: milliseconds.min(1).default(5_000),
  /** How long a batch of bookings or cancellations waits for the carrier; what is undecided then is pending. */
  CARRIER_ANSWER_MS: milliseconds.default(1_000),
  /** How long one call to the carrier may take before its outcome counts as unknown. */
  CARRIER_TIMEOUT_MS: milliseconds.default(2_000),
  /**
   * A parcel that the carrier has is silent when nobody has reported anything of it for so long: then the carrier is asked. More
   * than what lies between two reports of an ordinary parcel; two days.
   */
  SHIPMENT_SILENT_MS: milliseconds.default(2 * 86_400_000),
  /** And overdue, an operator's matter, when it has been silent for longer than a parcel can be under way; 21 days. */
  SHIPMENT_OVERDUE_MS: milliseconds.default(21 * 86_400_000),
  /**
   * The carrier is asked to turn a parcel back, or for the label of a return, until it has said something definite, for so long: then it
   * counts as refused. An hour.
   */
  CARRIER_PATIENCE_MS: milliseconds.default(3_600_000),
  /**
   * For how many days after its end a parcel keeps where it went: as long as somebody may ask for it to be searched. Then the address is
   * forgotten, with its key.
   */
  SHIPMENT_ADDRESS_KEEP_DAYS: z.coerce.number().int().min(0).max(36_500).default(90),
  /** Who packs: the simulated warehouse, or people, who say so by ReportPacked and ReportShort. */
  WAREHOUSE: z.enum(["simulator", "people"]).default("simulator"),
  /** How often is looked for what is packed, undecided or untold; up to five times as seldom while there is nothing. */
  SWEEP_MS: milliseconds.min(10).default(200),
  /** The most time between two looks while there is much: how long what happens waits for others to be handled with. */
  SWEEP_SPACING_MS: milliseconds.default(500),
  /** How often is measured how long what is due has waited. */
  BACKLOG_EVERY_MS: milliseconds.min(10).default(5_000),
  /**
   * Where the simulated carrier and warehouse keep what they did; DATABASE_URL when it is not set. What lies between is the
   * way to them.
   */
  SIMULATOR_DATABASE_URL: secret(databaseUrl).optional(),
  /** Connections of the simulated carrier and warehouse, apart from the service's own. */
  SIMULATOR_POOL_MAX: z.coerce.number().int().min(1).default(4),
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
};

/** The values that the service works with. */
export type ShippingConfig = ConfigOf<typeof shippingConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;
