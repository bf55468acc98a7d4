import type { Readable } from "#platform/database/migrate.ts";

/** Stock as the books compare it. */
export const readable: Readable = {
  stock_level: ["sku", "location_id", "on_hand", "reserved", "update_time"],
  reservation: ["order_id", "missing"],
  allocation: ["order_id", "sku", "location_id", "quantity", "status"],
  stock_movement: ["movement_id", "sku", "location_id", "kind", "on_hand_delta", "reserved_delta", "order_id"],
  back_order_line: ["sku", "place", "order_id", "quantity", "wait_time"],
  back_order_news: ["order_id"],
  audit_event: ["order_id", "action", "details"],
};
