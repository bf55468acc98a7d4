/**
 * The statements that give the rows of an audit log the order in which they happened, and a cursor for what is told of them; called by a
 * migration of each service, and therefore never changed. Rows of before have no number, and nobody is told of them.
 *
 * A number is drawn when its row is written: behind the lock of what changed, and so in the order in which the changes of one thing
 * happened. Neither the number of the transaction nor the id of the event says that: both may be taken before the lock is waited for.
 */
export function eventSequence(role: string): string[] {
  return [
    "create sequence audit_event_sequence",
    "alter table audit_event add column sequence bigint",
    "alter table audit_event alter column sequence set default nextval('audit_event_sequence')",
    "alter sequence audit_event_sequence owned by audit_event.sequence",
    "comment on column audit_event.sequence is 'orders the events of one thing; drawn behind its lock'",
    `grant usage, select on sequence audit_event_sequence to ${role}`,
    `create table event_cursor (
      only_row boolean not null default true constraint event_cursor_one_row check (only_row),
      sequence bigint not null,
      update_time timestamptz not null default now(),
      constraint event_cursor_pkey primary key (only_row)
    )`,
    "comment on table event_cursor is 'the event of which subscribers were told last'",
    "insert into event_cursor (sequence) values (0)",
    `grant select, update (sequence, update_time) on event_cursor to ${role}`,
  ];
}

/** The index that finds what follows the cursor, for an `IndexMigration` of its own: the table may be large. */
export const eventSequenceIndexes = {
  audit_event_sequence_idx: "audit_event (sequence) where sequence is not null",
} as const;

/** The statements that take both away. */
export const dropEventSequence: readonly string[] = [
  "drop table event_cursor",
  "alter table audit_event drop column sequence",
];
