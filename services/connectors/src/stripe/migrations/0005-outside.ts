import { Migration } from "@mikro-orm/migrations";

/** What people do in Stripe's console is listed with what was asked for. */
export class OutsideMigration extends Migration {
  override up(): void {
    this.addSql("alter table gateway_operation add column outside boolean not null default false");
    this.addSql(
      "comment on column gateway_operation.outside is 'whether somebody did it at Stripe, and nobody asked us'",
    );
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from gateway_operation where outside) then
        raise exception 'something was done at Stripe by somebody else: the version before would take it for asked for';
      end if;
    end $$`);
    this.addSql("alter table gateway_operation drop column outside");
  }
}
