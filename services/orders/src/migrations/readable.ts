import type { Readable } from "#platform/database/migrate.ts";

/** Orders as the books compare them: without names, addresses and cards, nor what adjustments of prices are called. */
export const readable: Readable = {
  customer_order: [
    "order_id",
    "status",
    "currency",
    "total",
    "line_amounts",
    "shipments",
    "history",
    "create_time",
    "update_time",
    "saga_id",
    "episode_id",
    "last_episode_id",
    "parked_step",
    "park_time",
    "review_time",
    "review_decision",
    "back_order_time",
    "stock_time",
    "amendment",
    "shortage",
    "rest_of",
    "exchange",
  ],
  order_event: ["order_id", "due_time"],
  episode: ["episode_id", "start_time"],
  order_line: ["order_id", "line_number", "sku", "quantity"],
  // What payments that were made elsewhere are found by, too.
  imported_order: ["source", "external_id", "order_id", "customer_id"],
  order_return: ["order_id", "return_id", "status", "amount", "exchange_state", "exchange_order_id"],
  order_return_line: ["order_id", "return_id", "sku", "restocked", "location_id"],
  audit_event: ["order_id", "action", "details"],
};
