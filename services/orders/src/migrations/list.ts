import type { MigrationsList } from "#platform/database/migrate.ts";
import { Orders } from "./0001-orders.ts";
import { Audit } from "./0002-audit.ts";
import { Episodes } from "./0003-episodes.ts";
import { Faults } from "./0004-faults.ts";
import { Indexes } from "./0005-indexes.ts";
import { EventHaste } from "./0006-event-haste.ts";
import { Personal } from "./0007-personal.ts";
import { PlainIndex } from "./0008-plain-index.ts";
import { Erasures } from "./0009-erasure.ts";
import { AcceptTime } from "./0010-accept-time.ts";
import { DeleteOrders } from "./0011-delete-orders.ts";
import { Screening } from "./0012-screening.ts";
import { ReviewIndex } from "./0013-review-index.ts";
import { Prices } from "./0014-prices.ts";
import { Texts } from "./0015-texts.ts";
import { TextIndexes } from "./0016-text-indexes.ts";
import { RetentionPlace } from "./0017-retention.ts";
import { Import } from "./0018-import.ts";
import { BackOrders } from "./0019-back-orders.ts";
import { Statistics } from "./0019-statistics.ts";
import { BackOrderIndex } from "./0021-back-order-index.ts";

/** All migrations, the oldest first. A name never changes once it is released. */
export const migrations: MigrationsList = [
  { name: "0001_orders", class: Orders },
  { name: "0002_audit", class: Audit },
  { name: "0003_episodes", class: Episodes },
  { name: "0004_faults", class: Faults },
  { name: "0005_indexes", class: Indexes },
  { name: "0006_event_haste", class: EventHaste },
  { name: "0007_personal", class: Personal },
  { name: "0008_plain_index", class: PlainIndex },
  { name: "0009_erasure", class: Erasures },
  { name: "0010_accept_time", class: AcceptTime },
  { name: "0011_delete_orders", class: DeleteOrders },
  { name: "0012_screening", class: Screening },
  { name: "0013_review_index", class: ReviewIndex },
  { name: "0014_prices", class: Prices },
  { name: "0015_texts", class: Texts },
  { name: "0016_text_indexes", class: TextIndexes },
  { name: "0017_retention", class: RetentionPlace },
  { name: "0018_import", class: Import },
  { name: "0019_back_orders", class: BackOrders },
  { name: "0019_statistics", class: Statistics },
  { name: "0021_back_order_index", class: BackOrderIndex },
];
