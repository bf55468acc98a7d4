import type { MigrationsList } from "#platform/database/migrate.ts";
import { Identity } from "./0001-identity.ts";
import { SecondFactor } from "./0002-second-factor.ts";
import { Personal } from "./0003-personal.ts";
import { MailTokenIndex } from "./0004-mail-token-index.ts";
import { Events } from "./0005-events.ts";
import { EventIndex } from "./0006-event-index.ts";

/** The identity database's migrations, oldest first. */
export const migrations: MigrationsList = [
  { name: "0001-identity", class: Identity },
  { name: "0002-second-factor", class: SecondFactor },
  { name: "0003-personal", class: Personal },
  { name: "0004-mail-token-index", class: MailTokenIndex },
  { name: "0005-events", class: Events },
  { name: "0006-event-index", class: EventIndex },
];
