import { Migration } from "@mikro-orm/migrations";

/**
 * Finds levels with little stock by an index. An index on what is available would have to be written with every change of
 * a level; the number of its digits changes seldom, and a level whose indexed columns stay is updated in place.
 */
export class LowStock extends Migration {
  override up(): void {
    this.addSql(`alter table stock_level add column available_digits int2 not null
      generated always as (length((on_hand - reserved)::text)) stored`);
    this.addSql("create index stock_level_available_idx on stock_level (available_digits)");
  }

  override down(): void {
    this.addSql("drop index stock_level_available_idx");
    this.addSql("alter table stock_level drop column available_digits");
  }
}
