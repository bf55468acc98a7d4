import type { Readable } from "#platform/database/migrate.ts";

/** Nobody but the service reads who people are, and what they prove it with. */
export const readable: Readable = {};
