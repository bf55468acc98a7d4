import { Migration } from "@mikro-orm/migrations";

/**
 * What comes back of orders. A return lies with its order, as the order's lines do; what people wrote about it lies apart, a row for each
 * text, so that it can be sealed and forgotten by itself.
 */
export class Returns extends Migration {
  override up(): void {
    for (const sql of tables) this.addSql(sql);
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from order_return) then
        raise exception 'articles came back, or are to: the version before would forget what was paid back for them';
      end if;
    end $$`);
    for (const table of ["order_return_text", "order_return_line", "order_return"]) this.addSql(`drop table ${table}`);
  }
}

const tables = [
  `create table order_return (
    order_id uuid not null,
    return_id uuid not null,
    customer_id uuid not null,
    status text not null constraint order_return_status_check check (status in
      ('requested', 'approved', 'received', 'completed', 'rejected', 'cancelled')),
    kind text not null,
    reason text not null,
    currency char(3) not null,
    amount bigint not null constraint order_return_amount_check check (amount >= 0),
    withheld bigint not null default 0 constraint order_return_withheld_check check (withheld >= 0),
    tracking_number text not null default '',
    granted_by text not null default '',
    revision int not null default 1,
    create_time timestamptz(3) not null default now(),
    update_time timestamptz(3) not null default now(),
    constraint order_return_pkey primary key (order_id, return_id)
  )`,
  "comment on table order_return is 'articles of orders that come back, or are to'",
  "comment on column order_return.amount is 'what is paid back; an estimate until the articles have come'",
  "comment on column order_return.granted_by is 'who granted a refund of which nothing comes back, as a credential has proved'",
  "create index order_return_id_idx on order_return (return_id)",
  "create index order_return_customer_idx on order_return (customer_id, return_id)",
  "create index order_return_status_idx on order_return (status, return_id)",
  `create table order_return_line (
    order_id uuid not null,
    return_id uuid not null,
    line_number int not null,
    sku text not null,
    quantity int not null constraint order_return_line_quantity_check check (quantity >= 0),
    received int not null default 0,
    restocked int not null default 0,
    location_id text not null default '',
    amount bigint not null default 0 constraint order_return_line_amount_check check (amount >= 0),
    constraint order_return_line_pkey primary key (order_id, return_id, line_number),
    constraint order_return_line_restocked_check check (restocked between 0 and received)
  )`,
  "comment on column order_return_line.received is 'how many came; what of them is not restocked is scrap'",
  `create table order_return_text (
    order_id uuid not null,
    return_id uuid not null,
    kind text not null constraint order_return_text_kind_check check (kind in ('note', 'answer')),
    customer_id uuid not null,
    text jsonb not null,
    constraint order_return_text_pkey primary key (order_id, return_id, kind)
  )`,
  "comment on table order_return_text is 'what was written about returns; a row that is forgotten is gone'",
  "comment on column order_return_text.text is 'an object, or a text: sealed'",
  "create index order_return_text_customer_idx on order_return_text (customer_id)",
  "create index order_return_text_plain_idx on order_return_text (order_id) where jsonb_typeof(text) = 'object'",
  "grant select, insert, update on order_return, order_return_line to orders",
  "grant select, insert, update (text), delete on order_return_text to orders",
];
