// The books of a small shop, as its four services have written them down.
import pg from "pg";
import { encodeId } from "#platform/id.ts";
import { type TestDatabase, type TestDatabaseOptions, testDatabase } from "#testing/postgres.ts";
import { migrations as inventoryMigrations } from "../../inventory/src/migrations/list.ts";
import { readable as inventoryReadable } from "../../inventory/src/migrations/readable.ts";
import { migrations as ordersMigrations } from "../../orders/src/migrations/list.ts";
import { readable as ordersReadable } from "../../orders/src/migrations/readable.ts";
import { migrations as paymentsMigrations } from "../../payments/src/migrations/list.ts";
import { readable as paymentsReadable } from "../../payments/src/migrations/readable.ts";
import { creditMovements, type Effect, entriesOf, movements } from "../../payments/src/payment/payment.ts";
import { type AccountedService, accountedServices } from "../../services.ts";
import { migrations as shippingMigrations } from "../../shipping/src/migrations/list.ts";
import { readable as shippingReadable } from "../../shipping/src/migrations/readable.ts";
import { CarrierSimulator } from "../../simulators/src/carrier/carrier-simulator.ts";
import { carrierClient, connectorClient } from "../../simulators/src/connector-client.ts";
import { GatewaySimulator } from "../../simulators/src/gateway/gateway-simulator.ts";
import { migrations as simulatorMigrations } from "../../simulators/src/migrations/list.ts";
import type { BooksSources } from "../src/balance/balance.ts";

/** Where something is written down: in the books of a service, or by the simulated gateway and carrier. */
export type Place = AccountedService | "simulators";

const places: readonly Place[] = [...accountedServices, "simulators"];

const schemas: Readonly<Record<Place, Pick<TestDatabaseOptions, "migrations" | "readable">>> = {
  orders: { migrations: ordersMigrations, readable: ordersReadable },
  payments: { migrations: paymentsMigrations, readable: paymentsReadable },
  inventory: { migrations: inventoryMigrations, readable: inventoryReadable },
  shipping: { migrations: shippingMigrations, readable: shippingReadable },
  simulators: { migrations: simulatorMigrations },
};

/** An id that is the same in each run: `id("a1")`. */
export function id(short: string): string {
  return `00000000-0000-7000-8000-${short.padStart(12, "0")}`;
}

interface Parcel {
  readonly from: string;
  readonly status: "delivered" | "lost";
  readonly amount: number;
}

interface Allocation {
  readonly sku: string;
  readonly from: string;
  readonly quantity: number;
  readonly status: "held" | "committed" | "released";
}

interface Order {
  readonly id: string;
  readonly history: readonly string[];
  readonly total: number;
  /** What its lines cost; absent: that does not matter. */
  readonly lineAmounts?: readonly number[];
  readonly parcels: readonly Parcel[];
  readonly allocations: readonly Allocation[];
  /** What was asked of the gateway, after the authorization of the total. */
  readonly operations: readonly (readonly [kind: Effect, amount: number])[];
  /** What came back of its first allocation, and what was paid for it. */
  readonly returned?: { readonly pieces: number; readonly amount: number };
  /** What of it pays other orders; absent: nothing. */
  readonly credited?: number;
  /** The order whose payment its own is a credit of; absent: of none. */
  readonly creditOf?: string;
}

/**
 * One order of each kind; `delivered` has two parcels, of `lost` the only one was lost, of `returned` one of two pens came back, and of `exchanged`
 * one for which `replacement` was sent; `pending` is under way.
 */
