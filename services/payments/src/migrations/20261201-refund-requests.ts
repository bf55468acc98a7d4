import { Migration } from "@mikro-orm/migrations";

const requestTable = `create table refund_request (
  refund_request_id uuid constraint refund_request_pkey primary key,
  payment_id uuid not null,
  currency char(3) not null,
  amount bigint not null check (amount > 0),
  reason text not null,
  state text not null default 'waiting' check (state in ('waiting', 'approved', 'rejected', 'expired')),
  requester text not null check (requester <> ''),
  decider text not null default '',
  decision_reason text not null default '',
  actor text not null,
  request_id text not null,
  traceparent text not null,
  create_time timestamptz(3) not null,
  expire_time timestamptz(3) not null,
  decide_time timestamptz(3),
  constraint refund_request_decided check ((decide_time is not null) = (state <> 'waiting')),
  constraint refund_request_two_people check (
    (decider <> '') = (state in ('approved', 'rejected')) and decider <> requester)
)`;

const indexes = [
  "create index refund_request_create_time_idx on refund_request (create_time, refund_request_id)",
  "create index refund_request_state_idx on refund_request (state, create_time, refund_request_id)",
  "create index refund_request_payment_idx on refund_request (payment_id, create_time, refund_request_id)",
  "create index refund_request_waiting_idx on refund_request (expire_time) where state = 'waiting'",
];

/** Who asked for what never changes. */
const grants = [
  "grant select, insert on refund_request to payments",
  "grant update (state, decider, decision_reason, decide_time) on refund_request to payments",
];

/** Refunds that need a second person, and which went without one. */
export class RefundRequestsMigration extends Migration {
  override up(): void {
    for (const sql of [requestTable, ...indexes, ...grants]) this.addSql(sql);
    this.addSql("alter table payment_operation add column alone boolean not null default false");
  }

  override down(): void {
    this.addSql("alter table payment_operation drop column alone");
    this.addSql("drop table refund_request");
  }
}
