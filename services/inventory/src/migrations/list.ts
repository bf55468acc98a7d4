import type { MigrationsList } from "#platform/database/migrate.ts";
import { Stock } from "./0001-inventory.ts";
import { LowStock } from "./0002-low-stock.ts";
import { Audit } from "./0003-audit.ts";
import { Import } from "./0004-import.ts";
import { BackOrders } from "./0005-back-orders.ts";
import { Returns } from "./0006-returns.ts";
import { Amendments } from "./0007-amendments.ts";
import { Missing } from "./0008-missing.ts";
import { Fence } from "./0009-fence.ts";
import { Events } from "./0010-events.ts";
import { EventIndex } from "./0011-event-index.ts";

/** The inventory database's migrations, oldest first. */
export const migrations: MigrationsList = [
  { name: "0001-inventory", class: Stock },
  { name: "0002-low-stock", class: LowStock },
  { name: "0003-audit", class: Audit },
  { name: "0004-import", class: Import },
  { name: "0005-back-orders", class: BackOrders },
  { name: "0006-returns", class: Returns },
  { name: "0007-amendments", class: Amendments },
  { name: "0008-missing", class: Missing },
  { name: "0009-fence", class: Fence },
  { name: "0010-events", class: Events },
  { name: "0011-event-index", class: EventIndex },
];
