import { Migration } from "@mikro-orm/migrations";

/** What carriers said of where a parcel is goes with its address: somebody may have written there who took it. */
export class ForgetPlaces extends Migration {
  override up(): void {
    this.addSql("grant update (place) on tracking_event to shipping");
  }

  override down(): void {
    this.addSql("revoke update (place) on tracking_event from shipping");
  }
}
