import { Migration } from "@mikro-orm/migrations";
import { personalKeyTable } from "#platform/personal/personal-key.ts";

/**
 * Where addresses are sealed: a text in the column in which an object is plain. Nothing is sealed here, and what a process of the version
 * before writes is plain: it is sealed by and by. The way back wants everything plain, which only a process with the keys can do.
 */
export class SealAddresses extends Migration {
  override up(): void {
    for (const sql of personalKeyTable("shipping", "the order")) this.addSql(sql);
    this.addSql(
      "comment on column shipment.address is 'an object, or a text: sealed; null: a cancellation that came before'",
    );
    this.addSql("grant update (address) on shipment to shipping");
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from shipment where jsonb_typeof(address) = 'string') then
        raise exception 'addresses are sealed: run the service with PERSONAL_DATA=plain until none is, then migrate down';
      end if;
    end $$`);
    this.addSql("revoke update (address) on shipment from shipping");
    this.addSql("drop table personal_key");
  }
}
