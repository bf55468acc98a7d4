import { Migration } from "@mikro-orm/migrations";
import { idempotencyTable } from "#platform/database/idempotency.ts";

/**
 * Customers, orders and their lines.
 *
 * Orders reference customers without a foreign key: an order is inserted by a join with its customer, customers are never
 * deleted, and the key's lock on the customer's row would be taken by every order of a busy customer.
 */
export class Orders extends Migration {
  override up(): void {
    for (const sql of [...customer, ...order, ...idempotencyTable("orders")]) this.addSql(sql);
  }

  override down(): void {
    for (const table of ["idempotency_key", "order_line", "customer_order", "customer"]) {
      this.addSql(`drop table ${table}`);
    }
  }
}

const customer = [
  `create table customer (
    customer_id uuid not null,
    given_name text not null,
    family_name text not null,
    email text not null,
    phone text not null default '',
    revision int not null default 1,
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint customer_pkey primary key (customer_id)
  )`,
  "create unique index customer_email_key on customer (lower(email))",
  "grant select, insert, update on customer to orders",
];

const order = [
  `create table customer_order (
    order_id uuid not null,
    customer_id uuid not null,
    given_name text not null,
    family_name text not null,
    email text not null,
    status text not null constraint customer_order_status_check check (status in
      ('pending', 'confirmed', 'preparing', 'shipped', 'delivered', 'rejected', 'cancelled', 'failed')),
    currency char(3) not null,
    total bigint not null constraint customer_order_total_check check (total between 0 and 1000000000000),
    shipping_address jsonb not null,
    shipments jsonb not null default '[]',
    failure_reason text,
    failure_message text,
    history jsonb not null,
    revision int not null default 1,
    create_time timestamptz not null,
    update_time timestamptz not null,
    saga_id uuid not null,
    dispatch_time timestamptz,
    dispatch_claim_time timestamptz,
    card_token text,
    traceparent text not null default '',
    constraint customer_order_pkey primary key (order_id),
    constraint customer_order_card_token_check check (card_token is not null or dispatch_time is not null)
  )`,
  "comment on column customer_order.saga_id is 'the workflow; the same for all orders of one insert'",
  "comment on column customer_order.dispatch_time is 'when the worker acknowledged the start of the saga'",
  "comment on column customer_order.dispatch_claim_time is 'when a relay last took it on; others leave it alone for a while'",
  "comment on column customer_order.card_token is 'kept until the worker has it'",
  "create index customer_order_customer_idx on customer_order (customer_id, order_id desc)",
  "create index customer_order_status_idx on customer_order (status, order_id desc)",
  "create index customer_order_customer_status_idx on customer_order (customer_id, status, order_id desc)",
  "create index customer_order_undispatched_idx on customer_order (saga_id) where dispatch_time is null",
  "grant select, insert, update on customer_order to orders",
  `create table order_line (
    order_id uuid not null constraint order_line_order_id_fkey references customer_order,
    line_number int not null,
    sku text not null,
    quantity int not null constraint order_line_quantity_check check (quantity between 1 and 10000),
    unit_price bigint not null constraint order_line_unit_price_check check (unit_price >= 0),
    constraint order_line_pkey primary key (order_id, line_number)
  )`,
  "grant select, insert on order_line to orders",
];
