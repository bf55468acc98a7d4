import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { type PersonalKeyRow, personalKeyColumns, withKey } from "#platform/personal/personal-key.ts";
import { PersonalMove } from "#platform/personal/personal-move.ts";
import {
  amendmentCardPlace,
  cardWithKey,
  exchangeCardPlace,
  isSealedCard,
  type OrderCards,
  orderCardPlace,
} from "./order-cards.ts";

/** A token that is to lie otherwise; ids are uuids. */
interface CardRow {
  readonly id: string;
  readonly customerId: string;
  /** With its key when it is sealed. */
  readonly card: string;
  /** A sealed text by whose key it is sealed, with that key; null: by one of its own. */
  readonly neighbour: string | null;
}

/** Where tokens lie. */
interface CardTable {
  readonly name: string;
  /** What is read, as `t`; and `o` its order, where that is not the same. */
  readonly from: string;
  /** Of `t`, as are the others. */
  readonly id: string;
  readonly customerId: string;
  readonly card: string;
  readonly neighbour: string;
  /** Whether there may be one, and, where it is to be sealed, whether it can be. */
  readonly where: string;
  readonly sealable: string;
  /** Writes `i.card` to the rows with `i.id`. */
  readonly write: string;
  readonly placeOf: (id: string) => string;
}

const address = "(t.shipping_address #>> '{}')";

/** Only an order that is PENDING needs its card still. What is sealed of an order has one key, which has to be there. */
const ofOrders: CardTable = {
  name: "order",
  from: "customer_order t",
  id: "t.order_id",
  customerId: "t.customer_id",
  card: "t.card_token",
  neighbour: withKey(address),
  where: "t.status = 'pending' and t.dispatch_time is not null",
  sealable: `jsonb_typeof(t.shipping_address) = 'string'
      and exists (select from personal_key k where k.key_id = left(${address}, 32)::uuid)`,
  write: "update customer_order t set card_token = i.card from input i where t.order_id = i.id",
  placeOf: orderCardPlace,
};

const ofAmendments: CardTable = {
  name: "amendment",
  from: "order_amendment t join customer_order o using (order_id)",
  id: "t.order_id",
  customerId: "o.customer_id",
  card: "t.card_token",
  neighbour: "null",
  where: "true",
  sealable: "true",
  write: "update order_amendment t set card_token = i.card from input i where t.order_id = i.id",
  placeOf: amendmentCardPlace,
};

const ofExchanges: CardTable = {
  name: "exchange",
  from: "order_return t",
  id: "t.return_id",
  customerId: "t.customer_id",
  card: "(t.exchange ->> 'cardToken')",
  neighbour: "null",
  where: "t.status in ('requested', 'approved', 'received') and t.exchange_state = 'wanted'",
  sealable: "true",
  write: `update order_return t set exchange = jsonb_set(t.exchange, '{cardToken}', to_jsonb(i.card)) from input i
    where t.return_id = i.id`,
  placeOf: exchangeCardPlace,
};

/** Has the tokens of cards lie as they are to lie now, which were written by a version before, or under another configuration. */
export class CardMoves {
  readonly #moves: readonly PersonalMove<CardRow>[];
  readonly #cards: OrderCards;

  constructor(database: Database, cards: OrderCards) {
    this.#cards = cards;
    this.#moves = [ofOrders, ofAmendments, ofExchanges].map((table) => this.#moveOf(database, table));
  }

  /** Moves at most `limit` tokens of each table; returns how many there were. For a `PersonalSweep`. */
  async moveBatch(limit: number): Promise<number> {
    let moved = 0;
    for (const move of this.#moves) moved += await move.moveBatch(limit);
    return moved;
  }

  #moveOf(database: Database, table: CardTable): PersonalMove<CardRow> {
    const write = writeOf(table);
    return new PersonalMove(database, this.#cards, {
      plain: findPlain(table),
      sealed: findSealed(table),
      idOf: ({ id }) => id,
      write: async (tx: Transaction, rows: readonly CardRow[]) => {
        const moved = await Promise.all(rows.map((row) => this.#moved(row, table.placeOf(row.id))));
        await tx.commitWith(write, [JSON.stringify(moved)]);
      },
    });
  }

  async #moved({ id, customerId, card, neighbour }: CardRow, place: string): Promise<MovedRow> {
    const cards = this.#cards;
    const token = await cards.open(place, card);
    if (neighbour !== null)
      return { id, customer_id: customerId, card: await cards.sealBeside(neighbour, place, token) };
    const { stored, key } = await cards.protect(place, token);
    return { id, customer_id: customerId, card: stored, ...key };
  }
}

interface MovedRow extends Partial<PersonalKeyRow> {
  readonly id: string;
  readonly customer_id: string;
  readonly card: string;
}

function columnsOf({ id, customerId, card, neighbour }: CardTable): string {
  return `${id} as id, ${customerId} as "customerId", ${cardWithKey(card)} as card, ${neighbour} as neighbour`;
}

function findPlain(table: CardTable): SqlText {
  const { name, from, id, card, where, sealable } = table;
  return {
    name: `card_plain_${name}`,
    prepared: false,
    // biome-ignore lint/plugin/sql: made of the tables of this file
    text: `select ${columnsOf(table)} from ${from}
    where ${where} and ${card} <> '' and not ${isSealedCard(card)} and ${sealable}
    order by ${id} limit $1 for no key update of t skip locked`,
  };
}

/** For the way back, which is rare. */
function findSealed(table: CardTable): SqlText {
  const { name, from, id, card, where } = table;
  return {
    name: `card_sealed_${name}`,
    prepared: false,
    // biome-ignore lint/plugin/sql: made of the tables of this file
    text: `select ${columnsOf(table)} from ${from}
    where ${where} and ${id} > $2 and ${isSealedCard(card)}
    order by ${id} limit $1 for no key update of t skip locked`,
  };
}

function writeOf({ name, write }: CardTable): SqlText {
  return {
    name: `card_write_${name}`,
    prepared: false,
    // biome-ignore lint/plugin/sql: made of the tables of this file
    text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(id uuid, customer_id uuid, card text, ${personalKeyColumns.typed})
  ), keyed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from input where key_id is not null
  )
  ${write}`,
  };
}
