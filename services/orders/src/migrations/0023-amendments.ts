import { Migration } from "@mikro-orm/migrations";

const kinds = ["placed", "shipment", "cancellation", "decision", "retry"];

/** What orders are to become, while it is not decided; and what became of the last amendment of each. */
export class Amendments extends Migration {
  override up(): void {
    for (const sql of table) this.addSql(sql);
    this.addSql("alter table customer_order add column amendment jsonb");
    this.addSql(
      "comment on column customer_order.amendment is 'the last one: number, status, times, why it was refused; null: there never was one'",
    );
    this.addSql("grant update (sku, quantity, unit_price) on order_line to orders");
    this.#allowKinds([...kinds, "amendment"]);
  }

  override down(): void {
    this.addSql("delete from order_event where kind = 'amendment'");
    this.#allowKinds(kinds);
    this.addSql("revoke update (sku, quantity, unit_price) on order_line from orders");
    this.addSql("alter table customer_order drop column amendment");
    this.addSql("drop table order_amendment");
  }

  /** Events are few, and gone after seconds. */
  #allowKinds(allowed: readonly string[]): void {
    const list = allowed.map((kind) => `'${kind}'`).join(", ");
    this.addSql("alter table order_event drop constraint order_event_kind_check");
    this.addSql(`alter table order_event add constraint order_event_kind_check check (kind in (${list})) not valid`);
    this.addSql("alter table order_event validate constraint order_event_kind_check");
  }
}

const table = [
  `create table order_amendment (
    order_id uuid not null,
    number int not null,
    lines jsonb,
    total bigint not null,
    adjustments jsonb,
    line_amounts jsonb,
    shipping_address jsonb,
    card_token text collate "C" not null,
    create_time timestamptz not null default now(),
    constraint order_amendment_pkey primary key (order_id)
  )`,
  "comment on table order_amendment is 'what orders are to become; gone when their sagas are through with it'",
  "comment on column order_amendment.lines is 'all lines, as SKU, quantity and unit price; null: as before, and so is the price'",
  "comment on column order_amendment.shipping_address is 'personal data; null: as before'",
  "grant select, insert, delete, update (card_token) on order_amendment to orders",
];
