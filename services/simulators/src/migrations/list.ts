import type { MigrationsList } from "#platform/database/migrate.ts";
import { GatewayMigration } from "./0001-gateway.ts";
import { ParcelsMigration } from "./0002-parcels.ts";
import { DeferredMigration } from "./0003-deferred.ts";
import { CallOffsMigration } from "./0004-call-offs.ts";

/** The schema of the simulators, oldest change first. */
export const migrations: MigrationsList = [
  { name: "0001-gateway", class: GatewayMigration },
  { name: "0002-parcels", class: ParcelsMigration },
  { name: "0003-deferred", class: DeferredMigration },
  { name: "0004-call-offs", class: CallOffsMigration },
];
