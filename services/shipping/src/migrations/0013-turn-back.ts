import { Migration } from "@mikro-orm/migrations";

const news = ["packed", "packing_failed", "booked", "booking_refused", "delivered", "lost", "cancelled"];

/**
 * Parcels that come back, and what the carrier is asked besides booking: to turn a parcel back, and for the label of a return. Those are few,
 * and in a table of their own; shipments get no column.
 */
export class TurnBack extends Migration {
  override up(): void {
    this.#allow("shipment", "shipment_status_check", isStatus([...statuses, "returned"]));
    this.#allow("shipment", "shipment_tracking_check", hasNumber([...tracked, "returned"]));
    this.#allow("shipment", "shipment_told_news_check", `told_news in (${quoted(["", ...news, "returned"])})`);
    this.#allow("tracking_event", "tracking_event_kind_check", `kind in (${quoted([...kinds, "returned"])})`);
    for (const sql of [...requests, ...simulated]) this.addSql(sql);
  }

  override down(): void {
    this.addSql("drop table simulator.label");
    this.addSql(`alter table simulator.booking drop column turn_back, drop column turn_calls, drop column turn_stage,
      drop column turn_time`);
    this.addSql("drop table carrier_request");
    this.addSql(`do $$ begin
      if exists (select from shipment where status = 'returned') then
        raise exception 'parcels came back: the version before does not know them';
      end if;
    end $$`);
    this.#allow("tracking_event", "tracking_event_kind_check", `kind in (${quoted(kinds)})`);
    this.#allow("shipment", "shipment_told_news_check", `told_news in (${quoted(["", ...news])})`);
    this.#allow("shipment", "shipment_tracking_check", hasNumber(tracked));
    this.#allow("shipment", "shipment_status_check", isStatus(statuses));
  }

  /** What is there is known to be right: it is looked at without keeping others from writing. */
  #allow(table: string, name: string, condition: string): void {
    this.addSql(`alter table ${table} drop constraint ${name}`);
    this.addSql(`alter table ${table} add constraint ${name} check (${condition}) not valid`);
    this.addSql(`alter table ${table} validate constraint ${name}`);
  }
}

const statuses = ["preparing", "ready", "booking", "shipped", "delivered", "failed", "lost", "cancelled"];
const tracked = ["shipped", "delivered", "lost"];
const kinds = ["picked_up", "in_transit", "out_for_delivery", "delivered", "lost"];

function quoted(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(", ");
}

function isStatus(names: readonly string[]): string {
  return `status in (${quoted(names)})`;
}

function hasNumber(names: readonly string[]): string {
  return `(tracking_number is not null) = (status in (${quoted(names)}))`;
}

const requests = [
  `create table carrier_request (
    key text constraint carrier_request_pkey primary key,
    kind text not null constraint carrier_request_kind_check check (kind in ('turn_back', 'label')),
    shipment_id uuid not null references shipment,
    state text not null default 'asked' constraint carrier_request_state_check check (state in ('asked', 'agreed', 'refused')),
    code text not null default '',
    tracking_number text not null default '',
    label text not null default '',
    ask_time timestamptz not null default now(),
    attempts int4 not null default 0,
    due_time timestamptz default now(),
    told boolean not null default false,
    news_due_time timestamptz not null default '-infinity',
    news_attempts int4 not null default 0,
    constraint carrier_request_due_check check ((state = 'asked') = (due_time is not null))
  )`,
  "comment on table carrier_request is 'what the carrier is asked besides booking, until it has said something definite'",
  "comment on column carrier_request.key is 'what it is asked under: the id of the shipment that is to be turned back, or of the return'",
  "comment on column carrier_request.shipment_id is 'what is to be turned back; of a label, what the return is of'",
  "comment on column carrier_request.due_time is 'when to ask the carrier again; null: it has answered'",
  "comment on column carrier_request.told is 'whether orders has heard of the answer'",
  "create index carrier_request_due_idx on carrier_request (due_time) where due_time is not null",
  "create index carrier_request_news_idx on carrier_request (kind, news_due_time) where state <> 'asked' and not told",
  `grant select, insert, update (state, code, tracking_number, label, attempts, due_time, told, news_due_time, news_attempts)
    on carrier_request to shipping`,
];

const simulated = [
  `alter table simulator.booking
    add column turn_back text not null default '',
    add column turn_calls int4 not null default 0,
    add column turn_stage int4 not null default 0,
    add column turn_time timestamptz`,
  "comment on column simulator.booking.turn_back is 'what it does when it is asked to turn the parcel back'",
  `create table simulator.label (
    key text constraint label_pkey primary key,
    calls int4 not null default 1,
    tracking_number text not null
  )`,
  "grant select, insert, update on simulator.label to shipping",
];
