import { Migration } from "@mikro-orm/migrations";

/** Who is forgotten, and what of it is to be done yet. The list stays: it is replayed where a backup from before is restored. */
export class Erasures extends Migration {
  override up(): void {
    this.addSql("alter table customer add column erase_time timestamptz");
    this.addSql("comment on column customer.erase_time is 'when it was forgotten who it is'");
    this.addSql(`create table erasure (
      customer_id uuid not null,
      erase_time timestamptz not null,
      due_time timestamptz,
      constraint erasure_pkey primary key (customer_id)
    )`);
    this.addSql("comment on table erasure is 'customers who are forgotten'");
    this.addSql(
      "comment on column erasure.due_time is 'when something of its orders is to be forgotten next; null: nothing'",
    );
    this.addSql("create index erasure_due_idx on erasure (due_time) where due_time is not null");
    this.addSql("grant select, insert, update (due_time) on erasure to orders");
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from erasure) then
        raise exception 'customers are erased: the version before would show them, without names, as if they could order';
      end if;
    end $$`);
    this.addSql("drop table erasure");
    this.addSql("alter table customer drop column erase_time");
  }
}
