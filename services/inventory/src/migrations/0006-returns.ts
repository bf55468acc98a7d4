import { Migration } from "@mikro-orm/migrations";

/** The ledger takes what customers send back. What is there obeys the rule already: it was narrower, so nobody has to read it all. */
export class Returns extends Migration {
  override up(): void {
    this.addSql("alter table stock_movement drop constraint stock_movement_kind_check");
    this.addSql(`alter table stock_movement add constraint stock_movement_kind_check
      check (kind in ('adjustment', 'reservation', 'commit', 'release', 'expiry', 'return')) not valid`);
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from stock_movement where kind = 'return') then
        raise exception 'articles have come back, which the version before does not know: its ledger would not add up';
      end if;
    end $$`);
    this.addSql("alter table stock_movement drop constraint stock_movement_kind_check");
    this.addSql(`alter table stock_movement add constraint stock_movement_kind_check
      check (kind in ('adjustment', 'reservation', 'commit', 'release', 'expiry')) not valid`);
  }
}
