import { resolve } from "node:path";

/** The repository: where commands run, and what the paths of their arguments are relative to. */
export const root = resolve(import.meta.dirname, "../..");
