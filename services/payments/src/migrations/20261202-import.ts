import { Migration } from "@mikro-orm/migrations";
import { importRunTable } from "#platform/import/import-table.ts";

const importedTable = [
  `create table imported_payment (
    source text collate "C" not null,
    external_id text collate "C" not null,
    payment_id uuid not null,
    fingerprint bytea not null,
    constraint imported_payment_pkey primary key (source, external_id)
  )`,
  "comment on table imported_payment is 'what other shops called payments that were imported'",
  "grant select, insert on imported_payment to payments",
];

/**
 * Payments that another shop took, and who has their money. The way back is for who imported none: the version before would ask our
 * gateway to refund them.
 */
export class ImportMigration extends Migration {
  override up(): void {
    this.addSql("alter table payment add column provider text not null default ''");
    this.addSql(
      "comment on column payment.provider is 'who took the money of an imported payment; empty: our gateway'",
    );
    for (const sql of [...importedTable, ...importRunTable("payments")]) this.addSql(sql);
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from imported_payment) then
        raise exception 'payments were imported: the version before would ask the gateway to refund them';
      end if;
    end $$`);
    this.addSql("drop table import_run, imported_payment");
    this.addSql("alter table payment drop column provider");
  }
}
