import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { OrderShipmentStatus, PriceAdjustmentKind } from "#gen/shop/orders/v1/order_pb.js";
import { type OrderReturn, ReturnKind, ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { ErasureRepository } from "../src/customer/erasure.repository.ts";
import { RetentionRepository } from "../src/customer/retention.repository.ts";
import { delivered, type GivenParcel, wholeParcel } from "./delivered-orders.ts";
import { eager, lastStart, settlement, stored } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustedRequest,
  eventually,
  line,
  metric,
  newCustomer,
  type OrderChanges,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  secondDatabase,
  startReplica,
  unique,
} from "./harness.ts";

const { UNWANTED, DAMAGED, UNDELIVERABLE } = ReturnReason;
const two = [{ lineNumber: 1, quantity: 2 }];

describe("returns", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 });
  });
  after(async () => {
    await replica?.stop();
    await test?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    customerId = await newCustomer(replica);
  });

  /** An order of 2 × 18.50 and 1 × 10.00 that has arrived. */
  function anOrder(changes: OrderChanges = {}, parcels?: readonly GivenParcel[]): Promise<string> {
    const request = orderRequest(customerId, changes);
    return delivered(replica, worker, { request, parcels: parcels ?? [wholeParcel(request, 4700n)] });
  }

  async function ask(orderId: string, changes: Parameters<Replica["returns"]["requestReturn"]>[0] = {}) {
    const wanted = { requestId: unique("return"), orderId, lines: two, reason: UNWANTED, ...changes };
    const { orderReturn } = await replica.returns.requestReturn(wanted);
    assert.ok(orderReturn);
    return orderReturn;
  }

  async function approve({ orderId, returnId }: Pick<OrderReturn, "orderId" | "returnId">) {
    const { orderReturn } = await replica.returns.approveReturn({ requestId: unique("approve"), orderId, returnId });
    assert.ok(orderReturn);
    return orderReturn;
  }

  async function receive(
    { orderId, returnId }: { orderId: string; returnId: string },
    changes: Omit<Parameters<Replica["returns"]["receiveReturn"]>[0], "orderId" | "returnId" | "$typeName"> = {},
  ) {
    const lines = [{ lineNumber: 1, quantity: 2, restocked: 2, locationId: "berlin" }];
    const came = { requestId: unique("receive"), orderId, returnId, lines, ...changes };
    const { orderReturn } = await replica.returns.receiveReturn(came);
    assert.ok(orderReturn);
    return orderReturn;
  }

  /** The order as the worker was given it, with what came back. */
  async function carried(orderId: string) {
    return await eventually(async () => {
      const start = lastStart(worker, orderId);
      // An episode that had labels to ask for is over.
      if (start && start.order.returns.length === 0 && start.order.labels.length > 0)
        await rest(orderId, start.episodeId);
      assert.ok(start && start.order.returns.length > 0, "nothing of it is carried");
      return start;
    });
  }

  function rest(orderId: string, episodeId: string) {
    const requests = [settlement(orderId, episodeId, { cancellable: false, needsCard: false })];
    return replica.episodes.batchSettleOrders({ requests });
  }

  /** The worker has done what there was to do, and has the order rest. */
  async function done(orderId: string): Promise<void> {
    const { episodeId, order } = await carried(orderId);
    const requests = order.returns.map(({ returnId }) => ({ orderId, returnId }));
    const { outcomes } = await replica.lifecycle.batchCompleteReturns({ requests });
    for (const { outcome } of outcomes) assert.equal(outcome.case, "response");
    await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, { cancellable: false, needsCard: false })],
    });
  }

  async function reasonOf(call: Promise<unknown>): Promise<string> {
    const [info] = (await refusal(call)).findDetails(ErrorInfoSchema);
    return info?.reason === "NOT_RETURNABLE" ? `${info.reason} ${info.metadata.why}` : (info?.reason ?? "");
  }

  it("are asked for, approved, received, and done when the worker says so", async () => {
    const orderId = await anOrder();
    const asked = await ask(orderId, { note: "too bitter" });
    assert.deepEqual(
      [asked.status, asked.kind, asked.reason, asked.note, asked.amount?.amount, asked.revision],
      [ReturnStatus.REQUESTED, ReturnKind.REQUESTED, UNWANTED, "too bitter", 3700n, 1],
    );
    const { requestId } = { requestId: unique("approve") };
    const ids = { orderId, returnId: asked.returnId };
    const approval = { requestId, ...ids, trackingNumber: "RT-1" };
    const { orderReturn: approved } = await replica.returns.approveReturn(approval);
    assert.deepEqual([approved?.status, approved?.trackingNumber], [ReturnStatus.APPROVED, "RT-1"]);
    const came = await receive(ids, { lines: [{ lineNumber: 1, quantity: 2, restocked: 1, locationId: "paris" }] });
    assert.equal(came.status, ReturnStatus.RECEIVED);
    assert.deepEqual(
      came.lines.map(({ sku, quantity, received, restocked, locationId, amount }) => [
        sku,
        quantity,
        received,
        restocked,
        locationId,
        amount?.amount,
      ]),
      [["ESPRESSO-1KG", 2, 2, 1, "paris", 3700n]],
    );
    const { order } = await carried(orderId);
    assert.deepEqual(
      order.returns.map(({ returnId, amount, parts }) => [
        returnId,
        amount,
        parts.map((part) => ({ ...part, $typeName: "" })),
      ]),
      [[asked.returnId, 3700n, [{ $typeName: "", sku: "ESPRESSO-1KG", locationId: "paris", quantity: 1 }]]],
    );
    await done(orderId);
    const { orderReturn: last } = await replica.returns.getReturn(ids);
    assert.deepEqual(
      [last?.status, last?.revision, last?.customerMessage],
      [ReturnStatus.COMPLETED, 4, "The return is done."],
    );
    const log = (await readAuditLog(test.database)).filter((event) => event.action.startsWith("order.return_"));
    assert.deepEqual(
      log
        .filter((event) => event.details.return === asked.returnId)
        .map(({ action, details }) => `${action} ${details.amount}`),
      ["requested", "approved", "received", "completed"].map((action) => `order.return_${action} 3700`),
    );
    assert.ok((await metric(replica, "orders_returns_total", { status: "completed" })) >= 1);
  });

  it("are asked for once, however often the call is repeated, and the answer is how they stand by then", async () => {
    const orderId = await anOrder();
    const wanted = { requestId: unique("return"), orderId, lines: two, reason: UNWANTED };
    const answers = await Promise.all([replica.returns.requestReturn(wanted), replica.returns.requestReturn(wanted)]);
    assert.equal(new Set(answers.map(({ orderReturn }) => orderReturn?.returnId)).size, 1);
    const [{ orderReturn }] = answers;
    await approve({ orderId, returnId: orderReturn?.returnId ?? "" });
    const again = await replica.returns.requestReturn(wanted);
    assert.equal(again.orderReturn?.status, ReturnStatus.APPROVED);
    const other = replica.returns.requestReturn({ ...wanted, reason: DAMAGED });
    assert.equal(await reasonOf(other), "REQUEST_ID_REUSED");
    const { orderReturns } = await replica.returns.listReturns({ orderId });
    assert.equal(orderReturns.length, 1);
  });

  it("are received once, also when two processes are told at the same moment", async () => {
    const orderId = await anOrder();
    const asked = await approve(await ask(orderId));
    const second = await secondDatabase(test);
    const other = await startReplica(second, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 });
    const { returnId } = asked;
    const came = { orderId, returnId, lines: [{ lineNumber: 1, quantity: 2, restocked: 2, locationId: "berlin" }] };
    const outcomes = await Promise.allSettled([
      replica.returns.receiveReturn({ requestId: unique("receive"), ...came }),
      other.returns.receiveReturn({ requestId: unique("receive"), ...came }),
    ]);
    assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
    await done(orderId);
    await other.stop();
    await second.close();
  });

  it("are never of more than was delivered: what came, and what is to come, is gone", async () => {
    const orderId = await anOrder();
    const first = await ask(orderId, { lines: [{ lineNumber: 1, quantity: 1 }] });
    const error = await refusal(ask(orderId));
    assert.equal(error.code, Code.FailedPrecondition);
    assert.deepEqual(error.findDetails(ErrorInfoSchema)[0]?.metadata, {
      order_id: orderId,
      why: "QUANTITY",
      line_number: "1",
      available: "1",
    });
    await replica.returns.cancelReturn({ requestId: unique("cancel"), orderId, returnId: first.returnId });
    await ask(orderId);
    assert.equal(await reasonOf(ask(orderId, { lines: [{ lineNumber: 3, quantity: 1 }] })), "NOT_RETURNABLE QUANTITY");
  });

  it("of requests at the same moment are together never of more than was delivered", async () => {
    const orderId = await anOrder({ lines: [line("ESPRESSO-1KG", 5, 100n)] }, [
      { locationId: "berlin", amount: 500n, lines: [{ sku: "ESPRESSO-1KG", quantity: 5 }] },
    ]);
    const calls = Array.from({ length: 12 }, () => ask(orderId, { lines: [{ lineNumber: 1, quantity: 1 }] }));
    const outcomes = await Promise.allSettled(calls);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 5);
  });

  const early: [string, OrderShipmentStatus][] = [
    ["is under way", OrderShipmentStatus.SHIPPED],
    ["was lost", OrderShipmentStatus.LOST],
    ["was called off", OrderShipmentStatus.CANCELLED],
  ];
  for (const [what, status] of early) {
    it(`are refused of a parcel that ${what}, and taken of one that has arrived`, async () => {
      const orderId = await anOrder({}, [
        { locationId: "berlin", amount: 3700n, lines: [{ sku: "ESPRESSO-1KG", quantity: 2 }], status },
        { locationId: "paris", amount: 1000n, lines: [{ sku: "FILTER-100", quantity: 1 }] },
      ]);
      assert.equal(await reasonOf(ask(orderId)), "NOT_RETURNABLE QUANTITY");
      const taken = await ask(orderId, { lines: [{ lineNumber: 2, quantity: 1 }] });
      assert.equal(taken.amount?.amount, 1000n);
    });
  }

  it("are refused of an order of which nothing has arrived, and of one that is not there", async () => {
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    assert.equal(await reasonOf(ask(order?.orderId ?? "")), "NOT_RETURNABLE NOT_DELIVERED");
    assert.equal(await reasonOf(ask(newId())), "ORDER_NOT_FOUND");
    const nothing = { orderId: order?.orderId ?? "", returnId: newId() };
    assert.equal(await reasonOf(replica.returns.getReturn(nothing)), "RETURN_NOT_FOUND");
    assert.equal(await reasonOf(approve(nothing)), "RETURN_NOT_FOUND");
    assert.equal(await reasonOf(receive(nothing)), "RETURN_NOT_FOUND");
  });

  it("that the policy does not take need an agent who says so", async () => {
    const orderId = await anOrder();
    const past = Date.now() - 31 * 86_400_000;
    await test.database.query(
      `update customer_order set history = (select jsonb_agg(case when h->>'status' = 'delivered'
        then jsonb_set(h, '{time}', to_jsonb($2::bigint)) else h end) from jsonb_array_elements(history) h) where order_id = $1`,
      [decodeId(orderId), past],
    );
    assert.equal(await reasonOf(ask(orderId)), "NOT_RETURNABLE WINDOW_OVER");
    const taken = await ask(orderId, { despitePolicy: true });
    assert.equal(taken.status, ReturnStatus.APPROVED);
  });

  it("are rejected with an answer, withdrawn, and neither twice nor after they came", async () => {
    const orderId = await anOrder();
    const asked = await ask(orderId, { lines: [{ lineNumber: 1, quantity: 1 }] });
    const ids = { orderId, returnId: asked.returnId };
    const requestId = unique("reject");
    const rejection = { requestId, ...ids, answer: "It was opened." };
    await Promise.all([replica.returns.rejectReturn(rejection), replica.returns.rejectReturn(rejection)]);
    const { orderReturn: rejected } = await replica.returns.getReturn(ids);
    assert.deepEqual([rejected?.status, rejected?.answer], [ReturnStatus.REJECTED, "It was opened."]);
    for (const call of [
      () => approve(ids),
      () => receive(ids),
      () => replica.returns.cancelReturn({ requestId: unique("cancel"), ...ids }),
      () => replica.returns.rejectReturn({ requestId: unique("reject"), ...ids, answer: "No." }),
    ]) {
      assert.equal(await reasonOf(call()), "ILLEGAL_RETURN_TRANSITION");
    }
    const { outcomes } = await replica.lifecycle.batchCompleteReturns({
      requests: [ids, { ...ids, returnId: newId() }],
    });
    assert.deepEqual(
      outcomes.map(({ outcome }) => (outcome.case === "failure" ? outcome.value.reason : outcome.case)),
      ["ILLEGAL_RETURN_TRANSITION", "RETURN_NOT_FOUND"],
    );
  });

  it("that nobody had asked for are returns as well, also of a parcel that never arrived", async () => {
    const orderId = await anOrder({}, [
      {
        locationId: "berlin",
        amount: 4700n,
        lines: [
          { sku: "ESPRESSO-1KG", quantity: 2 },
          { sku: "FILTER-100", quantity: 1 },
        ],
        status: OrderShipmentStatus.SHIPPED,
      },
    ]);
    const came = await receive({ orderId, returnId: "" }, { reason: UNDELIVERABLE });
    assert.deepEqual(
      [came.status, came.kind, came.reason, came.amount?.amount, came.lines[0]?.quantity, came.revision],
      [ReturnStatus.RECEIVED, ReturnKind.UNASKED, UNDELIVERABLE, 3700n, 2, 1],
    );
    assert.equal(await reasonOf(receive({ orderId, returnId: "" })), "NOT_RETURNABLE QUANTITY");
    await done(orderId);
  });

  it("may be other than was announced: less, more, and other articles", async () => {
    const orderId = await anOrder();
    const asked = await approve(await ask(orderId, { lines: [{ lineNumber: 1, quantity: 2 }] }));
    const came = await receive(asked, {
      lines: [
        { lineNumber: 1, quantity: 1 },
        { lineNumber: 2, quantity: 1, restocked: 1, locationId: "berlin" },
      ],
    });
    assert.deepEqual(
      came.lines.map(({ lineNumber, quantity, received, restocked }) => [lineNumber, quantity, received, restocked]),
      [
        [1, 2, 1, 0],
        [2, 0, 1, 1],
      ],
    );
    assert.equal(came.amount?.amount, 2850n);
    const rest = await ask(orderId, { lines: [{ lineNumber: 1, quantity: 1 }] });
    assert.equal(rest.amount?.amount, 1850n);
    await done(orderId);
  });

  it("are paid back in part when the warehouse withholds some, and never less than nothing", async () => {
    const orderId = await anOrder();
    const asked = await approve(await ask(orderId));
    const withhold = (amount: bigint, currency = "EUR") =>
      receive(asked, { withheld: { currency, amount }, answer: "Both bags are open." });
    assert.equal(await reasonOf(withhold(3701n)), "WITHHELD_TOO_MUCH");
    assert.equal(await reasonOf(withhold(1n, "USD")), "WITHHELD_TOO_MUCH");
    const came = await withhold(700n);
    assert.deepEqual([came.amount?.amount, came.withheld?.amount, came.answer], [3000n, 700n, "Both bags are open."]);
    await done(orderId);
  });

  it("sum to what was charged, with shipping, discounts and taxes", async () => {
    const request = adjustedRequest(customerId);
    const orderId = await delivered(replica, worker, { request, parcels: [wholeParcel(request, 4935n)] });
    let paid = 0n;
    for (const lineNumber of [1, 2, 1]) {
      const came = await receive({ orderId, returnId: "" }, { lines: [{ lineNumber, quantity: 1 }] });
      paid += came.amount?.amount ?? 0n;
    }
    assert.equal(paid, 4935n);
    await done(orderId);
  });

  it("are paid back without shipping where the policy says so", async () => {
    const plain = { ...eager, EPISODE_SWEEP_AGE_MS: 600_000, RETURN_SHIPPING_FEE: "fault" as const };
    await using other = await startReplica(test.database, worker, plain);
    const request = orderRequest(customerId, {
      lines: [line("ESPRESSO-1KG", 2, 1000n)],
      adjustments: [
        {
          $typeName: "shop.orders.v1.PriceAdjustment",
          kind: PriceAdjustmentKind.SHIPPING,
          name: "Post",
          included: false,
          amount: { $typeName: "shop.type.v1.SignedMoney", currency: "EUR", amount: 500n },
        },
      ],
      total: { $typeName: "shop.type.v1.Money", currency: "EUR", amount: 2500n },
    });
    const orderId = await delivered(other, worker, { request, parcels: [wholeParcel(request, 2500n)] });
    const estimate = async (reason: ReturnReason) => {
      const { orderReturn } = await other.returns.requestReturn({
        requestId: unique("return"),
        orderId,
        lines: [{ lineNumber: 1, quantity: 1 }],
        reason,
      });
      return orderReturn?.amount?.amount;
    };
    assert.equal(await estimate(UNWANTED), 1000n);
    assert.equal(await estimate(DAMAGED), 1250n);
  });

  it("are approved at once where they are worth little enough", async () => {
    const low = { ...eager, EPISODE_SWEEP_AGE_MS: 600_000, RETURN_APPROVE_BELOW_MAJOR_UNITS: 37 };
    await using other = await startReplica(test.database, worker, low);
    const orderId = await anOrder();
    const asked = async (quantity: number) =>
      (
        await other.returns.requestReturn({
          requestId: unique("return"),
          orderId,
          lines: [{ lineNumber: 1, quantity }],
          reason: UNWANTED,
        })
      ).orderReturn;
    const cheap = await asked(1);
    assert.equal(cheap?.status, ReturnStatus.APPROVED);
    await other.returns.cancelReturn({ requestId: unique("cancel"), orderId, returnId: cheap?.returnId ?? "" });
    assert.equal((await asked(2))?.status, ReturnStatus.REQUESTED);
  });

  it("say that the refund is delayed while an operator has to look after it", async () => {
    const orderId = await anOrder();
    const { returnId } = await receive({ orderId, returnId: "" });
    const { episodeId } = await carried(orderId);
    const parked = { step: `repay:${returnId}`, reason: "GATEWAY_REFUSED", error: "no" };
    await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, { cancellable: false, needsCard: false, parked })],
    });
    const delayed = (await replica.returns.getReturn({ orderId, returnId })).orderReturn;
    assert.deepEqual([delayed?.status, delayed?.refundDelayed], [ReturnStatus.RECEIVED, true]);
    assert.match(delayed?.customerMessage ?? "", /takes longer/);
    await replica.episodes.decideParkedStep({ requestId: unique("decide"), orderId, step: parked.step, decision: 1 });
    await done(orderId);
    assert.equal((await replica.returns.getReturn({ orderId, returnId })).orderReturn?.refundDelayed, false);
  });

  it("are carried again when a version took their event that knows nothing of them", async () => {
    const slow = { ...eager, EPISODE_SWEEP_AGE_MS: 600_000, RETURN_SWEEP_EVERY_MS: 20, RETURN_SWEEP_AGE_MS: 1 };
    const orderId = await anOrder();
    await receive({ orderId, returnId: "" });
    const { episodeId } = await carried(orderId);
    await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, { cancellable: false, needsCard: false })],
    });
    assert.deepEqual((await stored(test.database, orderId)).events, []);
    await using _ = await startReplica(test.database, worker, slow);
    await eventually(() => assert.notEqual(lastStart(worker, orderId)?.episodeId, episodeId));
    await done(orderId);
  });

  it("are known by how long they have waited since they came, but for what was granted", async () => {
    const aged = async (orderId: string, kind: "unasked" | "goodwill") => {
      const sql =
        "update order_return set update_time = update_time - interval '3 hours', kind = $2 where order_id = $1";
      await test.database.query(sql, [decodeId(orderId), kind]);
    };
    const looking = {
      ...eager,
      EPISODE_SWEEP_AGE_MS: 600_000,
      RETURN_SWEEP_EVERY_MS: 20,
      RETURN_SWEEP_AGE_MS: 6 * 3_600_000,
    };
    await using watcher = await startReplica(test.database, worker, looking);
    const oldest = () => metric(watcher, "orders_oldest_received_return_seconds");
    const orderId = await anOrder();
    await receive({ orderId, returnId: "" });
    await eventually(async () => assert.ok((await oldest()) > 0));
    await aged(orderId, "unasked");
    await eventually(async () => assert.ok((await oldest()) >= 3 * 3_600));
    await aged(orderId, "goodwill");
    await eventually(async () => assert.ok((await oldest()) < 3 * 3_600));
  });

  it("are listed by order, customer and status, page by page, the newest first", async () => {
    const orderId = await anOrder({ lines: [line("ESPRESSO-1KG", 9, 100n)] }, [
      { locationId: "berlin", amount: 900n, lines: [{ sku: "ESPRESSO-1KG", quantity: 9 }] },
    ]);
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift((await ask(orderId, { lines: [{ lineNumber: 1, quantity: 1 }] })).returnId);
    const other = await anOrder();
    await ask(other);
    const found: string[] = [];
    let pageToken = "";
    do {
      const page = await replica.returns.listReturns({ orderId, pageSize: 2, pageToken });
      found.push(...page.orderReturns.map(({ returnId }) => returnId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(found, ids);
    assert.equal((await replica.returns.listReturns({ customerId })).orderReturns.length, 6);
    await approve({ orderId, returnId: ids[0] ?? "" });
    const approved = await replica.returns.listReturns({ customerId, status: ReturnStatus.APPROVED });
    assert.deepEqual(
      approved.orderReturns.map(({ returnId }) => returnId),
      [ids[0]],
    );
    const foreign = await replica.returns.listReturns({ orderId, pageSize: 2 });
    const error = await refusal(replica.returns.listReturns({ customerId, pageToken: foreign.nextPageToken }));
    assert.match(error.message, /page token/);
  });

  it("may be under way in a certain number only", async () => {
    const orderId = await anOrder({ lines: [line("ESPRESSO-1KG", 30, 100n)] }, [
      { locationId: "berlin", amount: 3000n, lines: [{ sku: "ESPRESSO-1KG", quantity: 30 }] },
    ]);
    const one = { lines: [{ lineNumber: 1, quantity: 1 }] };
    for (let n = 0; n < 20; n++) await ask(orderId, one);
    assert.equal(await reasonOf(ask(orderId, one)), "NOT_RETURNABLE TOO_MANY");
  });

  describe("say what people wrote", () => {
    const texts = () => test.database.query<{ text: unknown }>("select text from order_return_text order by order_id");
    const keysOf = (id: string) => test.database.query("select from personal_key where subject = $1", [decodeId(id)]);

    it("to who may see it, and to nobody who reads the rows", async () => {
      const orderId = await anOrder();
      const { returnId } = await ask(orderId, { note: "Ada is allergic" });
      const own = (await texts()).map(({ text }) => JSON.stringify(text)).join();
      assert.ok(!own.includes("allergic"));
      const { returns } = await replica.customers.exportCustomer({ customerId });
      assert.deepEqual(
        returns.map((each) => [each.returnId, each.note]),
        [[returnId, "Ada is allergic"]],
      );
    });

    it("until the customer is erased", async () => {
      const orderId = await anOrder();
      const { returnId } = await ask(orderId, { note: "Ada is allergic" });
      await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
      await eventually(async () => {
        const rows = await test.database.query("select from order_return_text where order_id = $1", [
          decodeId(orderId),
        ]);
        assert.equal(rows.length, 0);
      });
      const { orderReturn } = await replica.returns.getReturn({ orderId, returnId });
      assert.equal(orderReturn?.note, "");
      const late = await ask(orderId, { lines: [{ lineNumber: 2, quantity: 1 }], note: "still me" });
      assert.equal(late.note, "", "what is written after that is not kept");
    });

    it("until the order is forgotten", async () => {
      const orderId = await anOrder();
      await ask(orderId, { note: "Ada is allergic" });
      const before = (await keysOf(customerId)).length;
      await test.database.query(
        "update customer_order set update_time = now() - interval '400 days' where order_id = $1",
        [decodeId(orderId)],
      );
      await test.database.query(
        "update customer set update_time = now() - interval '400 days' where customer_id = $1",
        [decodeId(customerId)],
      );
      const retention = new RetentionRepository(test.database, new ErasureRepository(test.database, 1));
      await retention.forgetOrders({ days: 365, limit: 100, dryRun: false });
      assert.equal(
        (await keysOf(customerId)).length,
        before - 2,
        "of the address and of the note; the contact's is the customer's still",
      );
      const rows = await test.database.query("select from order_return_text where order_id = $1", [decodeId(orderId)]);
      assert.equal(rows.length, 0);
    });

    it("plain or sealed, as the process is told, in both directions", async () => {
      const orderId = await anOrder();
      const { returnId } = await ask(orderId, { note: "Ada is allergic" });
      const kindOf = async () =>
        (
          await test.database.query<{ kind: string }>(
            "select jsonb_typeof(text) as kind from order_return_text where return_id = $1",
            [decodeId(returnId)],
          )
        )[0]?.kind;
      assert.equal(await kindOf(), "string");
      await replica.stop();
      for (const [mode, kind] of [
        ["plain", "object"],
        ["sealed", "string"],
      ] as const) {
        await using other = await startReplica(test.database, worker, {
          PERSONAL_DATA: mode,
          PERSONAL_DATA_SWEEP_MS: 10,
        });
        await eventually(async () => assert.equal(await kindOf(), kind));
        assert.equal((await other.returns.getReturn({ orderId, returnId })).orderReturn?.note, "Ada is allergic");
      }
      replica = await startReplica(test.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 });
    });
  });

  describe("of nothing, which somebody grants", () => {
    const grant = (orderId: string, amount: bigint, currency = "EUR") =>
      replica.returns.grantRefund({
        requestId: unique("grant"),
        orderId,
        amount: { currency, amount },
        reason: ReturnReason.LATE,
        answer: "Sorry.",
      });

    it("are paid back, and say so", async () => {
      const orderId = await anOrder();
      const { orderReturn: granted } = await grant(orderId, 500n);
      assert.deepEqual(
        [granted?.status, granted?.kind, granted?.amount?.amount, granted?.lines.length, granted?.answer],
        [ReturnStatus.RECEIVED, ReturnKind.GOODWILL, 500n, 0, "Sorry."],
      );
      const { order } = await carried(orderId);
      assert.deepEqual(
        order.returns.map(({ amount, parts, grantedBy }) => [amount, parts.length, grantedBy]),
        [[500n, 0, ""]],
      );
      await done(orderId);
      const { orderReturn } = await replica.returns.getReturn({ orderId, returnId: granted?.returnId ?? "" });
      assert.deepEqual(
        [orderReturn?.status, orderReturn?.customerMessage],
        [ReturnStatus.COMPLETED, "We have paid back a part of what you paid."],
      );
    });

    it("are with all that comes back never more than was charged", async () => {
      const orderId = await anOrder();
      assert.equal(await reasonOf(grant(orderId, 4701n)), "REFUND_TOO_LARGE");
      assert.equal(await reasonOf(grant(orderId, 1n, "USD")), "REFUND_TOO_LARGE");
      await grant(orderId, 1000n);
      const came = await receive({ orderId, returnId: "" });
      assert.equal(came.amount?.amount, 3700n);
      const last = await receive({ orderId, returnId: "" }, { lines: [{ lineNumber: 2, quantity: 1 }] });
      assert.equal(last.amount?.amount, 0n, "all of it is paid back");
      assert.equal(await reasonOf(grant(orderId, 1n)), "REFUND_TOO_LARGE");
      await done(orderId);
    });

    it("of the same moment are together never more than was charged", async () => {
      const orderId = await anOrder();
      const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => grant(orderId, 1000n)));
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 4);
      await done(orderId);
    });

    it("are rejected when no second person approves them, and then count for nothing", async () => {
      const orderId = await anOrder();
      const { orderReturn } = await grant(orderId, 4700n);
      const returnId = orderReturn?.returnId ?? "";
      const rejection = { requests: [{ orderId, returnId, rejected: true }] };
      for (let times = 0; times < 2; times++) {
        const { outcomes } = await replica.lifecycle.batchCompleteReturns(rejection);
        assert.equal(outcomes[0]?.outcome.case, "response");
      }
      const { outcomes } = await replica.lifecycle.batchCompleteReturns({ requests: [{ orderId, returnId }] });
      assert.equal(outcomes[0]?.outcome.case, "failure");
      const refused = (await replica.returns.getReturn({ orderId, returnId })).orderReturn;
      assert.equal(refused?.status, ReturnStatus.REJECTED);
      await grant(orderId, 4700n);
    });

    it("are refused of an order of which nothing was charged", async () => {
      const { order } = await replica.orders.createOrder(orderRequest(customerId));
      assert.equal(await reasonOf(grant(order?.orderId ?? "", 1n)), "REFUND_TOO_LARGE");
      assert.equal(await reasonOf(grant(newId(), 1n)), "ORDER_NOT_FOUND");
    });
  });

  it("have ids that carry the customer's bucket, as orders have", async () => {
    const orderId = await anOrder();
    const { returnId } = await ask(orderId);
    const bucket = (id: string) => decodeId(id).slice(14, 18);
    assert.equal(bucket(returnId), bucket(orderId));
    assert.equal(encodeId(decodeId(returnId)), returnId);
  });
});
