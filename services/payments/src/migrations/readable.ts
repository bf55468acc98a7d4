import type { Readable } from "#platform/database/migrate.ts";

/** Money as the books compare it: without customers and cards. */
export const readable: Readable = {
  payment: [
    "payment_id",
    "order_id",
    "currency",
    "amount",
    "decision",
    "captured",
    "voided",
    "refunded",
    "capturing",
    "voiding",
    "refunding",
    "provider",
    "source_id",
    "credited",
    "update_time",
  ],
  payment_operation: ["operation_id", "payment_id", "kind", "amount", "freed", "state", "decide_time"],
  ledger_entry: ["payment_id", "operation_id", "kind", "debit_account", "credit_account", "currency", "amount"],
  audit_event: ["order_id", "action", "details"],
};
