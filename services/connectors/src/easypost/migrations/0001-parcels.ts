import { Migration } from "@mikro-orm/migrations";

/** What EasyPost was asked for, a row for each key of a parcel and of a label. Addresses are not kept. */
export class ParcelsMigration extends Migration {
  override up(): void {
    this.addSql(`create table easypost_parcel (
      kind text not null constraint easypost_parcel_kind_check check (kind in ('parcel', 'label')),
      key text collate "C" not null,
      state text not null default 'begun' constraint easypost_parcel_state_check
        check (state in ('begun', 'sent', 'booked', 'void_sent', 'void_asked', 'cancelled', 'refused')),
      shipment_id text not null default '',
      tracking_number text not null default '',
      carrier text not null default '',
      label text not null default '',
      code text not null default '',
      voids int not null default 0,
      lease_id uuid,
      lease_time timestamptz not null default now(),
      touch_time timestamptz not null default now(),
      create_time timestamptz not null default now(),
      constraint easypost_parcel_pkey primary key (kind, key),
      constraint easypost_parcel_bought_check check (shipment_id <> '' or state in ('begun', 'cancelled', 'refused')),
      constraint easypost_parcel_void_check check (kind = 'parcel' or state not in ('void_sent', 'void_asked', 'cancelled'))
    ) with (fillfactor = 80)`);
    this.addSql(
      "create unique index easypost_parcel_shipment on easypost_parcel (shipment_id) where shipment_id <> ''",
    );
    this.addSql(
      "comment on table easypost_parcel is 'parcels and labels that EasyPost was asked for, and what came of it'",
    );
    this.addSql(
      "comment on column easypost_parcel.shipment_id is 'what EasyPost calls it: of one shipment it sells one label'",
    );
    this.addSql(
      "comment on column easypost_parcel.touch_time is 'when something was last sent, or failed, or was last looked at'",
    );
    this.addSql(`grant select, insert,
      update (state, shipment_id, tracking_number, carrier, label, code, voids, lease_id, lease_time, touch_time)
      on easypost_parcel to easypost`);
  }

  override down(): void {
    this.addSql("drop table easypost_parcel");
  }
}
