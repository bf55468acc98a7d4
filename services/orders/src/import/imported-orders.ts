import { type OrderRecord, OrderRecordSchema } from "#gen/shop/orders/v1/import_record_pb.js";
import { OrderStatus as OrderStatusProto } from "#gen/shop/orders/v1/order_pb.js";
import { type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { DomainError } from "#platform/errors.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { ImportRecord, Refusal } from "#platform/import/import-record.ts";
import type { Outcome } from "#platform/import/import-run.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { toContent } from "../api/order-proto.ts";
import { cancelledReason, cancelledText, saidNothing } from "../order/cancel-reason.ts";
import type { NewOrder, OrderStatus } from "../order/order.ts";
import { importEntry } from "../order/order-audit.ts";
import { newOrderId } from "../order/order-id.ts";
import { addressPlace } from "../order/order-person.ts";
import { type EventJson, type LineJson, toLineJson } from "../order/order-row.ts";
import { type PriceColumns, toPriceColumns } from "../order/price-row.ts";
import { timeOf, wrongTime } from "./record-times.ts";

/** An order of another shop, as it is told apart from a later version of itself: without where it went. */
function fingerprintOf(record: OrderRecord): Buffer {
  const { shippingAddress: _address, ...rest } = record;
  return fingerprint(OrderRecordSchema, rest);
}

/** An order as it is inserted, in the JSON that {@link insertOrders} takes apart; without a key when its address is plain. */
interface InsertedOrder extends PriceColumns, Partial<PersonalKeyRow> {
  readonly n: number;
  readonly orderId: string;
  readonly customerId: string;
  readonly externalId: string;
  /** In hexadecimal. */
  readonly fingerprint: string;
  readonly status: OrderStatus;
  readonly currency: string;
  readonly total: string;
  readonly shippingAddress: NewOrder["shippingAddress"] | string;
  readonly failureReason: string | null;
  readonly failureMessage: string | null;
  readonly history: readonly EventJson[];
  readonly createTime: Date;
  readonly endTime: Date;
  readonly lines: readonly LineJson[];
}

const inserted = writtenColumns<Omit<InsertedOrder, keyof PersonalKeyRow>>({
  n: "int",
  orderId: "uuid",
  customerId: "uuid",
  externalId: "text",
  fingerprint: "text",
  status: "text",
  currency: "text",
  total: "bigint",
  adjustments: "jsonb",
  lineAmounts: "jsonb",
  shippingAddress: "jsonb",
  failureReason: "text",
  failureMessage: "text",
  history: "jsonb",
  createTime: "timestamptz",
  endTime: "timestamptz",
  lines: "json",
});
const same =
  "order_id, customer_id, status, currency, total, adjustments, line_amounts, shipping_address, failure_reason, failure_message, history, create_time";
const contact = "given_name, family_name, email, contact";

/** $1 source, $2 external ids. */
const findKnown: SqlText = {
  name: "order_import_known",
  text: `select external_id as "externalId", fingerprint from imported_order where source = $1 and external_id = any($2::text[])`,
};

/** $1 source, $2 external ids: customers who are there. */
const findCustomers: SqlText = {
  name: "order_import_customers",
  text: `select i.external_id as "externalId", i.customer_id as "customerId", c.erase_time is not null as erased
    from imported_customer i join customer c using (customer_id) where i.source = $1 and i.external_id = any($2::text[])`,
};

/** `is true` has the entries looked up in a hash; without it they are joined, each with each. */
const isKnown = "where (a.n in (select n from known)) is true";

/** An order that has ended: no event has it carried, no episode was, and nothing of it can be cancelled. $3 source. */
const insertOrders: SqlText = {
  name: "order_import",
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${inserted.typed}, ${personalKeyColumns.typed})
  ), known as materialized (
    select i.*, c.* from input i cross join lateral (
      select ${contact} from customer where customer.customer_id = i.customer_id and customer.erase_time is null limit 1
    ) c
  ), sealed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from known where key_id is not null
  ), placed as (
    insert into customer_order (${same}, ${contact}, update_time, accept_time, saga_id, dispatch_time, revision)
    select ${same}, ${contact}, end_time, create_time, order_id, create_time, jsonb_array_length(history) from known
  ), lined as (
    insert into order_line (order_id, line_number, sku, quantity, unit_price)
    select order_id, line.n, line.value->>0, (line.value->>1)::int, (line.value->>2)::bigint
    from known cross join lateral json_array_elements(lines) with ordinality as line(value, n)
  ), mapped as (
    insert into imported_order (source, external_id, order_id, customer_id, fingerprint)
    select $3, external_id, order_id, customer_id, decode(fingerprint, 'hex') from known
  ), audited as (${insertAuditEvents("$2", { join: isKnown })}
  )
  select n from known`,
};

/** What is wrong with an order besides the rules of its fields. */
export function judgeOrder({ message }: ImportRecord<OrderRecord>): Refusal | undefined {
  const { createTime, confirmTime, shipTime, endTime } = message;
  const wrong = wrongTime({ createTime, confirmTime, shipTime, endTime });
  if (wrong) return wrong;
  if (shipTime && message.status === OrderStatusProto.CANCELLED)
    return { reason: "INVALID", field: "shipTime", message: "shipTime is of an order that was delivered" };
  try {
    toContent(message);
    return undefined;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { reason: error.reasonName, field: error.metadata.field ?? "total", message: error.message };
  }
}

/** Whom an order is of. */
interface Owner {
  readonly externalId: string;
  /** A uuid. */
  readonly customerId: string;
  readonly erased: boolean;
}

/** Writes orders of another shop that have ended. */
export class ImportedOrders {
  readonly #source: string;
  readonly #personal: PersonalData;
  readonly #origin: AuditOrigin;

  constructor(source: string, personal: PersonalData, origin: AuditOrigin) {
    this.#source = source;
    this.#personal = personal;
    this.#origin = origin;
  }

  /** For each record what came of it. */
  async write(tx: Transaction, records: readonly ImportRecord<OrderRecord>[]): Promise<Outcome[]> {
    if (records.length === 0) return [];
    const known = await this.#known(tx, records);
    const owners = await this.#owners(tx, records);
    const rows: Promise<InsertedOrder>[] = [];
    const outcomes = records.map(({ externalId, message }, n): Outcome => {
      const print = fingerprintOf(message);
      const before = known.get(externalId);
      if (before) return before.equals(print) ? "known" : otherContent(externalId);
      const owner = owners.get(message.customerExternalId);
      if (!owner || owner.erased) return unknownCustomer(message.customerExternalId, owner);
      known.set(externalId, print);
      rows.push(this.#toInserted(message, { n, owner, print }));
      return "imported";
    });
    const orders = await Promise.all(rows);
    const written = await this.#insert(tx, orders);
    // Erased in this very moment.
    for (const { n } of orders)
      if (!written.has(n)) outcomes[n] = unknownCustomer(records[n]?.message.customerExternalId);
    return outcomes;
  }

  async #known(tx: Transaction, records: readonly ImportRecord<OrderRecord>[]): Promise<Map<string, Buffer>> {
    type Row = { readonly externalId: string; readonly fingerprint: Buffer };
    const rows = await tx.query<Row>(findKnown, [this.#source, records.map(({ externalId }) => externalId)]);
    return new Map(rows.map((row) => [row.externalId, row.fingerprint]));
  }

  async #owners(tx: Transaction, records: readonly ImportRecord<OrderRecord>[]): Promise<Map<string, Owner>> {
    const ids = new Set(records.map(({ message }) => message.customerExternalId));
    const rows = await tx.query<Owner>(findCustomers, [this.#source, [...ids]]);
    return new Map(rows.map((owner) => [owner.externalId, owner]));
  }

  async #insert(tx: Transaction, orders: readonly InsertedOrder[]): Promise<Set<number>> {
    if (orders.length === 0) return new Set();
    const entries = orders.map(({ n, orderId, status, currency, total, lines }) =>
      importEntry(
        {
          orderId: encodeId(orderId),
          status,
          total: { currency, amount: BigInt(total) },
          lines: lines.length,
        },
        { n, origin: this.#origin },
      ),
    );
    const values = [JSON.stringify(orders.map(toColumns)), auditEvents(entries), this.#source];
    const rows = await tx.query<{ n: number }>(insertOrders, values);
    return new Set(rows.map(({ n }) => n));
  }

  async #toInserted(
    record: OrderRecord,
    { n, owner, print }: { readonly n: number; readonly owner: Owner; readonly print: Buffer },
  ): Promise<InsertedOrder> {
    const { lines, total, prices, shippingAddress } = toContent(record);
    const createTime = timeOf(record.createTime);
    const orderId = decodeId(newOrderId(encodeId(owner.customerId), createTime.getTime()));
    const { stored, key } = await this.#personal.protect(addressPlace(orderId), shippingAddress);
    const isCancelled = record.status === OrderStatusProto.CANCELLED;
    return {
      n,
      orderId,
      customerId: owner.customerId,
      externalId: record.externalId,
      fingerprint: print.toString("hex"),
      status: isCancelled ? "cancelled" : "delivered",
      currency: total.currency,
      total: String(total.amount),
      ...toPriceColumns(prices),
      shippingAddress: stored,
      failureReason: isCancelled ? cancelledReason : null,
      failureMessage: isCancelled ? `${cancelledText}${saidNothing}` : null,
      history: historyOf(record),
      createTime,
      endTime: timeOf(record.endTime),
      lines: lines.map(toLineJson),
      ...key,
    };
  }
}

/** What is known of its life; each status with its old time. */
function historyOf({ status, createTime, confirmTime, shipTime, endTime }: OrderRecord): EventJson[] {
  const end = status === OrderStatusProto.CANCELLED ? "cancelled" : "delivered";
  const events: readonly (readonly [OrderStatus, typeof createTime])[] = [
    ["pending", createTime],
    ["confirmed", confirmTime],
    ["shipped", shipTime],
    [end, endTime],
  ];
  return events.flatMap(([each, time]) => (time ? [{ status: each, time: timeOf(time).getTime() }] : []));
}

function toColumns({ n, status, currency, total, adjustments, history, lines, ...row }: InsertedOrder) {
  return {
    ...{ n, status, currency, total, adjustments, history, lines },
    order_id: row.orderId,
    customer_id: row.customerId,
    external_id: row.externalId,
    fingerprint: row.fingerprint,
    line_amounts: row.lineAmounts,
    shipping_address: row.shippingAddress,
    failure_reason: row.failureReason,
    failure_message: row.failureMessage,
    create_time: row.createTime,
    end_time: row.endTime,
    ...{ key_id: row.key_id, master: row.master, wrapped: row.wrapped },
  };
}

function unknownCustomer(externalId = "", owner?: Owner): Refusal {
  const why = owner?.erased
    ? `customer ${externalId} was erased here: leave the order out`
    : `there is no customer ${externalId} yet: it has to stand before its orders; import the file again when it is there`;
  return { reason: owner?.erased ? "CUSTOMER_ERASED" : "UNKNOWN_CUSTOMER", field: "customerExternalId", message: why };
}

function otherContent(externalId: string): Refusal {
  const message = `order ${externalId} was imported before, and said something else: what is imported is not changed`;
  return { reason: "OTHER_CONTENT", message };
}
