import type { Readable } from "#platform/database/migrate.ts";

/** The books ask by the contract, as they would ask anybody. */
export const readable: Readable = {};
