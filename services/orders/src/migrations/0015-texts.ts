import { Migration } from "@mikro-orm/migrations";

/**
 * Where it lies why an order was cancelled: in a column of its own, which nobody but the customer and his agents are shown, instead of in
 * the text for the customer, in what the saga remembers and in its events. What lies there from before is moved by and by.
 *
 * The way back wants it plain, which only a process with the keys can do: `PERSONAL_DATA=plain`.
 */
export class Texts extends Migration {
  override up(): void {
    this.addSql("alter table customer_order add column cancel_reason jsonb");
    this.addSql(
      "comment on column customer_order.cancel_reason is 'why it was cancelled: an object, or a text: sealed; null: nobody said'",
    );
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from customer_order where jsonb_typeof(cancel_reason) = 'string') then
        raise exception 'reasons of cancellations are sealed: run the service with PERSONAL_DATA=plain until none is, then migrate down';
      end if;
    end $$`);
    this.addSql(`update customer_order set failure_message = left('The order was cancelled: ' || (cancel_reason ->> 'reason'), 500)
      where failure_reason = 'CANCELLED_BY_CUSTOMER' and cancel_reason is not null`);
    this.addSql("alter table customer_order drop column cancel_reason");
  }
}
