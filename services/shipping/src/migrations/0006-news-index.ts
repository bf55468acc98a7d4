import { IndexMigration } from "#platform/database/index-migration.ts";

/** What orders is to be told. There already where an earlier form of `0005-news` was applied. */
export class IndexNews extends IndexMigration {
  // The condition is that of the statements in order-report.repository.ts, word for word, or they do not find the index.
  protected override readonly indexes = {
    shipment_news_idx: `shipment (news_due_time) where coalesce(reported, saga_id = '') and case
      when status = 'ready' and told_news = '' then 'packed'
      when status = 'failed' and failed_by = 'warehouse' and told_news = '' then 'packing_failed'
      when status = 'failed' and failed_by = 'carrier' and awaited and told_news in ('', 'packed') then 'booking_refused'
      when status in ('shipped', 'delivered', 'lost') and awaited and told_news in ('', 'packed') then 'booked'
      when status in ('delivered', 'lost') and told_news in ('', 'packed', 'booked') then status
      when status = 'cancelled' and awaited and told_news in ('', 'packed') then 'cancelled'
    end is not null`,
  };
}
