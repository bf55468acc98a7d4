import { Migration } from "@mikro-orm/migrations";

/** Since when a refusal of a parcel may be one that passes. */
export class DoubtMigration extends Migration {
  override up(): void {
    this.addSql("alter table easypost_parcel add column doubt_time timestamptz");
    this.addSql("comment on column easypost_parcel.doubt_time is 'when it was first refused in a way that may pass'");
    this.addSql("grant update (doubt_time) on easypost_parcel to easypost");
  }

  override down(): void {
    this.addSql("alter table easypost_parcel drop column doubt_time");
  }
}
