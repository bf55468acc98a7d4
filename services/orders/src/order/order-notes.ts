import type { AuditEvent } from "#platform/audit/audit-event.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { attachKeys, type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { redactText } from "#platform/redact/redact-text.ts";

/** What an operator wrote, as the details of an audit event have it, and the key that is to be written with it when it is sealed. */
export interface ProtectedNote {
  readonly details: Readonly<Record<string, string>>;
  readonly key: PersonalKeyRow | undefined;
}

/** Whose note it is. */
interface NoteRef {
  readonly orderId: string;
  /** As the audit event has it. */
  readonly requestId: string;
}

function notePlace({ orderId, requestId }: NoteRef): string {
  return `audit_event.note/${decodeId(orderId)}/${requestId}`;
}

/**
 * SQL that writes the keys of notes. That of somebody who is erased is not written: then it is forgotten at once.
 *
 * @param source a common table expression with the columns of a key, or nulls, and `customer_id`
 */
export function insertNoteKeys(source: string): string {
  // biome-ignore lint/plugin/sql: called for constants, with the names of what they select
  return `insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from ${source}
    where key_id is not null and not exists (select from erasure where erasure.customer_id = ${source}.customer_id)`;
}

/**
 * What operators write in the audit log. It may name the customer, and no row of that log is ever changed: so it lies sealed there, and in
 * every copy of it, and is forgotten with its key. AuditService shows it while that is there.
 */
export class OrderNotes {
  readonly #database: Queryable;
  readonly #personal: PersonalData;

  constructor(database: Queryable, personal: PersonalData) {
    this.#database = database;
    this.#personal = personal;
  }

  /** A note as an event is to have it; nothing when there is none. */
  async protect(note: string, ref: NoteRef): Promise<ProtectedNote> {
    if (note === "") return { details: {}, key: undefined };
    const text = redactText(note);
    if (!this.#personal.seals) return { details: { note: text }, key: undefined };
    const sealed = await this.#personal.seal(notePlace(ref), { note: text });
    return { details: { sealed_note: sealed.text }, key: sealed.key };
  }

  /** Events with their notes as they were written; without those that are forgotten. */
  async reveal(events: readonly AuditEvent[]): Promise<AuditEvent[]> {
    const texts = await attachKeys<undefined>(
      this.#database,
      events.map(({ details }) => details.sealed_note),
    );
    return Promise.all(events.map((event, index) => this.#revealOne(event, texts[index])));
  }

  async #revealOne(event: AuditEvent, text: string | undefined): Promise<AuditEvent> {
    if (text === undefined) return event;
    const { sealed_note: _, ...details } = event.details;
    const opened = (await this.#personal.open(notePlace(event), text)) as { note: string } | undefined;
    return { ...event, details: { ...details, ...opened } };
  }
}
