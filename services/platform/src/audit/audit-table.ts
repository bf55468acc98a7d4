/** The saga causes nearly everything: its events are found by going through all of them. */
export const busiestActor = "service:worker";

/**
 * The statements that create the audit log of a service; called by one of its migrations, and therefore never changed.
 *
 * The log only grows: the runtime role may add rows and read them, no more. When a row was written and by which transaction
 * is the database's to say, so these columns are not among those that the role may fill. Texts are bounded, and every index
 * is one that ListAuditEvents or the publication needs; each ends with what the list is ordered by. They are what a row
 * costs, about 2 µs each: hence the collation, and the index by actor without the one that nearly every row has.
 */
export function auditTable(role: string): string[] {
  return [
    `create table audit_event (
      event_id uuid not null,
      time timestamptz(3) not null default now(),
      transaction xid8 not null default pg_current_xact_id(),
      action text collate "C" not null constraint audit_event_action_check check (length(action) <= 64),
      order_id uuid,
      subject text collate "C" not null constraint audit_event_subject_check check (length(subject) <= 200),
      details jsonb not null constraint audit_event_details_check check (pg_column_size(details) <= 4096),
      actor text collate "C" not null constraint audit_event_actor_check check (length(actor) <= 200),
      request_id text collate "C" not null constraint audit_event_request_id_check check (length(request_id) <= 200),
      trace_id uuid,
      constraint audit_event_pkey primary key (time, event_id)
    )`,
    "comment on table audit_event is 'who did what; append-only'",
    "comment on column audit_event.transaction is 'orders the publication: what began after a commit comes after it'",
    "create index audit_event_publication_idx on audit_event (transaction, event_id)",
    "create index audit_event_order_idx on audit_event (order_id, time, event_id) where order_id is not null",
    "create index audit_event_subject_idx on audit_event (subject, time, event_id) where subject <> ''",
    "create index audit_event_action_idx on audit_event (action, time, event_id)",
    `create index audit_event_actor_idx on audit_event (actor, time, event_id) where actor <> '${busiestActor}'`,
    `grant select, insert (event_id, action, order_id, subject, details, actor, request_id, trace_id) on audit_event
      to ${role}`,
    `create table audit_cursor (
      only_row boolean not null default true constraint audit_cursor_one_row check (only_row),
      transaction xid8 not null,
      event_id uuid not null,
      update_time timestamptz not null default now(),
      constraint audit_cursor_pkey primary key (only_row)
    )`,
    "comment on table audit_cursor is 'the event that was published last'",
    "insert into audit_cursor (transaction, event_id) values ('0', '00000000-0000-0000-0000-000000000000')",
    `grant select, update (transaction, event_id, update_time) on audit_cursor to ${role}`,
  ];
}

/** The statements that remove the audit log. */
export const dropAuditTable: readonly string[] = ["drop table audit_cursor", "drop table audit_event"];
