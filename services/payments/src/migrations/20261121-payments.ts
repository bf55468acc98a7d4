import { Migration } from "@mikro-orm/migrations";
import { idempotencyTable } from "#platform/database/idempotency.ts";
import { resetDefaults, setDefaults } from "#platform/database/settings.ts";

const paymentTable = `create table payment (
  payment_id uuid constraint payment_pkey primary key,
  order_id uuid,
  customer_id uuid,
  card_token text not null,
  currency char(3) not null,
  amount bigint not null,
  decision text not null check (decision in ('undecided', 'approved', 'declined', 'forestalled')),
  captured bigint not null default 0 check (captured >= 0),
  voided bigint not null default 0 check (voided >= 0),
  refunded bigint not null default 0 check (refunded >= 0),
  capturing bigint not null default 0 check (capturing >= 0),
  voiding bigint not null default 0 check (voiding >= 0),
  refunding bigint not null default 0 check (refunding >= 0),
  closing boolean not null default false,
  decline_code text not null default '',
  gateway_reference text not null default '',
  create_time timestamptz(3) not null default now(),
  update_time timestamptz(3) not null default now(),
  status text not null generated always as (case
    when decision = 'undecided' then 'pending'
    when decision = 'declined' then 'declined'
    when decision = 'approved' and amount - captured - voided > 0 then 'authorized'
    when captured = 0 then 'voided'
    when refunded = captured then 'refunded'
    else 'captured' end) stored,
  constraint payment_not_more_than_authorized check (captured + voided + capturing + voiding <= amount),
  constraint payment_not_more_than_captured check (refunded + refunding <= captured),
  constraint payment_needs_approval check (decision = 'approved' or captured + voided + capturing = 0),
  constraint payment_known_unless_forestalled check (
    case when decision = 'forestalled' then amount = 0 and order_id is null and customer_id is null
    else amount > 0 and order_id is not null and customer_id is not null end)
) with (fillfactor = 85)`;

const operationTable = `create table payment_operation (
  operation_id uuid constraint payment_operation_pkey primary key,
  payment_id uuid not null references payment,
  kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
  amount bigint check (amount >= 0),
  state text not null check (state in ('waiting', 'pending', 'succeeded', 'refused')),
  refusal_code text not null default '',
  overtaken boolean not null default false,
  reason text not null default '',
  attempts integer not null default 0,
  next_attempt_time timestamptz(3) not null,
  captured_after bigint,
  voided_after bigint,
  refunded_after bigint,
  create_time timestamptz(3) not null default now(),
  decide_time timestamptz(3),
  constraint payment_operation_amount_known check (amount is not null or state = 'waiting'),
  constraint payment_operation_decided check ((decide_time is not null) = (state in ('succeeded', 'refused')))
) with (fillfactor = 85)`;

const ledgerTable = `create table ledger_entry (
  entry_id bigint generated always as identity constraint ledger_entry_pkey primary key,
  payment_id uuid not null references payment,
  operation_id uuid not null,
  kind text not null check (kind in ('authorization', 'authorization_end', 'capture', 'refund')),
  debit_account text not null,
  credit_account text not null,
  currency char(3) not null,
  amount bigint not null check (amount > 0),
  create_time timestamptz(3) not null default now(),
  check (debit_account <> credit_account)
)`;

const indexes = [
  "create index payment_create_time_idx on payment (create_time, payment_id)",
  "create index payment_order_idx on payment (order_id, create_time, payment_id)",
  "create index payment_customer_idx on payment (customer_id, create_time, payment_id)",
  "create index payment_status_idx on payment (status, create_time, payment_id)",
  "create index payment_operation_due_idx on payment_operation (next_attempt_time) where state = 'pending'",
  "create index payment_operation_waiting_idx on payment_operation (payment_id) where state = 'waiting'",
  "create unique index ledger_entry_once_idx on ledger_entry (operation_id, kind)",
  "create index ledger_entry_payment_idx on ledger_entry (payment_id, entry_id)",
];

/** What identifies a payment and its request never changes; the ledger only grows. */
const grants = [
  "grant select, insert on payment, payment_operation, ledger_entry to payments",
  `grant update (decision, captured, voided, refunded, capturing, voiding, refunding, closing, decline_code,
    gateway_reference, update_time) on payment to payments`,
  `grant update (amount, state, refusal_code, overtaken, attempts, next_attempt_time, captured_after, voided_after,
    refunded_after, decide_time) on payment_operation to payments`,
];

/**
 * Every statement of the service goes by an index. A prepared statement may be planned while a table is still empty, and
 * would then read it from end to end until the statistics catch up.
 */
const settings = { enable_seqscan: "off" };

/** Payments, what was asked of the gateway, and the ledger. */
export class PaymentsMigration extends Migration {
  override up(): void {
    for (const sql of [paymentTable, operationTable, ledgerTable, ...indexes, ...grants]) this.addSql(sql);
    for (const sql of idempotencyTable("payments")) this.addSql(sql);
    for (const sql of setDefaults(settings)) this.addSql(sql);
  }

  override down(): void {
    for (const sql of resetDefaults(settings)) this.addSql(sql);
    this.addSql("drop table idempotency_key, ledger_entry, payment_operation, payment");
  }
}
