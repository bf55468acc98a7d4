import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { jsonWithKey, type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { PersonalMove } from "#platform/personal/personal-move.ts";

/** Who wrote a text: the customer, or whoever answered him. */
export type ReturnTextKind = "note" | "answer";

/** A text as its column holds it: sealed as text, or this. */
export interface ReturnText {
  readonly text: string;
}

/** Which text. */
export interface ReturnTextRef {
  readonly orderId: string;
  readonly returnId: string;
  readonly kind: ReturnTextKind;
}

/** A text that is written, with its key when it is sealed. Ids are uuids. */
export interface ReturnTextRow extends Partial<PersonalKeyRow> {
  readonly order_id: string;
  readonly return_id: string;
  readonly customer_id: string;
  readonly kind: ReturnTextKind;
  readonly text: ReturnText | string;
}

/** Takes a uuid. */
function textPlace(returnId: string, kind: ReturnTextKind): string {
  return `order_return_text.text/${returnId}/${kind}`;
}

/** SQL: the text of a kind of a return `r`, with its key when it is sealed. */
export function textOfReturn(kind: ReturnTextKind): string {
  return `(select ${jsonWithKey("t.text")} from order_return_text t
      where t.order_id = r.order_id and t.return_id = r.return_id and t.kind = '${kind}')`;
}

/** A text as it is to be written; nothing when there is none. */
export async function protectText(
  personal: PersonalData,
  { orderId, returnId, kind }: ReturnTextRef,
  { text, customerId }: { readonly text: string; readonly customerId: string },
): Promise<ReturnTextRow[]> {
  if (text === "") return [];
  const id = decodeId(returnId);
  const { stored, key } = await personal.protect<ReturnText>(textPlace(id, kind), { text });
  const ids = { order_id: decodeId(orderId), return_id: id, customer_id: decodeId(customerId) };
  return [{ ...ids, kind, text: stored, ...key }];
}

/**
 * A text as it was written; empty when there is none, or when it is forgotten.
 *
 * @param returnId a uuid
 */
export async function openText(
  personal: PersonalData,
  { returnId, kind }: { readonly returnId: string; readonly kind: ReturnTextKind },
  stored: ReturnText | string | null,
): Promise<string> {
  if (stored === null) return "";
  return (await personal.reveal<ReturnText>(textPlace(returnId, kind), stored))?.text ?? "";
}

interface OtherRow {
  readonly orderId: string;
  readonly returnId: string;
  readonly customerId: string;
  readonly kind: ReturnTextKind;
  readonly text: ReturnText | string;
}

const columns = `order_id as "orderId", return_id as "returnId", customer_id as "customerId", kind, ${jsonWithKey("text")} as text`;

const findPlain: SqlText = {
  name: "return_text_plain",
  prepared: false,
  text: `select ${columns} from order_return_text where jsonb_typeof(text) = 'object'
    order by order_id limit $1 for no key update skip locked`,
};

/** For the way back, which is rare: along the primary key. */
const findSealed: SqlText = {
  name: "return_text_sealed",
  prepared: false,
  text: `select ${columns} from order_return_text where order_id > $2 and jsonb_typeof(text) = 'string'
    order by order_id limit $1 for no key update skip locked`,
};

const write: SqlText = {
  name: "return_text_write",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(order_id uuid, return_id uuid, customer_id uuid, kind text, text jsonb,
      ${personalKeyColumns.typed})
  ), keyed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from input where key_id is not null
  )
  update order_return_text t set text = i.text from input i
  where t.order_id = i.order_id and t.return_id = i.return_id and t.kind = i.kind`,
};

/** What was written about returns, as rows hold it. */
export class ReturnTexts {
  readonly #personal: PersonalData;
  readonly #move: PersonalMove<OtherRow>;

  constructor(database: Database, personal: PersonalData) {
    this.#personal = personal;
    this.#move = new PersonalMove(database, personal, {
      plain: findPlain,
      sealed: findSealed,
      idOf: ({ orderId }) => orderId,
      write: (tx, rows) => this.#write(tx, rows),
    });
  }

  /** Has at most `limit` texts lie as they are to lie now, sealed or plain; returns how many there were. For a `PersonalSweep`. */
  moveBatch(limit: number): Promise<number> {
    return this.#move.moveBatch(limit);
  }

  async #write(tx: Transaction, rows: readonly OtherRow[]): Promise<void> {
    const moved = await Promise.all(rows.map((row) => this.#moved(row)));
    await tx.commitWith(write, [JSON.stringify(moved.flat())]);
  }

  async #moved(row: OtherRow): Promise<ReturnTextRow[]> {
    const { orderId, returnId, customerId, kind } = row;
    const place = textPlace(returnId, kind);
    const known = await this.#personal.reveal<ReturnText>(place, row.text);
    if (!known) return [];
    const { stored, key } = await this.#personal.protect<ReturnText>(place, known);
    return [{ order_id: orderId, return_id: returnId, customer_id: customerId, kind, text: stored, ...key }];
  }
}
