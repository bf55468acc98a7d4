import { IndexMigration } from "#platform/database/index-migration.ts";

/** What is parked, and who is awaited. There already where an earlier form of `0003_episodes` was applied. */
export class Indexes extends IndexMigration {
  protected override readonly indexes = {
    customer_order_parked_idx: "customer_order (park_time, order_id) where park_time is not null",
    customer_order_waiting_idx: "customer_order (waits_for) where waits_for is not null",
  };
}
