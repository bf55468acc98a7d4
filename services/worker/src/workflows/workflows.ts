/** The workflows of the worker: what this module exports. */
export { carryOrders } from "./carry-orders.ts";
export { processOrders } from "./legacy/process-orders.ts";
export { lookAfterShipments } from "./look-after-shipments.ts";
export { countOrders, expireHolds } from "./scheduled-work.ts";
