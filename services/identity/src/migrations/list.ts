import type { MigrationsList } from "#platform/database/migrate.ts";
import { Identity } from "./0001-identity.ts";
import { SecondFactor } from "./0002-second-factor.ts";

/** The identity database's migrations, oldest first. */
export const migrations: MigrationsList = [
  { name: "0001-identity", class: Identity },
  { name: "0002-second-factor", class: SecondFactor },
];
