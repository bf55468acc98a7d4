// The table of the keys of persons, beside what they seal: no call to anybody stands between an order and its key.
import { writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { KeyProvider } from "./key-provider.ts";

/** A key as it lies in its table. */
export interface PersonalKeyRow {
  /** A uuid. */
  readonly key_id: string;
  readonly master: string;
  readonly wrapped: string;
}

/** The columns of a {@link PersonalKeyRow}. */
export const personalKeyColumns = writtenColumns<PersonalKeyRow>({ key_id: "uuid", master: "text", wrapped: "text" });

/**
 * The statements that create the table for a service; called by one of its migrations, and therefore never changed. Each sealed value has a
 * key of its own, so that it can be forgotten by itself, and all of a subject's together. The table is apart from what it seals, so that a
 * dump can leave it out.
 *
 * @param subject whose the keys are, in words
 */
export function personalKeyTable(role: string, subject: string): string[] {
  return [
    `create table personal_key (
      key_id uuid not null,
      subject uuid not null,
      master text collate "C" not null,
      wrapped text collate "C" not null,
      create_time timestamptz not null default now(),
      constraint personal_key_pkey primary key (key_id)
    )`,
    "comment on table personal_key is 'keys of sealed values: without its key a value is forgotten'",
    `comment on column personal_key.subject is '${subject}'`,
    "comment on column personal_key.master is 'what the master key is called that wrapped it'",
    "create index personal_key_subject_idx on personal_key (subject)",
    "create index personal_key_master_idx on personal_key (master, key_id)",
    `grant select, insert, delete, update (master, wrapped) on personal_key to ${role}`,
  ];
}

/**
 * SQL of a sealed text with its key behind it, as `PersonalData.open` takes it; null stays null.
 *
 * @param text an expression of type text
 */
export function withKey(text: string): string {
  return `${text} || ' ' || coalesce((
      select personal_key.master || ' ' || personal_key.wrapped from personal_key
      where personal_key.key_id = left(${text}, 32)::uuid), '')`;
}

/** SQL of what a `jsonb` column holds whose value is forgotten, and which wants one: a sealed text whose key there never was. */
export const forgottenJson = `'"${"f".repeat(32)}"'::jsonb`;

/** SQL of a `jsonb` column that holds a sealed text, with its key behind it, or what is not sealed, as it is. */
export function jsonWithKey(column: string): string {
  return `case when jsonb_typeof(${column}) = 'string' then to_jsonb(${withKey(`(${column} #>> '{}')`)}) else ${column} end`;
}

const findKeys: SqlText = {
  name: "personal_key_find",
  text: "select key_id, master, wrapped from personal_key where key_id = any($1::uuid[])",
};

/** Puts behind each sealed text its key, as {@link withKey} does, where a statement cannot; what is no text stays as it is. */
export async function attachKeys<T>(database: Queryable, values: readonly (string | T)[]): Promise<(string | T)[]> {
  const ids = values.filter((value) => typeof value === "string").map(keyIdOf);
  if (ids.length === 0) return [...values];
  const rows = await database.query<PersonalKeyRow>(findKeys, [ids]);
  const known = new Map(
    rows.map(({ key_id: id, master, wrapped }) => [id.replaceAll("-", ""), `${master} ${wrapped}`]),
  );
  return values.map((value) => (typeof value === "string" ? `${value} ${known.get(keyIdOf(value)) ?? ""}` : value));
}

/** The id of the key of a sealed text: a uuid without dashes. */
export function keyIdOf(text: string): string {
  return text.slice(0, 32);
}

const insertKeys: SqlText = {
  name: "personal_key_insert",
  text: `insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, $2 from json_to_recordset($1::json) as i(${personalKeyColumns.typed})`,
};

/** Writes the keys of what was sealed for one subject, a uuid. */
export async function insertPersonalKeys(
  database: Queryable,
  subject: string,
  keys: readonly PersonalKeyRow[],
): Promise<void> {
  if (keys.length > 0) await database.query(insertKeys, [JSON.stringify(keys), subject]);
}

const findFormer: SqlText = {
  name: "personal_key_former",
  prepared: false,
  text: `select key_id, master, wrapped from personal_key where master = any($1::text[])
    order by master, key_id limit $2 for no key update skip locked`,
};

const rewrap: SqlText = {
  name: "personal_key_rewrap",
  prepared: false,
  text: `update personal_key set master = i.master, wrapped = i.wrapped
    from json_to_recordset($1::json) as i(${personalKeyColumns.typed}) where personal_key.key_id = i.key_id`,
};

/** Wraps keys by the master key of today that a former one wrapped, at most `limit` of them; returns how many. For a `Relay`. */
export async function rewrapKeys(
  database: { transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> },
  keys: KeyProvider,
  limit = 500,
): Promise<number> {
  const { former } = keys;
  if (former.length === 0) return 0;
  return database.transaction(async (tx) => {
    const rows = await tx.query<PersonalKeyRow>(findFormer, [former, limit]);
    if (rows.length === 0) return 0;
    const anew = await Promise.all(
      rows.map(async ({ key_id, ...row }) => {
        const id = key_id.replaceAll("-", "");
        return { key_id, ...(await keys.wrap(await keys.unwrap(row, id), id)) };
      }),
    );
    await tx.query(rewrap, [JSON.stringify(anew)]);
    return rows.length;
  });
}