export const orders = {
  delivered: {
    id: id("a"),
    history: ["pending", "confirmed", "preparing", "shipped", "delivered"],
    total: 1_000,
    lineAmounts: [600, 400],
    parcels: [
      { from: "north", status: "delivered", amount: 600 },
      { from: "south", status: "delivered", amount: 400 },
    ],
    allocations: [
      { sku: "book", from: "north", quantity: 1, status: "committed" },
      { sku: "pen", from: "south", quantity: 2, status: "committed" },
    ],
    operations: [
      ["capture", 600],
      ["capture", 400],
    ],
  },
  lost: {
    id: id("b"),
    history: ["pending", "confirmed", "preparing", "shipped", "failed"],
    total: 500,
    parcels: [{ from: "north", status: "lost", amount: 500 }],
    allocations: [{ sku: "book", from: "north", quantity: 1, status: "committed" }],
    operations: [
      ["capture", 500],
      ["refund", 500],
    ],
  },
  cancelled: {
    id: id("c"),
    history: ["pending", "confirmed", "cancelled"],
    total: 300,
    parcels: [],
    allocations: [{ sku: "book", from: "north", quantity: 1, status: "released" }],
    operations: [["void", 300]],
  },
  returned: {
    id: id("9"),
    history: ["pending", "confirmed", "preparing", "shipped", "delivered"],
    total: 400,
    parcels: [{ from: "south", status: "delivered", amount: 400 }],
    allocations: [{ sku: "pen", from: "south", quantity: 2, status: "committed" }],
    operations: [
      ["capture", 400],
      ["refund", 200],
    ],
    returned: { pieces: 1, amount: 200 },
  },
  exchanged: {
    id: id("8"),
    history: ["pending", "confirmed", "preparing", "shipped", "delivered"],
    total: 400,
    parcels: [{ from: "south", status: "delivered", amount: 400 }],
    allocations: [{ sku: "pen", from: "south", quantity: 2, status: "committed" }],
    operations: [
      ["capture", 400],
      ["refund", 50],
    ],
    returned: { pieces: 1, amount: 200 },
    credited: 150,
  },
  replacement: {
    id: id("7"),
    history: ["pending", "confirmed", "preparing", "shipped", "delivered"],
    total: 150,
    parcels: [{ from: "north", status: "delivered", amount: 150 }],
    allocations: [{ sku: "book", from: "north", quantity: 1, status: "committed" }],
    operations: [["capture", 150]],
    creditOf: id("8"),
  },
  pending: {
    id: id("d"),
    history: ["pending"],
    total: 200,
    parcels: [],
    allocations: [{ sku: "book", from: "north", quantity: 1, status: "held" }],
    operations: [],
  },
} as const satisfies Record<string, Order>;

/** The id of an order's operation: 0 is the authorization. */
export function operationId(order: Order, index: number): string {
  return id(`${order.id.slice(-1)}${index}`);
}

/** The id of an order's parcel from a place. */
export function shipmentId(order: Order, from: string): string {
  return id(`${order.id.slice(-1)}f${from === "north" ? 0 : 1}`);
}

/** Four databases with books in them, and what gateway and carrier remember. */
export interface World extends AsyncDisposable {
  readonly databases: Readonly<Record<Place, TestDatabase>>;
  /** What the readers connect with. */
  readonly urls: Readonly<Record<AccountedService, string>>;
  /** Whom a comparison asks. */
  readonly sources: BooksSources;
  /** Runs SQL as a superuser. */
  change(place: Place, sql: string, values?: readonly unknown[]): Promise<void>;
  /** Writes everything anew, in balance: of all places, or of one. */
  restore(only?: Place): Promise<void>;
}

/** Opens the databases; the books are empty until {@link World.restore}. */
export async function openWorld(): Promise<World> {
  const opened = await Promise.all(
    places.map(async (name) => [name, await testDatabase(name, { entities: [], ...schemas[name] })] as const),
  );
  const databases = Object.fromEntries(opened) as Record<Place, TestDatabase>;
  const pools = opened.map(
    ([name, { adminUrl }]) => [name, new pg.Pool({ connectionString: adminUrl, max: 1 })] as const,
  );
  const poolOf = Object.fromEntries(pools) as Record<Place, pg.Pool>;
  const change: World["change"] = async (place, sql, values = []) => void (await poolOf[place].query(sql, [...values]));
  const readers = accountedServices.map((name) => [name, databases[name].readerUrl] as const);
  const urls = Object.fromEntries(readers) as World["urls"];
  const gateway = new GatewaySimulator(databases.simulators.database, { slowMs: 0, latencyMs: 0, partVoid: "now" });
  const store = databases.simulators.database;
  const carrier = new CarrierSimulator({ store, transitMs: 0, slowMs: 0, refusedLocations: [] });
  return {
    databases,
    urls,
    sources: { urls, gateway: connectorClient(gateway), carrier: carrierClient(carrier) },
    change,
    restore: (only) =>
      restore(async (place, sql, values) => {
        if (only === undefined || only === place) await change(place, sql, values);
      }),
    async [Symbol.asyncDispose]() {
      for (const [, pool] of pools) await pool.end();
      for (const [, database] of opened) await database[Symbol.asyncDispose]();
    },
  };
}

