import { z } from "zod";
import { type ConfigOf, databaseConfig, type PlatformConfig } from "#platform/config.ts";

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
  /** How often each replica counts the levels that are low. */
  LOW_STOCK_EVERY_MS: milliseconds.default(15_000),
  /** The most commands in one transaction. */
  STOCK_LIST_MAX: z.coerce.number().int().min(1).max(1_024).default(256),
  /** Transactions at the same time. More than one helps only when orders rarely want the same articles. */
  STOCK_LANES: z.coerce.number().int().min(1).max(16).default(1),
};

/** The values that the service works with. */
export type InventoryConfig = ConfigOf<typeof inventoryConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME">>;
