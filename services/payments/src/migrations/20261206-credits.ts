import { Migration } from "@mikro-orm/migrations";

/** Checks are added without looking at the rows that are there: none of before has anything of it. */
const checks = [
  ["payment", "payment_not_more_than_captured", "refunded + refunding + credited <= captured and credited >= 0"],
  ["payment", "payment_credit_of_another", "source_id <> payment_id"],
  [
    "ledger_entry",
    "ledger_entry_kind_check",
    "kind in ('authorization', 'authorization_end', 'capture', 'refund', 'credit')",
  ],
] as const;

/**
 * Payments by what others have captured. The way back is for who made none: the version before would refund what is credited, and ask the gateway
 * for what it knows nothing of.
 */
export class CreditsMigration extends Migration {
  override up(): void {
    this.addSql("alter table payment add column source_id uuid, add column credited bigint not null default 0");
    this.addSql("comment on column payment.source_id is 'the payment that it is a credit of; null: a card pays'");
    this.addSql(
      "comment on column payment.credited is 'what of the captured pays other orders, given back since or not'",
    );
    this.addSql("alter table payment drop constraint payment_not_more_than_captured");
    this.addSql("alter table ledger_entry drop constraint ledger_entry_kind_check");
    for (const [table, name, condition] of checks) {
      this.addSql(`alter table ${table} add constraint ${name} check (${condition}) not valid`);
    }
    this.addSql("grant update (credited) on payment to payments");
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from payment where credited > 0) then
        raise exception 'payments were credited to other orders: the version before would refund them once more';
      end if;
    end $$`);
    for (const [table, name] of checks) this.addSql(`alter table ${table} drop constraint ${name}`);
    this.addSql(`alter table ledger_entry add constraint ledger_entry_kind_check
      check (kind in ('authorization', 'authorization_end', 'capture', 'refund')) not valid`);
    this.addSql(`alter table payment add constraint payment_not_more_than_captured
      check (refunded + refunding <= captured) not valid`);
    this.addSql("alter table payment drop column source_id, drop column credited");
  }
}
