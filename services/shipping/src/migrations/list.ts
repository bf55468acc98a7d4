import type { MigrationsList } from "#platform/database/migrate.ts";
import { CreateShipment } from "./0001-shipment.ts";
import { CreateSimulator } from "./0002-simulator.ts";
import { KeepTrace } from "./0003-trace.ts";
import { Audit } from "./0004-audit.ts";
import { TellOrders } from "./0005-news.ts";
import { IndexNews } from "./0006-news-index.ts";
import { LookAfterSilent } from "./0007-look.ts";
import { SealAddresses } from "./0008-personal.ts";
import { IndexPlain } from "./0009-plain-index.ts";
import { IndexForgettable } from "./0010-forget-index.ts";
import { ForgetPlaces } from "./0011-forget-places.ts";
import { Generations } from "./0012-generations.ts";
import { TurnBack } from "./0013-turn-back.ts";
import { Fence } from "./0014-fence.ts";
import { IndexReturned } from "./0015-returned-indexes.ts";
import { Events } from "./0016-events.ts";
import { EventIndex } from "./0017-event-index.ts";
import { Connectors } from "./0018-connectors.ts";
import { CallOffs } from "./0019-call-offs.ts";

/** Everything that has happened to the schema, oldest first. */
export const migrations: MigrationsList = [
  { name: "0001-shipment", class: CreateShipment },
  { name: "0002-simulator", class: CreateSimulator },
  { name: "0003-trace", class: KeepTrace },
  { name: "0004-audit", class: Audit },
  { name: "0005-news", class: TellOrders },
  { name: "0006-news-index", class: IndexNews },
  { name: "0007-look", class: LookAfterSilent },
  { name: "0008-personal", class: SealAddresses },
  { name: "0009-plain-index", class: IndexPlain },
  { name: "0010-forget-index", class: IndexForgettable },
  { name: "0011-forget-places", class: ForgetPlaces },
  { name: "0012-generations", class: Generations },
  { name: "0013-turn-back", class: TurnBack },
  { name: "0014-fence", class: Fence },
  { name: "0015-returned-indexes", class: IndexReturned },
  { name: "0016-events", class: Events },
  { name: "0017-event-index", class: EventIndex },
  { name: "0018-connectors", class: Connectors },
  { name: "0019-call-offs", class: CallOffs },
];
