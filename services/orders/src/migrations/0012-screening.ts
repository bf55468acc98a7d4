import { Migration } from "@mikro-orm/migrations";

/**
 * What orders have in common, so that many of them in a short time are noticed, and what was found about those that do not simply go on.
 *
 * The keys say that two are the same, and nothing else: without the key of the keyed hash nobody can try cards or addresses. Rows are
 * forgotten after some weeks, and with their customer.
 */
export class Screening extends Migration {
  override up(): void {
    for (const sql of [...trace, ...review]) this.addSql(sql);
  }

  override down(): void {
    this.addSql("drop table order_screening");
    this.addSql(`alter table customer_order drop column review_time, drop column review_reasons, drop column review_decision,
      drop column review_decide_time`);
  }
}

const trace = [
  `create table order_screening (
    order_id uuid not null,
    customer_id uuid not null,
    accept_time timestamptz not null default now(),
    country char(2) not null,
    card_key bigint not null,
    address_key bigint not null,
    postal_key bigint not null,
    constraint order_screening_pkey primary key (order_id)
  )`,
  "comment on table order_screening is 'by what orders resemble each other; kept for some weeks'",
  "comment on column order_screening.card_key is 'keyed hash of the card token; the others likewise'",
  "create index order_screening_customer_idx on order_screening (customer_id, accept_time)",
  "create index order_screening_card_idx on order_screening (card_key, accept_time)",
  "create index order_screening_address_idx on order_screening (address_key, accept_time)",
  "create index order_screening_time_idx on order_screening using brin (accept_time)",
  "grant select, insert, delete on order_screening to orders",
];

const review = [
  `alter table customer_order
    add column review_time timestamptz(3),
    add column review_reasons text[],
    add column review_decision text,
    add column review_decide_time timestamptz`,
  "comment on column customer_order.review_time is 'since when a person is, or was, to decide whether it goes on'",
  "comment on column customer_order.review_reasons is 'the rules that found something'",
  "comment on column customer_order.review_decision is 'released, refused or expired; refused without a review_time: by the rules'",
];
