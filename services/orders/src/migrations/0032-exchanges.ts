import { Migration } from "@mikro-orm/migrations";

/**
 * Returns for which an order is sent instead of a refund, and those orders. The way back is for who has none: the version before would charge
 * such an order to its card as a whole.
 */
export class Exchanges extends Migration {
  override up(): void {
    this.addSql(`alter table order_return
      add column exchange jsonb,
      add column exchange_state text not null default ''
        constraint order_return_exchange_check check (exchange_state in ('', 'wanted', 'made', 'refused')),
      add column exchange_order_id uuid,
      add column exchange_credit bigint not null default 0
        constraint order_return_credit_check check (exchange_credit between 0 and amount),
      add column exchange_reason text not null default ''`);
    for (const [column, what] of comments) this.addSql(`comment on column ${column} is '${what}'`);
    this.addSql("alter table customer_order add column exchange jsonb");
    this.addSql(
      "comment on column customer_order.exchange is 'the order and the return that it is sent in exchange for, and the credits that pay it; null: none'",
    );
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from order_return where exchange_state in ('wanted', 'made')) then
        raise exception 'orders are sent in exchange, or are to be: the version before would charge them once more';
      end if;
    end $$`);
    this.addSql(`alter table order_return drop column exchange, drop column exchange_state, drop column exchange_order_id,
      drop column exchange_credit, drop column exchange_reason`);
    this.addSql("alter table customer_order drop column exchange");
  }
}

const comments = [
  ["order_return.exchange", "what is to be sent instead of a refund; null: nothing"],
  ["order_return.exchange_order_id", "the order that is sent, or is to be, once the articles have come"],
  ["order_return.exchange_credit", "what of the amount pays that order"],
] as const;
