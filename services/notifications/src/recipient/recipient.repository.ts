import { insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import type { Language, NotificationKind } from "../notification/notification.ts";
import { customerErased } from "../proof/errors.ts";
import { effects } from "../proof/notification-audit.ts";

/** How a customer wants to be told. */
export interface Preferences {
  /** Empty: by the country of the order. */
  readonly language: Language | "";
  readonly muted: readonly NotificationKind[];
}

/** A customer as the service knows one: by an id, and what that one wants. */
export interface Recipient extends Preferences {
  readonly isErased: boolean;
}

const columns = selectList<Recipient>({ language: true, muted: true, isErased: "erase_time is not null" });

const find: SqlText = { name: "find-recipient", text: `select ${columns} from recipient where customer_id = $1` };

/** Who is forgotten stays so. */
const set: SqlText = {
  name: "set-recipient",
  text: `with written as (
      insert into recipient as r (customer_id, language, muted) values ($1, $2, $3)
      on conflict (customer_id) do update set language = excluded.language, muted = excluded.muted, update_time = now()
        where r.erase_time is null and (r.language, r.muted) is distinct from (excluded.language, excluded.muted)
      returning 1
    ), audited as (
      ${insertAuditEvents("$4", { join: "cross join written" })}
    )
    select exists (select from recipient where customer_id = $1 and erase_time is not null) as "isErased"`,
};

/** The row stays, empty: what is heard of the customer later is told to nobody. */
const forget: SqlText = {
  name: "forget-recipient",
  text: `with closed as (
      update inbox_event set plan_time = now() where event_id = $2 and plan_time is null
    ), forgotten as (
      delete from notification where customer_id = $1
    ), erased as (
      insert into recipient as r (customer_id, language, muted, erase_time) values ($1, '', '{}', now())
      on conflict (customer_id) do update set language = '', muted = '{}', update_time = now(), erase_time = now()
        where r.erase_time is null
      returning 1
    )
    ${insertAuditEvents("$3", { join: "cross join erased" })}`,
};

const nobody: Recipient = { language: "", muted: [], isErased: false };

/** Keeps how customers want to be told, and who is told nothing any more. */
export class RecipientRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** What is known of a customer; the defaults where nothing is. */
  async get(customerId: string): Promise<Recipient> {
    const [row] = await this.#database.query<Recipient>(find, [decodeId(customerId)]);
    return row ?? nobody;
  }

  /** Says how a customer wants to be told from now on. @throws CUSTOMER_ERASED */
  async set(customerId: string, { language, muted }: Preferences): Promise<void> {
    const details = { language: language || "by_country", muted: muted.join(" ") };
    const events = effects({ action: "preferences.set", subject: customerId, details });
    const values = [decodeId(customerId), language, muted, events];
    const [row] = await this.#database.query<{ isErased: boolean }>(set, values);
    if (row?.isErased) throw customerErased(customerId);
  }

  /** Forgets a customer because of an event, and that this is done. Repeating it does nothing. */
  async forget(customerId: string, eventId: string): Promise<void> {
    const actor = "service:notifications";
    const events = effects({ action: "recipient.erased", subject: customerId, actor });
    await this.#database.query(forget, [decodeId(customerId), decodeId(eventId), events]);
  }
}
