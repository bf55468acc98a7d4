import { z } from "zod";
import {
  type ConfigOf,
  databaseConfig,
  type EventsConfig,
  type PlatformConfig,
  platformConfig,
  type Together,
} from "#platform/config.ts";
import { personalConfig } from "#platform/personal/personal-config.ts";
import { parcelFacts } from "./booking/parcel-facts.ts";

const milliseconds = z.coerce.number().int().min(0);

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
  /** The connector of the carrier, `host:port`, or any target that gRPC resolves. No default: whoever ships names the carrier that takes the parcels. */
  CARRIER_CONNECTOR_ADDRESS: z
    .string()
    .min(1)
    .describe("it names the connector of the carrier as host:port; docs/connectors.md says what that is"),
  /**
   * What carriers are told of parcels, by the stock location that they leave from; `*` says it of all others. A JSON object, for example
   * `{"*":{"weightGrams":1000,"sizeMm":[300,200,150],"serviceLevel":"standard"}}`, which is the default; `sender` is an address.
   */
  CARRIER_PARCELS: z.string().default("{}").pipe(parcelFacts),
  /** Who packs: people, who say so by ReportPacked and ReportShort, or a warehouse that is asked by its connector. */
  WAREHOUSE: z.enum(["people", "connector"]).default("people"),
  /** The connector of the warehouse, where that packs. */
  WAREHOUSE_CONNECTOR_ADDRESS: z.string().min(1).optional(),
  /** How often is looked for what is packed, undecided or untold; up to five times as seldom while there is nothing. */
  SWEEP_MS: milliseconds.min(10).default(200),
  /** The most time between two looks while there is much: how long what happens waits for others to be handled with. */
  SWEEP_SPACING_MS: milliseconds.default(500),
  /** How often is measured how long what is due has waited. */
  BACKLOG_EVERY_MS: milliseconds.min(10).default(5_000),
};

/** The values that the service works with. */
export type ShippingConfig = ConfigOf<typeof shippingConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;

/** A warehouse that is to be asked has to be named. */
export const warehouseTogether: Together = (given) => {
  const isMissing = given.WAREHOUSE === "connector" && !given.WAREHOUSE_CONNECTOR_ADDRESS;
  return isMissing ? ["  WAREHOUSE_CONNECTOR_ADDRESS: is not set, though WAREHOUSE is connector"] : [];
};
