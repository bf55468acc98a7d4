import type { SqlText } from "#platform/database/sql-text.ts";
import type { Statements } from "./operation.repository.ts";

const find: SqlText = {
  name: "stripe_find_customer",
  text: `select customer_id as "customerId" from gateway_customer where card_token = $1`,
};

const keep: SqlText = {
  name: "stripe_keep_customer",
  text: "insert into gateway_customer (card_token, customer_id) values ($1, $2) on conflict (card_token) do nothing",
};

/** Remembers which customer of Stripe's a payment method is attached to. */
export class CustomerRepository {
  readonly #database: Statements;

  constructor(database: Statements) {
    this.#database = database;
  }

  /** Stripe's id of the customer, `cus_…`; undefined before one is kept. */
  async find(cardToken: string): Promise<string | undefined> {
    return (await this.#database.query<{ customerId: string }>(find, [cardToken]))[0]?.customerId;
  }

  /** Keeps the customer, unless one is kept, and returns the one that is. */
  async keep(cardToken: string, customerId: string): Promise<string> {
    await this.#database.query(keep, [cardToken, customerId]);
    return (await this.find(cardToken)) ?? customerId;
  }
}
