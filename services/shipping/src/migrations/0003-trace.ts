import { Migration } from "@mikro-orm/migrations";

/** Keeps the trace in which a shipment was asked for, so that what is done for it later goes on there. */
export class KeepTrace extends Migration {
  override up(): void {
    this.addSql(`alter table shipment
      add column traceparent text not null default '' constraint shipment_traceparent_check check (length(traceparent) <= 64),
      add column trace_time timestamptz`);
    this.addSql("comment on column shipment.traceparent is 'W3C trace context of the last request; empty: not traced'");
    this.addSql("comment on column shipment.trace_time is 'when that was; null: when the shipment was created'");
    this.addSql("grant update (traceparent, trace_time) on shipment to shipping");
  }

  override down(): void {
    this.addSql("alter table shipment drop column traceparent, drop column trace_time");
  }
}
