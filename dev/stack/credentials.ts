import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DatabaseService, databaseServices } from "./layout.ts";

/** The secrets of one stack, made at its first start and kept beside its data. */
export interface Credentials {
  /** PostgreSQL's superuser. */
  readonly postgres: string;
  readonly roles: Readonly<Record<DatabaseService, { readonly runtime: string; readonly owner: string }>>;
  readonly pageTokenSecret: string;
}

/** Reads the secrets of the stack in this folder, or makes them. */
export function credentialsIn(dataDirectory: string): Credentials {
  const file = join(dataDirectory, "credentials.json");
  const present = readFile(file);
  if (present) return JSON.parse(present) as Credentials;
  const roles = databaseServices.map((service) => [service, { runtime: secret(), owner: secret() }] as const);
  const made: Credentials = {
    postgres: secret(),
    roles: Object.fromEntries(roles) as Credentials["roles"],
    pageTokenSecret: secret(),
  };
  writeFileSync(file, JSON.stringify(made, null, 2), { mode: 0o600 });
  return made;
}

function readFile(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function secret(): string {
  return randomBytes(24).toString("base64url");
}