type Change = World["change"];

const tables: Readonly<Record<Place, readonly string[]>> = {
  orders: [
    "order_return_line",
    "order_return",
    "order_line",
    "customer_order",
    "order_event",
    "episode",
    "audit_event",
  ],
  payments: ["ledger_entry", "payment_operation", "payment", "audit_event"],
  inventory: ["stock_level", "reservation", "stock_movement", "back_order_line", "back_order_news", "audit_event"],
  shipping: ["shipment", "audit_event"],
  simulators: ["gateway_record", "carrier_parcel"],
};

async function restore(change: Change): Promise<void> {
  for (const place of places) {
    await change(place, "begin");
    for (const table of tables[place]) await change(place, `delete from ${table}`);
  }
  await writeShelves(change);
  for (const order of Object.values<Order>(orders)) {
    await writeOrder(change, order);
    await writeMoney(change, order);
    await writeStock(change, order);
    await writeReturn(change, order);
    await writeParcels(change, order);
  }
  await writeRefusedCard(change);
  await change("orders", "insert into order_event (order_id, event_id, kind) values ($1, 'placed', 'placed')", [
    orders.pending.id,
  ]);
  for (const place of places) await change(place, "commit");
}

interface Event {
  readonly order: string;
  readonly action: string;
  readonly details?: object;
}

async function writeEvent(change: Change, service: AccountedService, { order, action, details = {} }: Event) {
  await change(
    service,
    `insert into audit_event (event_id, action, order_id, subject, details, actor, request_id)
    values (gen_random_uuid(), $1, $2, '', $3, 'test', '')`,
    [action, order, JSON.stringify(details)],
  );
}

async function writeOrder(change: Change, order: Order): Promise<void> {
  const shipments = order.parcels.map(({ from, status, amount }) => ({
    locationId: from,
    status,
    amount: `${amount}`,
  }));
  await change(
    "orders",
    `insert into customer_order (order_id, customer_id, given_name, family_name, email, status, currency, total,
      shipping_address, shipments, history, create_time, update_time, saga_id, dispatch_time, line_amounts, exchange)
    values ($1, $1, 'Ada', 'Test', 'ada@example.com', $2, 'EUR', $3, '{}', $4, $5, now() - interval '1 hour',
      now() - interval '10 minutes', $1, now(), $6, $7)`,
    [
      order.id,
      order.history.at(-1),
      order.total,
      JSON.stringify(shipments),
      JSON.stringify(order.history.map((status) => ({ status }))),
      order.lineAmounts ? JSON.stringify(order.lineAmounts.map(String)) : null,
      order.creditOf
        ? JSON.stringify({ orderId: order.creditOf, returnId: order.creditOf, credits: [`${order.total}`] })
        : null,
    ],
  );
  for (const [index, { sku, quantity }] of order.allocations.entries()) {
    const line =
      "insert into order_line (order_id, line_number, sku, quantity, unit_price) values ($1, $2, $3, $4, 100)";
    await change("orders", line, [order.id, index, sku, quantity]);
  }
  for (const status of order.history) {
    const action = status === "pending" ? "order.created" : `order.${status}`;
    await writeEvent(change, "orders", { order: order.id, action });
  }
}

const verbs = {
  authorize: "authorized",
  credit: "credited",
  capture: "captured",
  void: "voided",
  refund: "refunded",
} as const;

