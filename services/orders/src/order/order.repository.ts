import { type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { type ColumnsOf, selectList, writtenColumns } from "#platform/database/columns.ts";
import { type KeySpace, keyMethod } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId, timeOf } from "#platform/id.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import { type PersonalKeyRow, personalKeyColumns, withKey } from "#platform/personal/personal-key.ts";
import type { NewOrder, Order, OrderContact, OrderStatus, ShippingAddress } from "./order.ts";
import { creationEntry } from "./order-audit.ts";
import { cardWithKey, OrderCards, orderCardPlace } from "./order-cards.ts";
import { firstIdAt } from "./order-id.ts";
import { addressPlace, openContact, type StoredContact } from "./order-person.ts";
import {
  type EventJson,
  type LineJson,
  type OrderRow,
  orderColumns,
  toLineJson,
  toOrders,
  withLines,
} from "./order-row.ts";
import { noSimilarity, type SimilarityColumns, type SimilaritySource } from "./order-similarity.ts";
import { type PriceColumns, toPriceColumns } from "./price-row.ts";

/** A new order with the key under which its creation may be repeated. */
export interface KeyedOrder extends NewOrder {
  readonly requestId: string;
  readonly fingerprint: Buffer;
}

/** A new order and who wants it. */
export interface SubmittedOrder extends KeyedOrder {
  readonly origin: AuditOrigin;
}

/** Which orders a list shows. Times are milliseconds since 1970. */
export interface OrderFilter {
  readonly customerId: string | undefined;
  readonly status: OrderStatus | undefined;
  /** At or after. */
  readonly createdFrom: number | undefined;
  /** Before. */
  readonly createdUntil: number | undefined;
}

/** The request ids of creations: each customer has ids of its own. */
export const orderKeys: KeySpace<KeyedOrder> = { method: "CreateOrder", scope: ({ customerId }) => customerId };

/** What is stored of a new order as it comes: a field that is forgotten here does not compile. */
type StoredOrder = Omit<NewOrder, "lines" | "total" | "prices" | "shippingAddress"> &
  PriceColumns & {
    /** A text when it is sealed. */
    readonly shippingAddress: ShippingAddress | string;
    readonly currency: string;
    readonly total: string;
    readonly history: readonly EventJson[];
    readonly createTime: Date;
  };

/** The columns of a {@link StoredOrder}; ids are uuids. */
type StoredColumns = ColumnsOf<StoredOrder>;

/** What comes with an order and goes elsewhere: into its key and its lines. */
interface BesideColumns {
  /** Which entry of the batch it is. */
  readonly n: number;
  readonly method: string;
  readonly request_id: string;
  /** In hexadecimal. */
  readonly fingerprint: string;
  readonly lines: readonly LineJson[];
}

/**
 * A new order in the JSON that {@link insertOrders} takes apart, with the key of its address when that is sealed, and by what it resembles
 * others when orders are screened.
 */
type InsertedOrder = StoredColumns & BesideColumns & Partial<PersonalKeyRow> & Partial<SimilarityColumns>;

const stored = writtenColumns<StoredColumns>({
  order_id: "uuid",
  customer_id: "uuid",
  currency: "text",
  total: "bigint",
  adjustments: "jsonb",
  line_amounts: "jsonb",
  shipping_address: "jsonb",
  card_token: "text",
  shortage_policy: "text",
  traceparent: "text",
  history: "jsonb",
  create_time: "timestamptz",
});
const beside = writtenColumns<BesideColumns>({
  n: "int",
  method: "text",
  request_id: "text",
  fingerprint: "text",
  lines: "json",
});
const similarity = writtenColumns<SimilarityColumns>({
  country: "text",
  card_key: "bigint",
  address_key: "bigint",
  postal_key: "bigint",
});
/** They are called the same in the row of the customer and in that of the order. */
const contact = writtenColumns<StoredContact>({
  givenName: "text",
  familyName: "text",
  email: "text",
  contact: "text",
});

type ContactRow = StoredContact & Pick<BesideColumns, "n">;
const contactColumns = selectList<ContactRow>({
  n: true,
  givenName: true,
  familyName: true,
  email: true,
  contact: withKey("contact"),
});

/**
 * The rows travel as one JSON text, which costs less to build here and to take apart there than twenty arrays. An order comes
 * with the event that has it carried for the first time; as dispatched, so that the version before leaves it alone.
 * Keys are inserted in the order of the request ids, so that two batches with the same ids cannot wait for each other.
 */
