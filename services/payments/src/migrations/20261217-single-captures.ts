import { Migration } from "@mikro-orm/migrations";

/** Payments that are captured once, and what their captures gave free. The way back is for who has none: the version before would capture them in parts. */
export class SingleCaptures extends Migration {
  override up(): void {
    this.addSql("alter table payment add column holds int not null default 0");
    this.addSql(
      "comment on column payment.holds is 'in how many payments, each captured once, is held what was asked for with this one; 0: it is captured in parts'",
    );
    this.addSql("alter table payment_operation add column freed bigint not null default 0");
    this.addSql("comment on column payment_operation.freed is 'what of the hold a capture gave free besides'");
    this.addSql("grant update (freed) on payment_operation to payments");
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from payment where holds > 0) then
        raise exception 'payments are captured once: the version before would capture them in parts';
      end if;
    end $$`);
    this.addSql("alter table payment_operation drop column freed");
    this.addSql("alter table payment drop column holds");
  }
}
