import { Migration } from "@mikro-orm/migrations";
import { importRunTable } from "#platform/import/import-table.ts";

/** Which stock came with other shops, so that none of it comes twice. */
export class Import extends Migration {
  override up(): void {
    this.addSql(`create table imported_stock (
      source text collate "C" not null,
      sku text not null,
      location_id text not null,
      on_hand bigint not null,
      create_time timestamptz not null default now(),
      constraint imported_stock_pkey primary key (source, sku, location_id)
    )`);
    this.addSql("comment on table imported_stock is 'what other shops brought along'");
    this.addSql("grant select, insert on imported_stock to inventory");
    for (const sql of importRunTable("inventory")) this.addSql(sql);
  }

  override down(): void {
    this.addSql("drop table import_run, imported_stock");
  }
}
