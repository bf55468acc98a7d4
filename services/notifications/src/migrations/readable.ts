import type { Readable } from "#platform/database/migrate.ts";

/** The books are about orders, money, stock and parcels. */
export const readable: Readable = {};
