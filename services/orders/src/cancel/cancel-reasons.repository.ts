import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { jsonWithKey, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { PersonalMove } from "#platform/personal/personal-move.ts";
import { type CancelReason, cancelledText, forgottenTexts, reasonPlace, textSaysWhy } from "../order/cancel-reason.ts";

/** An order of which it lies otherwise than it is to why it was cancelled. */
interface OtherRow {
  readonly orderId: string;
  readonly customerId: string;
  /** The text for the customer, of a version that wrote the reason there. */
  readonly failureMessage: string | null;
  readonly cancelReason: CancelReason | string | null;
}

const columns = `order_id as "orderId", customer_id as "customerId", failure_message as "failureMessage",
    ${jsonWithKey("cancel_reason")} as "cancelReason"`;

/** Those that an index has: few, once all are moved. One that is carried is moved when it rests: its workflow remembers the reason still. */
const findPlain: SqlText = {
  name: "cancel_reason_plain",
  prepared: false,
  text: `select ${columns} from customer_order o
    where (cancel_reason is null and ${textSaysWhy} or jsonb_typeof(cancel_reason) = 'object') and episode_id is null
    order by order_id limit $1 for no key update skip locked`,
};

/** For the way back, which is rare: along the primary key. */
const findSealed: SqlText = {
  name: "cancel_reason_sealed",
  prepared: false,
  text: `select ${columns} from customer_order where order_id > $2 and jsonb_typeof(cancel_reason) = 'string'
    order by order_id limit $1 for no key update skip locked`,
};

const write: SqlText = {
  name: "cancel_reason_write",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(order_id uuid, customer_id uuid, cancel_reason jsonb, ${personalKeyColumns.typed})
  ), keyed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from input where key_id is not null
  )
  update customer_order o set cancel_reason = i.cancel_reason, ${forgottenTexts}
  from input i where o.order_id = i.order_id`,
};

/** Why orders were cancelled, as rows hold it. */
export class CancelReasons {
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

  /** Has at most `limit` reasons lie as they are to lie now, sealed or plain; returns how many there were. For a `PersonalSweep`. */
  moveBatch(limit: number): Promise<number> {
    return this.#move.moveBatch(limit);
  }

  async #write(tx: Transaction, rows: readonly OtherRow[]): Promise<void> {
    const moved = await Promise.all(rows.map((row) => this.#moved(row)));
    await tx.commitWith(write, [JSON.stringify(moved)]);
  }

  async #moved({ orderId, customerId, failureMessage, cancelReason }: OtherRow) {
    const place = reasonPlace(orderId);
    const said =
      cancelReason === null ? reasonIn(failureMessage ?? "") : await this.#personal.reveal(place, cancelReason);
    const at = said && (await this.#personal.protect(place, said));
    return { order_id: orderId, customer_id: customerId, cancel_reason: at?.stored, ...at?.key };
  }
}

function reasonIn(message: string): CancelReason {
  return { reason: message.startsWith(cancelledText) ? message.slice(cancelledText.length) : message };
}
