import { Migration } from "@mikro-orm/migrations";

/** When all silent parcels were looked at last; and parcels of which the simulated carrier reports nothing. */
export class LookAfterSilent extends Migration {
  override up(): void {
    this.addSql(`create table shipment_look (
      single boolean primary key default true constraint shipment_look_single_check check (single),
      look_time timestamptz not null default now()
    )`);
    this.addSql(
      "comment on table shipment_look is 'one row: when the carrier was asked about all silent parcels last'",
    );
    this.addSql("insert into shipment_look default values");
    this.addSql("grant select, update (look_time) on shipment_look to shipping");
    this.addSql(`alter table simulator.booking
      add column unreported boolean not null default false,
      add column forgotten boolean not null default false`);
  }

  override down(): void {
    this.addSql("alter table simulator.booking drop column unreported, drop column forgotten");
    this.addSql("drop table shipment_look");
  }
}
