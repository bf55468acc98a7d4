import type { SqlText } from "#platform/database/sql-text.ts";

/** How far an import has come, or came. */
export interface Checkpoint {
  /** The last line that is done. */
  readonly line: number;
  readonly imported: number;
  /** Lines whose records were imported before. */
  readonly known: number;
  readonly refused: number;
  /** How long the report is with what is refused of these lines. */
  readonly reportBytes: number;
  /** Whether the whole file is. */
  readonly done: boolean;
}

/** The statements that create the table for a service; called by one of its migrations, and therefore never changed. */
export function importRunTable(role: string): string[] {
  return [
    `create table import_run (
      source text collate "C" not null,
      fingerprint bytea not null,
      line bigint not null default 0,
      imported bigint not null default 0,
      known bigint not null default 0,
      refused bigint not null default 0,
      report_bytes bigint not null default 0,
      done boolean not null default false,
      start_time timestamptz not null default now(),
      update_time timestamptz not null default now(),
      constraint import_run_pkey primary key (source, fingerprint)
    )`,
    "comment on table import_run is 'files of other shops, and how far each is imported'",
    "comment on column import_run.source is 'what the other shop is called'",
    "comment on column import_run.fingerprint is 'SHA-256 of the file as it lies there'",
    `grant select, insert, update on import_run to ${role}`,
  ];
}

/** $1 source, $2 fingerprint: takes the file up, unless somebody has. */
export const beginRun: SqlText = {
  name: "import_begin",
  text: "insert into import_run (source, fingerprint) values ($1, $2) on conflict do nothing",
};

/** $1 source, $2 fingerprint. */
export const findRun: SqlText = {
  name: "import_find",
  text: `select line::float8, imported::float8, known::float8, refused::float8, report_bytes::float8 as "reportBytes", done
    from import_run where source = $1 and fingerprint = $2`,
};

/** $3 the line that was done last: without a row when another process is further. */
export const advanceRun: SqlText = {
  name: "import_advance",
  text: `update import_run set line = $4, imported = $5, known = $6, refused = $7, report_bytes = $8, done = $9, update_time = now()
    where source = $1 and fingerprint = $2 and line = $3 returning 1`,
};

/** $1 source, $2 fingerprint: a file that was done is done again from its beginning. */
export const repeatRun: SqlText = {
  name: "import_repeat",
  text: `update import_run set line = 0, imported = 0, known = 0, refused = 0, report_bytes = 0, done = false
    where source = $1 and fingerprint = $2 and done`,
};