const insertOrders: SqlText = {
  name: "order_insert",
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${beside.typed}, ${stored.typed}, ${personalKeyColumns.typed},
      ${similarity.typed})
  ), known as materialized (
    select i.*, c.* from input i cross join lateral (
      select ${contact.names} from customer
      where customer.customer_id = i.customer_id and customer.erase_time is null limit 1
    ) c
  ), keyed as (
    insert into idempotency_key (method, request_id, fingerprint, response)
    select method, request_id, decode(fingerprint, 'hex'), uuid_send(order_id) from known order by request_id, method
  ), sealed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from known where key_id is not null
  ), placed as (
    insert into customer_order (${stored.names}, ${contact.names}, status, update_time, saga_id, dispatch_time,
      cancellable)
    select ${stored.names}, ${contact.names}, 'pending', create_time, order_id, now(), true from known
  ), happened as (
    insert into order_event (order_id, event_id, kind) select order_id, 'placed', 'placed' from known
  ), screened as (
    insert into order_screening (order_id, customer_id, ${similarity.names})
    select order_id, customer_id, ${similarity.names} from known where card_key is not null
  ), lined as (
    insert into order_line (order_id, line_number, sku, quantity, unit_price)
    select order_id, line.n, line.value->>0, (line.value->>1)::int, (line.value->>2)::bigint
    from known cross join lateral json_array_elements(lines) with ordinality as line(value, n)
  ), audited as (${insertAuditEvents("$2", { of: "known" })}
  )
  select ${contactColumns} from known`,
};

/** One index look-up for each id, whatever the size of the table was when the plan was made. */
const findOrders: SqlText = {
  name: "order_find",
  text: `select ${orderColumns} from unnest($1::uuid[]) as i(order_id)
    cross join lateral (select * from customer_order where customer_order.order_id = i.order_id limit 1) o
    ${withLines}`,
};

/** The same of one customer: the orders of others are as if they were not there. */
const findOwnOrders: SqlText = {
  name: "order_find_own",
  text: `select ${orderColumns} from unnest($1::uuid[]) as i(order_id)
    cross join lateral (
      select * from customer_order where customer_order.order_id = i.order_id and customer_order.customer_id = $2 limit 1
    ) o
    ${withLines}`,
};

const findCards: SqlText = {
  name: "order_cards",
  text: `select o.order_id as "orderId", ${cardWithKey("o.card_token")} as card from customer_order o
    where o.order_id = any($1::uuid[])`,
};

const lowestId = firstIdAt(0);
const highestId = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** What else an {@link OrderRepository} works with. */
export interface OrderRepositoryOptions {
  /** How tokens of cards lie; by default sealed where the rest is. */
  readonly cards?: OrderCards;
  /** By what orders resemble each other; by default nothing of it is kept. */
  readonly similarity?: SimilaritySource;
}

/** Writes orders with their lines, and reads them, each in one statement. */
export class OrderRepository {
  readonly #database: Queryable;
  readonly #personal: PersonalData;
  readonly #cards: OrderCards;
  readonly #similarity: SimilaritySource;

  /** @param personal by default everything is plain */
  constructor(
    database: Queryable,
    personal: PersonalData = plainPersonalData,
    { cards = new OrderCards(personal), similarity = noSimilarity }: OrderRepositoryOptions = {},
  ) {
    this.#database = database;
    this.#personal = personal;
    this.#cards = cards;
    this.#similarity = similarity;
  }

  /**
   * Inserts a batch of orders, to be carried from now on. The result has the contact that was copied from the customer; undefined where
   * there is no such customer, and nothing was written for that order.
   *
   * @throws a unique violation of `idempotency_key_pkey` when one of the request ids was used before; nothing is written
   */
  async insert(orders: readonly SubmittedOrder[]): Promise<(OrderContact | undefined)[]> {
    const similarities = await this.#similarity(orders);
    const inserted = orders.map((order, n) => this.#toInserted(order, { n, similarity: similarities[n] }));
    const input = JSON.stringify(await Promise.all(inserted));
    const events = auditEvents(orders.map((order) => creationEntry(order, order.origin)));
    const rows = await this.#database.query<ContactRow>(insertOrders, [input, events]);
    const contacts = new Array<OrderContact | undefined>(orders.length).fill(undefined);
    const opened = rows.map(async ({ n, ...copied }) => {
      const { customerId = "" } = orders[n] ?? {};
      contacts[n] = await openContact(this.#personal, decodeId(customerId), copied);
    });
    await Promise.all(opened);
    return contacts;
  }

  /**
   * The orders that exist among the given ids, in no particular order.
   *
   * @param owner the only customer whose orders are looked at; undefined: those of all
   */
  async find(orderIds: readonly string[], owner?: string): Promise<Order[]> {
    const ids = orderIds.map(decodeId);
    const rows =
      owner === undefined
        ? await this.#database.query<OrderRow>(findOrders, [ids])
        : await this.#database.query<OrderRow>(findOwnOrders, [ids, decodeId(owner)]);
    return toOrders(this.#personal, rows);
  }

  /** At most `limit` orders, the newest first, older than the order `after` when it is given. */
  async list(filter: OrderFilter, page: { after: string | undefined; limit: number }): Promise<Order[]> {
    const { statement, values } = listStatement(filter, page);
    const rows = await this.#database.query<OrderRow>(statement, values);
    return toOrders(this.#personal, rows);
  }

  /** The tokens of the cards of orders, by order, as far as they are needed still. */
  async cardsOf(orderIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
    type Row = { readonly orderId: string; readonly card: string | null };
    const rows = await this.#database.query<Row>(findCards, [orderIds.map(decodeId)]);
    const opened = rows.map(async ({ orderId, card }) => {
      return [encodeId(orderId), await this.#cards.open(orderCardPlace(orderId), card)] as const;
    });
    return new Map(await Promise.all(opened));
  }

  async #toInserted(
    order: KeyedOrder,
    { n, similarity }: { n: number; similarity: SimilarityColumns | undefined },
  ): Promise<InsertedOrder> {
    const id = decodeId(order.orderId);
    const address = await this.#personal.protect(addressPlace(id), order.shippingAddress);
    const card = await this.#cards.protectBeside(address, orderCardPlace(id), order.cardToken);
    const sealed = { shipping_address: address.stored, card_token: card, ...address.key };
    return { ...toInsertedOrder(order, n), ...sealed, ...similarity };
  }
}

/** The statement of a list and its values. */
export function listStatement(
  filter: OrderFilter,
  page: { after: string | undefined; limit: number },
): { statement: SqlText; values: unknown[] } {
  const { customerId, status, createdFrom, createdUntil } = filter;
  const until = createdUntil === undefined ? highestId : firstIdAt(createdUntil);
  const after = page.after === undefined ? highestId : decodeId(page.after);
  // Lower-case hexadecimal of the same length compares as the ids themselves do.
  const [before] = [after, until].sort();
  const values: unknown[] = [createdFrom === undefined ? lowestId : firstIdAt(createdFrom), before, page.limit];
  const conditions = ["order_id >= $1", "order_id < $2"];
  if (customerId !== undefined) conditions.push(`customer_id = $${values.push(decodeId(customerId))}`);
  if (status !== undefined) conditions.push(`status = $${values.push(status)}`);
  const by = `${customerId === undefined ? "" : "_customer"}${status === undefined ? "" : "_status"}`;
  // biome-ignore lint/plugin/sql: the conditions are those above, with parameters
  const text = `select ${orderColumns} from (
      select * from customer_order where ${conditions.join(" and ")} order by order_id desc limit $3
    ) o ${withLines} order by o.order_id desc`;
  return { statement: { name: `order_list${by}`, text }, values };
}

function toInsertedOrder(order: KeyedOrder, n: number): Omit<InsertedOrder, "shipping_address" | "card_token"> {
  const createTime = timeOf(order.orderId);
  const { adjustments, lineAmounts } = toPriceColumns(order.prices);
  return {
    n,
    order_id: decodeId(order.orderId),
    customer_id: decodeId(order.customerId),
    method: keyMethod(orderKeys, order),
    request_id: order.requestId,
    fingerprint: order.fingerprint.toString("hex"),
    currency: order.total.currency,
    total: String(order.total.amount),
    adjustments,
    line_amounts: lineAmounts,
    shortage_policy: order.shortagePolicy,
    traceparent: order.traceparent,
    history: [{ status: "pending", time: createTime.getTime() }],
    create_time: createTime,
    lines: order.lines.map(toLineJson),
  };
}
