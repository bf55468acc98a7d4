import type { MigrationsList } from "#platform/database/migrate.ts";
import { PaymentsMigration } from "./20261121-payments.ts";
import { SimulatorMigration } from "./20261121-simulator.ts";
import { AuditMigration } from "./20261122-audit.ts";
import { RefundRequestsMigration } from "./20261201-refund-requests.ts";
import { RefundsAloneIndex } from "./20261201-refunds-alone-index.ts";
import { ImportMigration } from "./20261202-import.ts";
import { FenceMigration } from "./20261204-fence.ts";
import { EventIndex } from "./20261205-event-index.ts";
import { Events } from "./20261205-events.ts";
import { CreditsMigration } from "./20261206-credits.ts";
import { CreditsIndex } from "./20261206-credits-index.ts";
import { ConnectorMigration } from "./20261207-connector.ts";
import { GatewayEventsMigration } from "./20261208-gateway-events.ts";
import { GatewayEventIndex } from "./20261209-gateway-event-index.ts";
import { DisputesMigration } from "./20261215-disputes.ts";
import { WaitingEventsMigration } from "./20261216-waiting-events.ts";
import { SingleCaptures } from "./20261217-single-captures.ts";
import { DisputeTime } from "./20261218-dispute-time.ts";
import { DisputeIndex } from "./20261219-dispute-index.ts";

/** The schema of the payments service, oldest change first. */
export const migrations: MigrationsList = [
  { name: "20261121-payments", class: PaymentsMigration },
  { name: "20261121-simulator", class: SimulatorMigration },
  { name: "20261122-audit", class: AuditMigration },
  { name: "20261201-refund-requests", class: RefundRequestsMigration },
  { name: "20261201-refunds-alone-index", class: RefundsAloneIndex },
  { name: "20261202-import", class: ImportMigration },
  { name: "20261204-fence", class: FenceMigration },
  { name: "20261205-events", class: Events },
  { name: "20261205-event-index", class: EventIndex },
  { name: "20261206-credits", class: CreditsMigration },
  { name: "20261206-credits-index", class: CreditsIndex },
  { name: "20261207-connector", class: ConnectorMigration },
  { name: "20261208-gateway-events", class: GatewayEventsMigration },
  { name: "20261209-gateway-event-index", class: GatewayEventIndex },
  { name: "20261215-disputes", class: DisputesMigration },
  { name: "20261216-waiting-events", class: WaitingEventsMigration },
  { name: "20261217-single-captures", class: SingleCaptures },
  { name: "20261218-dispute-time", class: DisputeTime },
  { name: "20261219-dispute-index", class: DisputeIndex },
];
