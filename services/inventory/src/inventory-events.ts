import { StockEventSchema, StockLevelEventSchema } from "#gen/shop/events/v1/stock_event_pb.js";
import { type Details, wholeIn } from "#platform/events/details.ts";
import { type EventTypes, internal, told } from "#platform/events/event-types.ts";

/** Quantities by `sku@location`; what else the details have is named without an `@`. */
function partsIn(details: Details) {
  return Object.keys(details)
    .filter((name) => name.includes("@"))
    .map((name) => {
      const at = name.lastIndexOf("@");
      return { sku: name.slice(0, at), locationId: name.slice(at + 1), quantity: wholeIn(details, name) ?? 0n };
    });
}

/** Stock of an order, or of a level. */
const moved = told(StockEventSchema, ({ orderId, details }) => ({
  orderId,
  returnId: details.return ?? "",
  parts: partsIn(details),
}));

/** What an order waits for, or does not get: articles, wherever they are. */
const wanted = told(StockEventSchema, ({ orderId, details }) => ({
  orderId,
  parts: Object.keys(details)
    .filter((name) => name !== "on_behalf_of")
    .map((sku) => ({ sku, quantity: wholeIn(details, sku) ?? 0n })),
}));

const level = told(StockLevelEventSchema, ({ details }) => ({
  sku: details.sku ?? "",
  locationId: details.location ?? "",
  available: wholeIn(details, "available") ?? 0n,
  threshold: wholeIn(details, "threshold") ?? 0n,
}));

/** What becomes of each action in the audit log of inventory. */
export const inventoryEvents = {
  "stock.reserved": moved,
  "stock.confirmed": moved,
  "stock.committed": moved,
  "stock.released": moved,
  "stock.expired": moved,
  "stock.returned": moved,
  "stock.adjusted": moved,
  "stock.imported": moved,
  "stock.missing": wanted,
  "stock.awaited": wanted,
  "stock.unawaited": wanted,
  "stock.low": level,
  "stock.available": level,
  "audit.read": internal("Somebody read the audit log."),
} as const satisfies EventTypes;
