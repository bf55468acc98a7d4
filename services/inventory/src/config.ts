import { z } from "zod";
import { type ConfigOf, databaseConfig, type EventsConfig, type PlatformConfig } from "#platform/config.ts";

const milliseconds = z.coerce.number().int().min(1);

/** What the inventory service reads besides the platform's own. Durations are milliseconds. */
export const inventoryConfig = {
  ...databaseConfig,
  /** How long a hold lasts when its request does not say; 1 s to 24 h. */
  HOLD_TTL_MS: milliseconds.min(1_000).max(86_400_000).default(900_000),
  /** How often each replica looks for holds that are over. */
  EXPIRE_EVERY_MS: milliseconds.default(1_000),
  /** A level is low when no more than this is available. */
  LOW_STOCK_THRESHOLD: z.coerce.number().int().min(0).max(1_000_000_000).default(5),
  /** Subscribers are told when no more than this is available of an article at a location, and when there is more again. */
  STOCK_EVENT_THRESHOLD: z.coerce.number().int().min(0).max(1_000_000_000).default(0),
  /** How often each replica counts the levels that are low. */
  LOW_STOCK_EVERY_MS: milliseconds.default(15_000),
  /** Where orders are told that stock is set aside for them that they have waited for. */
  ORDERS_ADDRESS: z.string().default("127.0.0.1:50051"),
  /** How long one call to orders may take. */
  ORDERS_TIMEOUT_MS: milliseconds.default(5_000),
  /** The most orders that wait for one article; beyond, they are refused as if they did not want to wait. */
  BACK_ORDERS_MAX: z.coerce.number().int().min(1).max(100_000).default(10_000),
  /**
   * Between two looks at all that wait for stock, and at what orders has not heard of; five times that while there is nothing. When stock
   * arrives, nobody waits for it.
   */
  BACK_ORDERS_EVERY_MS: milliseconds.default(1_000),
  /** The most commands in one transaction. */
  STOCK_LIST_MAX: z.coerce.number().int().min(1).max(1_024).default(256),
  /** Transactions at the same time. More than one helps only when orders rarely want the same articles. */
  STOCK_LANES: z.coerce.number().int().min(1).max(16).default(1),
};

/** The values that the service works with. */
export type InventoryConfig = ConfigOf<typeof inventoryConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;
