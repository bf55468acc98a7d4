import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { jsonWithKey, type PersonalKeyRow, personalKeyColumns, withKey } from "#platform/personal/personal-key.ts";
import { PersonalMove } from "#platform/personal/personal-move.ts";
import type { OrderContact, ShippingAddress } from "./order.ts";
import { addressPlace, contactPlace, openAddress, openContact, type StoredContact } from "./order-person.ts";

/** An order whose personal data is to lie otherwise. */
interface OtherRow extends StoredContact {
  readonly orderId: string;
  readonly customerId: string;
  readonly shippingAddress: ShippingAddress | string;
}

const columns = `order_id as "orderId", customer_id as "customerId", given_name as "givenName", family_name as "familyName",
    email, ${withKey("contact")} as contact, ${jsonWithKey("shipping_address")} as "shippingAddress"`;

/** Such orders are few: those from before, and those of customers who are plain yet. An index has just them. */
const findPlain: SqlText = {
  name: "order_personal_plain",
  prepared: false,
  text: `select ${columns} from customer_order
    where given_name is not null or jsonb_typeof(shipping_address) = 'object'
    order by order_id limit $1 for no key update skip locked`,
};

/** For the way back, which is rare: along the primary key. */
const findSealed: SqlText = {
  name: "order_personal_sealed",
  prepared: false,
  text: `select ${columns} from customer_order
    where order_id > $2 and (contact is not null or jsonb_typeof(shipping_address) = 'string')
    order by order_id limit $1 for no key update skip locked`,
};

const write: SqlText = {
  name: "order_personal_write",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(order_id uuid, customer_id uuid, given_name text, family_name text,
      email text, contact text, shipping_address jsonb)
  ), keyed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, subject
    from json_to_recordset($2::json) as k(${personalKeyColumns.typed}, subject uuid)
  )
  update customer_order o set given_name = i.given_name, family_name = i.family_name, email = i.email,
    contact = i.contact, shipping_address = i.shipping_address
  from input i where o.order_id = i.order_id`,
};

/** Who ordered and where to, as rows hold it. */
export class OrderPersons {
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

  /** Has at most `limit` orders lie as they are to lie now, sealed or plain; returns how many there were. For a `PersonalSweep`. */
  moveBatch(limit: number): Promise<number> {
    return this.#move.moveBatch(limit);
  }

  async #write(tx: Transaction, rows: readonly OtherRow[]): Promise<void> {
    const moved = await Promise.all(rows.map((row) => this.#moved(row)));
    const keys = moved.flatMap((each) => each.keys);
    await tx.commitWith(write, [JSON.stringify(moved.map(({ row }) => row)), JSON.stringify(keys)]);
  }

  async #moved({ orderId, customerId, ...stored }: OtherRow) {
    const personal = this.#personal;
    const address = await openAddress(personal, orderId, stored.shippingAddress);
    const contact = await openContact(personal, customerId, stored);
    const at = await personal.protect(addressPlace(orderId), address);
    const who = personal.seals ? await personal.seal(contactPlace(customerId), contact) : undefined;
    const keys = [at.key, who?.key].filter((key): key is PersonalKeyRow => key !== undefined);
    const plain: Partial<OrderContact> = who ? {} : contact;
    return {
      keys: keys.map((key) => ({ ...key, subject: customerId })),
      row: {
        order_id: orderId,
        given_name: plain.givenName,
        family_name: plain.familyName,
        email: plain.email,
        contact: who?.text,
        shipping_address: at.stored,
      },
    };
  }
}
