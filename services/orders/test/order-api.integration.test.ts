import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { type Order, OrderStatus, PriceAdjustmentKind } from "#gen/shop/orders/v1/order_pb.js";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import { newId, timeOf } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustedRequest,
  adjustment,
  eventually,
  line,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

function reason(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

describe("the service of orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker);
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    worker.available = true;
    worker.onCancel = () => undefined;
    worker.onStart = () => undefined;
    worker.cancels.length = 0;
    worker.starts.length = 0;
    customerId = await newCustomer(replica);
  });

  async function place(changes = {}): Promise<Order> {
    const { order } = await replica.orders.createOrder(orderRequest(customerId, changes));
    assert.ok(order);
    return order;
  }

  async function move(orderId: string, status: OrderStatus): Promise<void> {
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status }] });
  }

  it("answers a creation with what a read finds", async () => {
    const created = await place();
    const { order } = await replica.orders.getOrder({ orderId: created.orderId });
    // Meanwhile it may be carried.
    assert.ok(order);
    assert.deepEqual({ ...order, sagaId: "" }, { ...created, sagaId: "" });
    assert.equal(order.total?.amount, 4700n);
    assert.equal(order.contact?.givenName, "Ada");
    assert.deepEqual(
      order.history.map(({ status }) => status),
      [OrderStatus.PENDING],
    );
  });

  it("tells of shipping, discounts and taxes as they were given, and what all of it costs", async () => {
    const request = adjustedRequest(customerId);
    const { order: created } = await replica.orders.createOrder(request);
    const { order } = await replica.orders.getOrder({ orderId: created?.orderId ?? "" });
    assert.ok(order && created);
    assert.deepEqual({ ...order, sagaId: "" }, { ...created, sagaId: "" });
    assert.equal(order.total?.amount, 4935n);
    assert.deepEqual(order.adjustments, request.adjustments);
    assert.deepEqual(order.lines, request.lines);
    const { orders } = await replica.orders.listOrders({ customerId, pageSize: 1 });
    assert.deepEqual(orders[0]?.adjustments, request.adjustments);
    const again = await replica.orders.createOrder(request);
    assert.equal(again.order?.orderId, order.orderId);
    const otherName = { ...request, adjustments: request.adjustments.map((each) => ({ ...each, name: "Express" })) };
    assert.equal(reason(await refusal(replica.orders.createOrder(otherName))), "REQUEST_ID_REUSED");
  });

  it("refuses a price that does not add up, and says by how much", async () => {
    const { SHIPPING, DISCOUNT, TAX } = PriceAdjustmentKind;
    const given = (changes: Parameters<typeof adjustedRequest>[1]) => {
      return refusal(replica.orders.createOrder(adjustedRequest(customerId, changes)));
    };
    const wrong = await given({ total: create(MoneySchema, { currency: "EUR", amount: 4936n }) });
    assert.equal(wrong.code, Code.InvalidArgument);
    assert.match(wrong.message, /sum to 4935 minor units of EUR, the total that was given is 4936$/);
    assert.equal(reason(wrong), "TOTAL_MISMATCH");
    assert.equal(reason(await given({ adjustments: [adjustment(DISCOUNT, -5000n)] })), "BELOW_ZERO");
    for (const [wrongSign, said] of [
      [adjustment(SHIPPING, -1n), /adjustments\[0\].*must not take away as SHIPPING, nor add as DISCOUNT/],
      [adjustment(DISCOUNT, 1n), /adjustments\[0\].*must not take away as SHIPPING, nor add as DISCOUNT/],
      [adjustment(SHIPPING, 1n, { included: true }), /adjustments\[0\].*must be a TAX that is not below zero/],
      [adjustment(TAX, -1n, { included: true }), /adjustments\[0\].*must be a TAX that is not below zero/],
      [adjustment(TAX, 1n, { name: "\u200b " }), /adjustments\[0\].name.*must have something to see/],
      [adjustment(TAX, 1n, { name: "for 4111 1111 1111 1111" }), /adjustments\[0\].name.*card/],
      [adjustment(PriceAdjustmentKind.UNSPECIFIED, 1n), /adjustments\[0\].kind/],
      [adjustment(TAX, -1_000_000_000_001n), /adjustments\[0\].amount.amount/],
    ] as const) {
      const refused = await given({ adjustments: [wrongSign] });
      assert.equal(refused.code, Code.InvalidArgument);
      assert.match(refused.message, said);
    }
  });

  it("answers a repeated creation with the order as it stands now", async () => {
    const request = orderRequest(customerId);
    const first = await replica.orders.createOrder(request);
    await move(first.order?.orderId ?? "", OrderStatus.CONFIRMED);
    const second = await replica.orders.createOrder(request);
    assert.equal(second.order?.orderId, first.order?.orderId);
    assert.equal(second.order?.status, OrderStatus.CONFIRMED);
  });

  it("takes one request id from two customers, and each repetition for what it was", async () => {
    const other = await newCustomer(replica);
    const mine = orderRequest(customerId);
    const theirs = { ...orderRequest(other), requestId: mine.requestId };
    const place = async () => [await replica.orders.createOrder(mine), await replica.orders.createOrder(theirs)];
    const first = await place();
    assert.deepEqual(
      first.map(({ order }) => order?.customerId),
      [customerId, other],
    );
    const ids = (answers: typeof first) => answers.map(({ order }) => order?.orderId);
    assert.deepEqual(ids(await place()), ids(first));
  });

  it("refuses with the reasons of the contract", async () => {
    const { orders } = replica;
    const mixed = [line("A", 1, 1n), line("B", 1, 1n, "USD")];
    const dear = Array.from({ length: 2 }, () => line("A", 1, 600_000_000_000n));
    const used = orderRequest(customerId);
    await orders.createOrder(used);
    const cases: [string, Code, () => Promise<unknown>][] = [
      ["CURRENCY_MISMATCH", Code.InvalidArgument, () => orders.createOrder(orderRequest(customerId, { lines: mixed }))],
      ["TOTAL_TOO_LARGE", Code.InvalidArgument, () => orders.createOrder(orderRequest(customerId, { lines: dear }))],
      ["CUSTOMER_NOT_FOUND", Code.NotFound, () => orders.createOrder(orderRequest(newId()))],
      ["REQUEST_ID_REUSED", Code.AlreadyExists, () => orders.createOrder({ ...used, cardToken: "tok_decline" })],
      ["ORDER_NOT_FOUND", Code.NotFound, () => orders.getOrder({ orderId: newId() })],
      [
        "",
        Code.InvalidArgument,
        () => orders.createOrder({ ...used, requestId: unique("card"), cardToken: "4111111111111111" }),
      ],
      ["", Code.InvalidArgument, () => orders.getOrder({ orderId: "no id" })],
    ];
    for (const [name, code, call] of cases) {
      const error = await refusal(call());
      assert.equal(`${reason(error)} ${Code[error.code]}`, `${name} ${Code[code]}`);
    }
  });

  it("lists by customer, status and time, the newest first", async () => {
    const placed: Order[] = [];
    for (let index = 0; index < 5; index += 1) placed.push(await place());
    const other = await newCustomer(replica);
    await replica.orders.createOrder(orderRequest(other));
    await move(placed[1]?.orderId ?? "", OrderStatus.CONFIRMED);
    const ids = placed.map((order) => order.orderId);
    const newestFirst = ids.toReversed();
    const list = async (filter: Parameters<Replica["orders"]["listOrders"]>[0]) =>
      (await replica.orders.listOrders(filter)).orders.map((order) => order.orderId);
    assert.deepEqual(await list({ customerId }), newestFirst);
    assert.deepEqual(await list({ customerId, status: OrderStatus.CONFIRMED }), [ids[1]]);
    assert.ok((await list({ status: OrderStatus.CONFIRMED })).includes(ids[1] ?? ""));
    const third = timestampFromMs(timeOf(ids[2] ?? "").getTime());
    const from = await list({ customerId, createTimeFrom: third });
    const until = await list({ customerId, createTimeUntil: third });
    assert.ok(from.includes(ids[2] ?? "") && !until.includes(ids[2] ?? ""));
    assert.deepEqual([...from, ...until], newestFirst);
    const justAfter = { ...third, nanos: third.nanos + 1 };
    assert.ok(!(await list({ customerId, createTimeFrom: justAfter })).includes(ids[2] ?? ""));
    assert.deepEqual(await list({ customerId, createTimeFrom: third, createTimeUntil: third }), []);
  });

  it("gives pages that inserts between them do not shift, and tokens that fit no other filter", async () => {
    const placed: string[] = [];
    for (let index = 0; index < 7; index += 1) placed.push((await place()).orderId);
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await replica.orders.listOrders({ customerId, pageSize: 3, pageToken });
      pages.push(page.orders.map((order) => order.orderId));
      pageToken = page.nextPageToken;
      await place();
    } while (pageToken);
    assert.deepEqual(
      pages.map((page) => page.length),
      [3, 3, 1],
    );
    assert.deepEqual(pages.flat(), placed.toReversed());

    const { nextPageToken: token } = await replica.orders.listOrders({ customerId, pageSize: 1 });
    const others = [{}, { customerId: newId() }, { customerId, status: OrderStatus.PENDING }];
    for (const filter of others) {
      const error = await refusal(replica.orders.listOrders({ ...filter, pageSize: 1, pageToken: token }));
      assert.equal(reason(error), "INVALID_PAGE_TOKEN");
    }
    const damaged = `${token.slice(0, -2)}AA`;
    assert.equal(
      reason(await refusal(replica.orders.listOrders({ customerId, pageToken: damaged }))),
      "INVALID_PAGE_TOKEN",
    );
    const empty = await replica.orders.listOrders({ customerId: newId() });
    assert.deepEqual([empty.orders, empty.nextPageToken], [[], ""]);
  });

  it("makes several moves of one order one after the other, each with its outcome", async () => {
    const { orderId } = await place();
    const missing = newId();
    const way = [OrderStatus.CONFIRMED, OrderStatus.SHIPPED, OrderStatus.PREPARING, OrderStatus.PREPARING];
    const requests = [
      ...way.map((status) => ({ orderId, status })),
      { orderId: missing, status: OrderStatus.CONFIRMED },
    ];
    const { outcomes } = await replica.lifecycle.batchTransitionOrders({ requests });
    const told = outcomes.map(({ outcome }) =>
      outcome.case === "response" ? `${outcome.value.status} ${outcome.value.revision}` : outcome.value?.reason,
    );
    assert.deepEqual(told, ["2 2", "ILLEGAL_TRANSITION", "3 3", "3 3", "ORDER_NOT_FOUND"]);
  });

  it("answers UNAVAILABLE after its end has begun", async () => {
    const registryReplica = await startReplica(test.database, worker);
    await registryReplica.stop();
    const error = await refusal(registryReplica.orders.createOrder(orderRequest(customerId)));
    assert.equal(error.code, Code.Unavailable);
    await eventually(() => replica.orders.listOrders({ customerId }));
  });
});
