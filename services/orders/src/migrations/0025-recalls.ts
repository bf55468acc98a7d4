import { Migration } from "@mikro-orm/migrations";

/** Orders that are cancelled when parcels of them have left, returns of whole parcels, and the labels of returns. */
export class Recalls extends Migration {
  override up(): void {
    this.addSql("alter table customer_order add column recall jsonb");
    this.addSql(
      "comment on column customer_order.recall is 'it was cancelled when parcels had left: locations of those that were not with the customer; null: it was not'",
    );
    this.addSql(`alter table order_return
      add column parcel_location_id text not null default '',
      add column label_state text not null default ''
        constraint order_return_label_state_check check (label_state in ('', 'wanted', 'made', 'refused')),
      add column label text not null default '',
      add column label_code text not null default ''`);
    this.addSql(
      "comment on column order_return.parcel_location_id is 'where the parcel left from that comes back as a whole; empty: articles do'",
    );
    this.addSql("comment on column order_return.label is 'where the customer gets it, as the carrier says'");
  }

  override down(): void {
    this.addSql(`alter table order_return drop column parcel_location_id, drop column label_state, drop column label,
      drop column label_code`);
    this.addSql("alter table customer_order drop column recall");
  }
}