async function writeMoney(change: Change, order: Order): Promise<void> {
  const operations = [["authorize", order.total] as const, ...order.operations];
  const sumOf = (wanted: Effect) =>
    operations.reduce((sum, [kind, amount]) => (kind === wanted ? sum + amount : sum), 0);
  const moved = [sumOf("capture"), sumOf("void"), sumOf("refund")];
  await change(
    "payments",
    `insert into payment (payment_id, order_id, customer_id, card_token, currency, amount, decision, captured, voided, refunded,
      credited, source_id)
    values ($1, $1, $1, 'tok_approve', 'EUR', $2, 'approved', $3, $4, $5, $6, $7)`,
    [order.id, order.total, ...moved, order.credited ?? 0, order.creditOf],
  );
  for (const [index, [kind, amount]] of operations.entries()) {
    const key = operationId(order, index);
    await change(
      "payments",
      `insert into payment_operation (operation_id, payment_id, kind, amount, state, next_attempt_time, decide_time)
      values ($1, $2, $3, $4, 'succeeded', now(), now())`,
      [key, order.id, kind, amount],
    );
    for (const entry of entriesOf(kind, BigInt(amount), order.creditOf ? creditMovements : movements)) {
      await change(
        "payments",
        `insert into ledger_entry (payment_id, operation_id, kind, debit_account, credit_account, currency, amount)
        values ($1, $2, $3, $4, $5, 'EUR', $6)`,
        [order.id, key, entry.kind, entry.debit, entry.credit, entry.amount],
      );
    }
    if (!order.creditOf) await writeRecord(change, { key, kind, of: operationId(order, 0), amount, moved });
    const action = `payment.${verbs[order.creditOf && kind === "authorize" ? "credit" : kind]}`;
    await writeEvent(change, "payments", { order: order.id, action, details: { amount: `${amount}` } });
  }
}

interface GatewayRecord {
  readonly key: string;
  readonly kind: Effect;
  /** The key of its authorization. */
  readonly of: string;
  readonly amount: number;
  /** Captured, voided, refunded of an authorization. */
  readonly moved: readonly number[];
}

async function writeRecord(change: Change, { key, kind, of, amount, moved }: GatewayRecord): Promise<void> {
  await change(
    "simulators",
    `insert into gateway_record (key, kind, authorization_key, card_token, currency, amount, decline_code,
      decide_time, captured, voided, refunded) values ($1, $2, $3, 'tok_approve', 'EUR', $4, '', now(), $5, $6, $7)`,
    [key, kind, of, amount, ...(kind === "authorize" ? moved : [0, 0, 0])],
  );
}

async function writeReturn(change: Change, order: Order): Promise<void> {
  const { returned, allocations } = order;
  const [part] = allocations;
  if (!returned || !part) return;
  const { pieces, amount } = returned;
  await change(
    "orders",
    `insert into order_return (order_id, return_id, customer_id, status, kind, reason, currency, amount)
    values ($1, $1, $1, 'completed', 'requested', 'unwanted', 'EUR', $2)`,
    [order.id, amount],
  );
  await change(
    "orders",
    `insert into order_return_line (order_id, return_id, line_number, sku, quantity, received, restocked, location_id, amount)
    values ($1, $1, 1, $2, $3, $3, $3, $4, $5)`,
    [order.id, part.sku, pieces, part.from, amount],
  );
  await move(change, part, ["return", pieces, 0, order.id]);
}

/** An order that was rejected, of which only payments and the gateway know more than that. */
async function writeRefusedCard(change: Change): Promise<void> {
  const rejected: Order = {
    id: id("e"),
    history: ["pending", "rejected"],
    total: 100,
    parcels: [],
    allocations: [],
    operations: [],
  };
  await writeOrder(change, rejected);
  await change(
    "payments",
    `insert into payment (payment_id, order_id, customer_id, card_token, currency, amount, decision, decline_code)
    values ($1, $1, $1, 'tok_decline', 'EUR', 100, 'declined', 'card_declined')`,
    [rejected.id],
  );
  await change(
    "payments",
    `insert into payment_operation (operation_id, payment_id, kind, amount, state, next_attempt_time, decide_time)
    values ($1, $2, 'authorize', 100, 'refused', now(), now())`,
    [operationId(rejected, 0), rejected.id],
  );
  await change(
    "simulators",
    `insert into gateway_record (key, kind, authorization_key, card_token, currency, amount, decline_code, decide_time)
    values ($1, 'authorize', $1, 'tok_decline', 'EUR', 100, 'card_declined', now())`,
    [operationId(rejected, 0)],
  );
}

