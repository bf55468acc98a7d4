import { Migration } from "@mikro-orm/migrations";

/**
 * Orders that wait for stock. That an order waits stands in its reservation, which is locked before anything is done for it; here
 * is the queue of each article, and whose turn has come without orders knowing it.
 */
export class BackOrders extends Migration {
  override up(): void {
    this.addSql("alter table reservation add column wait jsonb");
    this.addSql(
      "comment on column reservation.wait is 'what the order waits for, or has waited for; null: it never did'",
    );
    this.addSql("create sequence back_order_place");
    // Rows come and go: what is dead is to be removed by its number, not by its share of the few that live.
    this.addSql(`create table back_order_line (
      sku text not null,
      place bigint not null,
      order_id uuid not null,
      quantity bigint not null,
      wait_time timestamptz(3) not null,
      constraint back_order_line_pkey primary key (sku, place)
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`);
    this.addSql("comment on column back_order_line.place is 'the turn of the order, the same in all its lines'");
    this.addSql("create index back_order_line_order_idx on back_order_line (order_id)");
    this.addSql(`create table back_order_news (
      order_id uuid not null,
      serve_time timestamptz not null default clock_timestamp(),
      due_time timestamptz not null default '-infinity',
      attempts int not null default 0,
      constraint back_order_news_pkey primary key (order_id)
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`);
    this.addSql(
      "comment on table back_order_news is 'orders whose turn has come, until the orders service has heard of it'",
    );
    this.addSql("create index back_order_news_due_idx on back_order_news (due_time)");
    this.addSql("grant usage on sequence back_order_place to inventory");
    this.addSql("grant select, insert, delete on back_order_line to inventory");
    this.addSql("grant select, insert, update, delete on back_order_news to inventory");
  }

  override down(): void {
    this.addSql("drop table back_order_news");
    this.addSql("drop table back_order_line");
    this.addSql("drop sequence back_order_place");
    this.addSql("alter table reservation drop column wait");
  }
}
