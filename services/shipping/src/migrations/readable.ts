import type { Readable } from "#platform/database/migrate.ts";

/** Parcels as the books compare them: without addresses. */
export const readable: Readable = {
  shipment: [
    "shipment_id",
    "order_id",
    "location_id",
    "status",
    "tracking_number",
    "failed_by",
    "reported",
    "awaited",
    "told_news",
  ],
  audit_event: ["order_id", "action", "details"],
};
