import { Migration } from "@mikro-orm/migrations";

/** How often an order was given to an episode: what the latest asks of others comes with the highest number. No index has it. */
export class Fence extends Migration {
  override up(): void {
    this.addSql("alter table customer_order add column episodes int not null default 0");
    this.addSql(
      "comment on column customer_order.episodes is 'how many episodes there were, of which the last may carry it now; a version before this one does not count them'",
    );
  }

  override down(): void {
    this.addSql("alter table customer_order drop column episodes");
  }
}
