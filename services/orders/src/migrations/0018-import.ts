import { Migration } from "@mikro-orm/migrations";
import { importRunTable } from "#platform/import/import-table.ts";

/**
 * What another shop called customers and orders that were imported: so nobody and nothing is imported twice, and the books know which
 * orders have neither parcels nor stock here. It stays when a customer is erased: he would be imported again.
 *
 * The way back is for a shop that imported nothing: the books of the version before would not understand it.
 */
export class Import extends Migration {
  override up(): void {
    for (const sql of [...imported, ...importRunTable("orders")]) this.addSql(sql);
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from imported_order) then
        raise exception 'orders were imported: the version before would take what was paid elsewhere for a fault';
      end if;
    end $$`);
    this.addSql("drop table import_run, imported_order, imported_customer");
  }
}

const imported = [
  `create table imported_customer (
    source text collate "C" not null,
    external_id text collate "C" not null,
    customer_id uuid not null,
    constraint imported_customer_pkey primary key (source, external_id)
  )`,
  "comment on table imported_customer is 'what other shops called customers that were imported'",
  "grant select, insert on imported_customer to orders",
  `create table imported_order (
    source text collate "C" not null,
    external_id text collate "C" not null,
    order_id uuid not null,
    customer_id uuid not null,
    fingerprint bytea not null,
    constraint imported_order_pkey primary key (source, external_id),
    constraint imported_order_order_key unique (order_id)
  )`,
  "comment on table imported_order is 'what other shops called orders that were imported'",
  "comment on column imported_order.fingerprint is 'SHA-256 of what it said, without the address'",
  "grant select, insert on imported_order to orders",
];
