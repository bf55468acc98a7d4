import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DomainError } from "#platform/errors.ts";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { OrderRepository } from "../src/order/order.repository.ts";
import {
  isTerminal,
  type Order,
  type OrderStatus,
  orderStatuses,
  type ShipmentStatus,
  sourcesOf,
  transitions,
} from "../src/order/order.ts";
import {
  changeChannel,
  type Move,
  type Moved,
  type SubmittedMove,
  transitionOrders,
} from "../src/order/order-transition.repository.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  newCustomer,
  orderRequest,
  ordersDatabase,
  personal,
  type Replica,
  startReplica,
} from "./harness.ts";
import { Recorded } from "./recorded.ts";

const origin = { actor: "service:worker", requestId: "step", traceId: "" };

function move(orderId: string, to: OrderStatus, rest: Partial<Move> = {}): SubmittedMove {
  return { orderId, to, failure: undefined, shipments: undefined, origin, ...rest };
}

function outcome(result: Moved | Error | undefined): string {
  if (result instanceof DomainError) return result.reasonName;
  return result instanceof Error || !result ? String(result) : `${result.status} ${result.revision} ${result.changed}`;
}

const plain = { trackingNumber: "", turnBack: undefined, returnId: "", refunded: undefined } as const;

describe("moving orders", () => {
  let test: TestDatabase;
  let recorded: Recorded;
  let replica: Replica;
  let customerId: string;
  let place: (count: number) => Promise<string[]>;
  before(async () => {
    test = await ordersDatabase();
    recorded = new Recorded(test.database);
    replica = await startReplica(test.database, new FakeWorker());
    customerId = await newCustomer(replica);
    place = async (count) => {
      const requests = Array.from({ length: count }, () => orderRequest(customerId));
      const created = await Promise.all(requests.map((request) => replica.orders.createOrder(request)));
      return created.map(({ order }) => order?.orderId ?? "");
    };
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });

  async function read(orderId: string | undefined): Promise<Order> {
    const [order] = await new OrderRepository(test.database, personal).find([orderId ?? ""]);
    assert.ok(order);
    return order;
  }

  /** Brings a new order to a status, on the shortest way. */
  async function placedAs(status: OrderStatus): Promise<string> {
    const [orderId = ""] = await place(1);
    const way: OrderStatus[] = [];
    for (let at: OrderStatus | undefined = status; at && at !== "pending"; at = sourcesOf(at)[0]) way.unshift(at);
    for (const to of way)
      assert.match(outcome((await transitionOrders(test.database, [move(orderId, to)]))[0]), /true$/);
    return orderId;
  }

  for (const from of orderStatuses) {
    it(`follows the table from ${from}, to every status`, async () => {
      for (const to of orderStatuses) {
        const orderId = await placedAs(from);
        const { revision } = await read(orderId);
        const [result] = await transitionOrders(test.database, [move(orderId, to)]);
        const allowed = transitions[from].some((next) => next === to);
        const expected = allowed ? `${to} ${revision + 1} true` : "ILLEGAL_TRANSITION";
        assert.equal(outcome(result), from === to ? `${to} ${revision} false` : expected, `${from} → ${to}`);
        assert.equal((await read(orderId)).status, allowed ? to : from);
      }
    });
  }

  it("moves 256 by one statement and announces them by one notification", async () => {
    const orderIds = await place(256);
    const heard: string[] = [];
    const stop = await test.database.listen(changeChannel, (payload) => heard.push(payload));
    const results = await transitionOrders(
      recorded,
      orderIds.map((orderId) => move(orderId, "confirmed")),
    );
    assert.equal(recorded.taken(), 1);
    assert.deepEqual(new Set(results.map(outcome)), new Set(["confirmed 2 true"]));
    await eventually(() => assert.equal(heard.length, 1));
    assert.deepEqual(heard[0]?.split(",").sort(), orderIds.toSorted());
    await stop();
  });

  it("gives every entry its own outcome and announces only what moved", async () => {
    const [first = "", second = "", third = ""] = await place(3);
    const missing = newId();
    await transitionOrders(test.database, [move(second, "rejected"), move(third, "confirmed")]);
    const heard: string[] = [];
    const stop = await test.database.listen(changeChannel, (payload) => heard.push(payload));
    const moves = [missing, third, second, first].map((orderId) => move(orderId, "confirmed"));
    const results = await transitionOrders(test.database, moves);
    assert.deepEqual(results.map(outcome), [
      "ORDER_NOT_FOUND",
      "confirmed 2 false",
      "ILLEGAL_TRANSITION",
      "confirmed 2 true",
    ]);
    const refused = results[2];
    assert.ok(refused instanceof DomainError);
    assert.deepEqual(refused.metadata, { order_id: second, from: "REJECTED", to: "CONFIRMED" });
    await transitionOrders(test.database, moves);
    await test.database.query(`select pg_notify('${changeChannel}', 'last')`);
    await eventually(() => assert.equal(heard.at(-1), "last"));
    assert.deepEqual(heard, [first, "last"]);
    await stop();
  });

  it("keeps history, parcels and the reason of the end", async () => {
    const [orderId = ""] = await place(1);
    const amount = { currency: "EUR", amount: 4700n };
    const lines = [{ sku: "ESPRESSO-1KG", quantity: 2 }];
    const parcel = { ...plain, locationId: "BER", shipmentId: "", status: "planned", amount, lines } as const;
    const gone = { ...parcel, shipmentId: newId(), status: "cancelled" } as const;
    const failure = { reason: "CANCELLED_BY_CUSTOMER", customerMessage: "You cancelled this order." };
    await transitionOrders(test.database, [move(orderId, "confirmed", { shipments: [parcel] })]);
    await transitionOrders(test.database, [move(orderId, "preparing")]);
    assert.deepEqual((await read(orderId)).shipments, [parcel]);
    await transitionOrders(test.database, [move(orderId, "cancelled", { failure, shipments: [gone] })]);
    const order = await read(orderId);
    assert.deepEqual(order.shipments, [gone]);
    assert.deepEqual(order.failure, failure);
    assert.equal(order.revision, 4);
    assert.deepEqual(
      order.history.map(({ status }) => status),
      ["pending", "confirmed", "preparing", "cancelled"],
    );
    const times = order.history.map(({ time }) => time.getTime());
    assert.deepEqual(times, times.toSorted());
    assert.equal(times[0], order.createTime.getTime());
    assert.equal(times.at(-1), order.updateTime.getTime());
  });

  it("takes parcels that have come further, in whatever status the order is, and not those that had not", async () => {
    const [orderId = ""] = await place(1);
    const amount = { currency: "EUR", amount: 4700n };
    const parcel = (locationId: string, status: ShipmentStatus) => ({
      locationId,
      shipmentId: "",
      status,
      amount,
      ...plain,
      lines: [],
    });
    const planned = [parcel("BER", "planned"), parcel("MUC", "planned")];
    const left = [parcel("BER", "shipped"), parcel("MUC", "shipped")];
    const arrived = [parcel("BER", "delivered"), parcel("MUC", "shipped")];
    for (const [to, shipments] of [
      ["confirmed", planned],
      ["preparing", undefined],
      ["shipped", left],
    ] as const) {
      await transitionOrders(test.database, [move(orderId, to, { shipments })]);
    }
    const shipped = await read(orderId);
    const heard: string[] = [];
    const stop = await test.database.listen(changeChannel, (payload) => heard.push(payload));
    const results = await transitionOrders(test.database, [move(orderId, "shipped", { shipments: arrived })]);
    assert.deepEqual(results.map(outcome), [`shipped ${shipped.revision + 1} false`]);
    for (const shipments of [arrived, left, planned, undefined]) {
      await transitionOrders(test.database, [move(orderId, "shipped", { shipments })]);
    }
    const order = await read(orderId);
    assert.deepEqual(order.shipments, arrived);
    assert.deepEqual(order.history, shipped.history);
    assert.equal(order.revision, shipped.revision + 1);
    await eventually(() => assert.deepEqual(heard, [orderId]));
    await stop();
    const events = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(
      events.slice(-2).map(({ action, details }) => [action, details]),
      [
        ["order.shipped", { from: "preparing", to: "shipped", revision: "4" }],
        ["order.parcels_changed", { from: "shipped", to: "shipped", revision: "5" }],
      ],
    );
  });

  it("makes every move once when batches of two replicas overlap in opposite order", async () => {
    const orderIds = await place(64);
    for (const to of ["confirmed", "preparing", "shipped", "delivered"] as const) {
      const moves = orderIds.map((orderId) => move(orderId, to));
      const batches = [moves, moves.toReversed(), moves, moves.toReversed()];
      const results = (await Promise.all(batches.map((batch) => transitionOrders(test.database, batch)))).flat();
      assert.equal(results.filter((result) => !(result instanceof Error) && result.changed).length, 64);
      assert.ok(results.every((result) => outcome(result).startsWith(to)));
    }
    for (const orderId of orderIds) assert.ok(isTerminal((await read(orderId)).status));
  });
});