const reservedSince = { held: [0, 0], committed: [-1, -1], released: [0, -1] } as const;
const stockActions = { held: "stock.reserved", committed: "stock.committed", released: "stock.released" } as const;

async function move(change: Change, at: Pick<Allocation, "sku" | "from">, row: readonly unknown[]): Promise<void> {
  await change(
    "inventory",
    `insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta, order_id)
    values ($1, $2, $3, $4, $5, $6)`,
    [at.sku, at.from, ...row],
  );
  await change(
    "inventory",
    "update stock_level set on_hand = on_hand + $3, reserved = reserved + $4 where sku = $1 and location_id = $2",
    [at.sku, at.from, row[1], row[2]],
  );
}

async function writeShelves(change: Change): Promise<void> {
  for (const at of [
    { sku: "book", from: "north" },
    { sku: "pen", from: "south" },
  ]) {
    await change("inventory", "insert into stock_level (sku, location_id) values ($1, $2)", [at.sku, at.from]);
    await move(change, at, ["adjustment", 10, 0, null]);
  }
}

async function writeStock(change: Change, order: Order): Promise<void> {
  const parts = order.allocations.map(({ sku, from, quantity, status }) => ({
    sku,
    location_id: from,
    quantity,
    status,
  }));
  const insert = "insert into reservation (order_id, allocations) values ($1, $2)";
  await change("inventory", insert, [order.id, JSON.stringify(parts)]);
  for (const { sku, from, quantity, status } of order.allocations) {
    await move(change, { sku, from }, ["reservation", 0, quantity, order.id]);
    const [onHand, reserved] = reservedSince[status];
    const kind = status === "committed" ? "commit" : "release";
    if (reserved !== 0) await move(change, { sku, from }, [kind, onHand * quantity, reserved * quantity, order.id]);
    const details = { [`${sku}@${from}`]: quantity };
    await writeEvent(change, "inventory", { order: order.id, action: stockActions[status], details });
  }
}

/** Writes a parcel of shipping's and what the carrier knows of it. */
export async function writeParcel(
  change: Change,
  order: Order,
  { from, status }: Omit<Parcel, "amount">,
): Promise<void> {
  const key = shipmentId(order, from);
  const tracking = `T-${key.slice(-3)}`;
  await change(
    "shipping",
    `insert into shipment (shipment_id, order_id, location_id, status, lines, address, saga_id, tracking_number)
    values ($1, $2, $3, $4, '[]', '{}', '', $5)`,
    [key, order.id, from, status, tracking],
  );
  await change(
    "simulators",
    `insert into carrier_parcel (key, state, calls, tracking_number, lost, transit_ms)
    values ($1, 'booked', 1, $2, false, 0)`,
    [encodeId(key), tracking],
  );
  const details = { location: from };
  await writeEvent(change, "shipping", { order: order.id, action: `shipment.${status}`, details });
}

/** Writes a parcel that has not left, and of which orders is told. */
export async function writeOpenParcel(
  change: Change,
  order: { readonly id: string },
  { status, told }: { readonly status: string; readonly told: string },
): Promise<void> {
  await change(
    "shipping",
    `insert into shipment (shipment_id, order_id, location_id, status, lines, address, saga_id, reported, told_news, failed_by)
    values ($1, $1, 'north', $2, '[]', '{}', '', true, $3, case when $2 = 'failed' then 'warehouse' end)`,
    [order.id, status, told],
  );
  const events: Readonly<Record<string, string>> = { preparing: "created", failed: "failed" };
  const action = `shipment.${events[status] ?? "packed"}`;
  await writeEvent(change, "shipping", { order: order.id, action, details: { location: "north" } });
}

async function writeParcels(change: Change, order: Order): Promise<void> {
  for (const parcel of order.parcels) await writeParcel(change, order, parcel);
}
