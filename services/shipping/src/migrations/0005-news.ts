import { Migration } from "@mikro-orm/migrations";

/**
 * What orders has heard of the shipments that are reported to it; what it has not heard follows from the row.
 *
 * A process of the version before does not know `reported` and drops it: what it created for an order of the present kind is
 * known by having no saga. Its rows leave the column null, which says just that. The index of what there is to tell was made
 * here at first, which kept everybody from writing for as long as it took; see `0006-news-index`.
 */
export class TellOrders extends Migration {
  override up(): void {
    this.addSql(`alter table shipment
      add column reported boolean,
      add column awaited boolean not null default false,
      add column told_news text not null default '' constraint shipment_told_news_check check (told_news in
        ('', 'packed', 'packing_failed', 'booked', 'booking_refused', 'delivered', 'lost', 'cancelled')),
      add column news_due_time timestamptz not null default '-infinity',
      add column news_attempts int4 not null default 0,
      add column news_refusal text not null default ''`);
    this.addSql("comment on column shipment.reported is 'orders is told what becomes of it; null: if it has no saga'");
    this.addSql("comment on column shipment.awaited is 'a caller was answered before the carrier and waits for news'");
    this.addSql("comment on column shipment.told_news is 'what orders has heard last; empty: nothing'");
    this.addSql("comment on column shipment.news_due_time is 'when to tell what orders has not heard'");
    this.addSql("comment on column shipment.news_attempts is 'how often that was tried'");
    this.addSql(
      "comment on column shipment.news_refusal is 'why orders refused what it was told last; empty: it did not'",
    );
    this.addSql(
      "grant update (awaited, told_news, news_due_time, news_attempts, news_refusal) on shipment to shipping",
    );
  }

  override down(): void {
    this.addSql(`alter table shipment drop column reported, drop column awaited, drop column told_news,
      drop column news_due_time, drop column news_attempts, drop column news_refusal`);
  }
}
