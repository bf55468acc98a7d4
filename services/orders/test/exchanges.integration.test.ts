import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Counter } from "prom-client";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { OrderShipmentStatus, OrderStatus, PriceAdjustmentKind } from "#gen/shop/orders/v1/order_pb.js";
import {
  type OrderReturn,
  ReturnExchangeStatus,
  ReturnReason,
  ReturnStatus,
} from "#gen/shop/orders/v1/order_return_pb.js";
import type { Database } from "#platform/database/database.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { OrderRepository } from "../src/order/order.repository.ts";
import { OrderReturnRepository } from "../src/returns/order-return.repository.ts";
import { ReturnExchanges } from "../src/returns/return-exchanges.ts";
import { Statistics } from "../src/statistics/statistics.ts";
import { delivered, wholeParcel } from "./delivered-orders.ts";
import { eager, lastStart, settlement, stored } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustment,
  eventually,
  line,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  personal,
  type Replica,
  refusal,
  secondDatabase,
  startReplica,
  unique,
} from "./harness.ts";

const { WANTED, MADE, REFUSED, GIVEN_BACK } = ReturnExchangeStatus;
const two = [{ lineNumber: 1, quantity: 2 }];
type Ask = NonNullable<Parameters<Replica["returns"]["requestReturn"]>[0]>;

describe("exchanges", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  const settings = { ...eager, EPISODE_SWEEP_AGE_MS: 600_000, RETURN_APPROVE_BELOW_MAJOR_UNITS: 1_000 };
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, settings);
  });
  after(async () => {
    await replica?.stop();
    await test?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    customerId = await newCustomer(replica);
  });

  /** An order of 2 × 18.50 and 1 × 10.00 that has arrived. */
  function anOrder(): Promise<string> {
    const request = orderRequest(customerId);
    return delivered(replica, worker, { request, parcels: [wholeParcel(request, 4700n)] });
  }

  /** Wants a machine for two bags that cost 37.00. */
  async function ask(orderId: string, exchange: Ask["exchange"], changes: Partial<Ask> = {}): Promise<OrderReturn> {
    const wanted = { requestId: unique("return"), orderId, lines: two, reason: ReturnReason.UNWANTED, exchange };
    const { orderReturn } = await replica.returns.requestReturn({ ...wanted, ...changes } as Ask);
    assert.ok(orderReturn);
    return orderReturn;
  }

  const costing = (amount: bigint, cardToken = "") => ({ lines: [line("MACHINE-1", 1, amount)], cardToken });

  async function receive({ orderId, returnId }: OrderReturn, quantity = 2): Promise<OrderReturn> {
    const lines = [{ lineNumber: 1, quantity }];
    const { orderReturn } = await replica.returns.receiveReturn({
      requestId: unique("receive"),
      orderId,
      returnId,
      lines,
    });
    assert.ok(orderReturn);
    return orderReturn;
  }

  async function look({ orderId, returnId }: OrderReturn): Promise<OrderReturn> {
    const { orderReturn } = await replica.returns.getReturn({ orderId, returnId });
    assert.ok(orderReturn);
    return orderReturn;
  }

  /** What the worker was told of what came, once something has. */
  async function told({ orderId }: OrderReturn) {
    return await eventually(async () => {
      const start = lastStart(worker, orderId);
      if (start && start.order.returns.length === 0) await rest(orderId, start.episodeId);
      const came = start?.order.returns[0];
      assert.ok(start && came, "nothing of it is carried");
      return { came, episodeId: start.episodeId };
    });
  }

  function rest(orderId: string, episodeId: string) {
    const requests = [settlement(orderId, episodeId, { cancellable: false, needsCard: false })];
    return replica.episodes.batchSettleOrders({ requests });
  }

  async function decide(
    { orderId, returnId }: OrderReturn,
    decision: { credits?: bigint[]; failure?: string } = {},
    by: Replica = replica,
  ): Promise<boolean | string> {
    const requests = [{ orderId, returnId, credits: [], failure: "", ...decision }];
    const { outcomes } = await by.lifecycle.batchDecideExchanges({ requests });
    const outcome = outcomes[0]?.outcome;
    if (outcome?.case === "response") return outcome.value.made;
    return outcome?.case === "failure" ? `${outcome.value.reason} ${outcome.value.message}` : "nothing";
  }

  async function complete({ orderId, returnId }: OrderReturn): Promise<void> {
    const { episodeId } = await told({ orderId } as OrderReturn);
    const { outcomes } = await replica.lifecycle.batchCompleteReturns({ requests: [{ orderId, returnId }] });
    assert.equal(outcomes[0]?.outcome.case, "response");
    await rest(orderId, episodeId);
  }

  async function reasonOf(call: Promise<unknown>): Promise<string> {
    const [info] = (await refusal(call)).findDetails(ErrorInfoSchema);
    return info?.reason ?? "";
  }

  const cardOf = async ({ returnId }: OrderReturn) => {
    const [row] = await test.database.query<{ token: string | null }>(
      "select exchange->>'cardToken' as token from order_return where return_id = $1",
      [decodeId(returnId)],
    );
    return row?.token;
  };

  /** How many were decided, by outcome. */
  const decidedAs = (outcome: string) => metric(replica, "orders_exchanges_total", { outcome });

  it("are wanted with the return, and their order is placed once the articles have come", async () => {
    const orderId = await anOrder();
    const price = {
      adjustments: [adjustment(PriceAdjustmentKind.SHIPPING, 490n)],
      total: { currency: "EUR", amount: 4190n },
    };
    const asked = await ask(orderId, { ...costing(3700n, "tok_approve"), ...price });
    assert.deepEqual(
      [asked.exchange?.status, asked.exchange?.total?.amount, asked.exchange?.credit, asked.exchange?.orderId],
      [WANTED, 4190n, undefined, ""],
    );
    assert.deepEqual(
      asked.exchange?.lines.map(({ sku, quantity, unitPrice }) => [sku, quantity, unitPrice?.amount]),
      [["MACHINE-1", 1, 3700n]],
    );
    const came = await receive(asked);
    assert.deepEqual([came.exchange?.status, came.exchange?.credit?.amount], [WANTED, 3700n]);
    const { came: carried } = await told(asked);
    assert.deepEqual([carried.amount, carried.exchange?.credit], [3700n, 3700n]);
    const created = await metric(replica, "orders_created_total");
    const before = await decidedAs("made");
    for (let call = 0; call < 2; call += 1) assert.equal(await decide(asked, { credits: [3000n, 700n] }), true);
    assert.equal(await decidedAs("made"), before + 1);
    assert.equal(await metric(replica, "orders_created_total"), created + 1);
    const exchangeId = carried.exchange?.orderId ?? "";
    const made = await look(asked);
    assert.deepEqual([made.exchange?.status, made.exchange?.orderId], [MADE, exchangeId]);
    assert.match(made.customerMessage, /have arrived/);
    const { order } = await replica.orders.getOrder({ orderId: exchangeId });
    const { order: first } = await replica.orders.getOrder({ orderId });
    assert.deepEqual(
      [order?.customerId, order?.contact, order?.shippingAddress, order?.total?.amount, order?.status],
      [customerId, first?.contact, first?.shippingAddress, 4190n, OrderStatus.PENDING],
    );
    assert.deepEqual(
      [order?.exchangeOf?.orderId, order?.exchangeOf?.returnId, order?.exchangeOf?.credit?.amount],
      [orderId, asked.returnId, 3700n],
    );
    const start = await eventually(() => lastStart(worker, exchangeId) ?? assert.fail("it is not carried"));
    assert.deepEqual(start.order.credits, [3000n, 700n]);
    assert.equal(start.order.checkout?.cardToken, "tok_approve");
    assert.equal(await cardOf(asked), null);
    await complete(asked);
    const done = await look(asked);
    assert.equal(done.customerMessage, "The return is done, and what you get for it is ordered.");
    assert.deepEqual([done.status, done.amount?.amount], [ReturnStatus.COMPLETED, 3700n]);
  });

  it("are decided once, whoever asks for what, and for however often", async () => {
    const asked = await ask(await anOrder(), costing(3000n));
    await receive(asked);
    const second = await secondDatabase(test);
    const other = await startReplica(second, worker, settings);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => decide(asked, { credits: [3000n] }, index % 2 ? other : replica)),
    );
    await other.stop();
    await second.close();
    assert.deepEqual(new Set(answers), new Set([true]));
    assert.equal(await decide(asked, { failure: "AMOUNT_EXCEEDS_CAPTURE" }), true);
    const orders = await test.database.query("select from customer_order where exchange->>'returnId' = $1", [
      decodeId(asked.returnId),
    ]);
    assert.equal(orders.length, 1);
    const log = (await readAuditLog(test.database)).filter(({ details }) => details.return === asked.returnId);
    assert.deepEqual(
      log.map(({ action }) => action),
      ["order.return_approved", "order.return_received", "order.return_exchange_made"],
    );
  });

  it("are paid back for good when nothing can be credited, and no order is ever placed", async () => {
    const asked = await ask(await anOrder(), costing(3000n, "tok_approve"));
    await receive(asked);
    const { came } = await told(asked);
    const before = await decidedAs("not_credited");
    assert.equal(await decide(asked, { failure: "PAYMENT_ELSEWHERE" }), false);
    assert.equal(await decidedAs("not_credited"), before + 1);
    assert.equal(await decide(asked, { credits: [3000n] }), false);
    const refused = await look(asked);
    assert.deepEqual(
      [refused.exchange?.status, refused.exchange?.reason, refused.exchange?.orderId],
      [REFUSED, "PAYMENT_ELSEWHERE", ""],
    );
    const exchangeId = came.exchange?.orderId ?? "";
    assert.equal(await reasonOf(replica.orders.getOrder({ orderId: exchangeId })), "ORDER_NOT_FOUND");
    const log = (await readAuditLog(test.database)).filter(({ details }) => details.exchange === exchangeId);
    assert.deepEqual(
      log.map(({ action, details }) => [action, details.reason]),
      [["order.return_exchange_refused", "PAYMENT_ELSEWHERE"]],
    );
    await complete(asked);
    assert.match((await look(asked)).customerMessage, /cannot be had, so it is paid back/);
    assert.equal(await cardOf(asked), null);
  });

  it("need a card for what they cost more, when they are wanted and when less has come", async () => {
    const orderId = await anOrder();
    assert.equal(await reasonOf(ask(orderId, costing(3701n))), "CARD_NEEDED");
    const asked = await ask(orderId, costing(3700n));
    const before = await decidedAs("card_needed");
    const came = await receive(asked, 1);
    assert.deepEqual([came.exchange?.status, came.exchange?.reason], [REFUSED, "CARD_NEEDED"]);
    assert.equal((await told(asked)).came.exchange, undefined);
    assert.equal(await decide(asked), false);
    await complete(asked);
    assert.equal(await decidedAs("card_needed"), before + 1);
  });

  it("cost what the caller has summed, in the currency of the order", async () => {
    const orderId = await anOrder();
    const foreign = { lines: [line("MACHINE-1", 1, 100n, "USD")] };
    assert.equal(await reasonOf(ask(orderId, foreign)), "CURRENCY_MISMATCH");
    const summed = { ...costing(100n), total: { currency: "EUR", amount: 99n } };
    assert.equal(await reasonOf(ask(orderId, summed)), "TOTAL_MISMATCH");
    const tooMuch = { ...costing(100n), adjustments: [adjustment(PriceAdjustmentKind.DISCOUNT, -101n)] };
    assert.equal(await reasonOf(ask(orderId, { ...tooMuch, total: { currency: "EUR", amount: 0n } })), "BELOW_ZERO");
  });

  it("are not wanted any more when the return is not, and nobody keeps the card", async () => {
    const orderId = await anOrder();
    const asked = await ask(orderId, costing(5000n, "tok_approve"));
    assert.match((await cardOf(asked)) ?? "", /^[0-9a-f]{32}/);
    const ids = { orderId, returnId: asked.returnId };
    const before = await decidedAs("return_cancelled");
    const { orderReturn } = await replica.returns.cancelReturn({ requestId: unique("cancel"), ...ids });
    assert.equal(await decidedAs("return_cancelled"), before + 1);
    assert.deepEqual([orderReturn?.exchange?.status, orderReturn?.exchange?.reason], [REFUSED, "RETURN_CANCELLED"]);
    assert.equal(await cardOf(asked), null);
    assert.equal(await decide(asked), false);
  });

  it("are not sent to who is erased", async () => {
    const asked = await ask(await anOrder(), costing(5000n, "tok_approve"));
    await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
    await eventually(async () => assert.equal(await cardOf(asked), null));
    const came = await receive(asked);
    assert.equal(came.exchange?.reason, "CARD_NEEDED", "it is forgotten");
    const cheap = await ask(await anOtherOrder(), costing(1000n));
    await receive(cheap);
    await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
    assert.equal(await decide(cheap, { credits: [1000n] }), false);
    assert.equal((await look(cheap)).exchange?.reason, "CUSTOMER_GONE");
  });

  async function anOtherOrder(): Promise<string> {
    customerId = await newCustomer(replica);
    return await anOrder();
  }

  it("say that what was to pay them goes back, when their order comes to nothing", async () => {
    const asked = await ask(await anOrder(), costing(3000n));
    await receive(asked);
    const { came } = await told(asked);
    const exchangeId = came.exchange?.orderId ?? "";
    await decide(asked, { credits: [3000n] });
    await complete(asked);
    const { episodeId } = await eventually(() => lastStart(worker, exchangeId) ?? assert.fail("it is not carried"));
    const failure = { reason: "OUT_OF_STOCK", customerMessage: "There is none left." };
    const ends = { status: OrderStatus.REJECTED, failure, cancellable: false, needsCard: false };
    await replica.episodes.batchSettleOrders({ requests: [settlement(exchangeId, episodeId, ends)] });
    const given = await look(asked);
    assert.deepEqual([given.exchange?.status, given.exchange?.orderId], [GIVEN_BACK, exchangeId]);
    assert.equal(
      given.customerMessage,
      "The return is done. What you wanted for it does not come, so it is paid back.",
    );
  });

  it("are not made by a version that knows nothing of them", async () => {
    const asked = await ask(await anOrder(), costing(3000n));
    await receive(asked);
    await complete(asked);
    assert.equal((await look(asked)).exchange?.reason, "NOT_MADE");
    assert.equal(await decide(asked, { credits: [3000n] }), false);
  });

  for (const when of ["order_insert", "exchange_link", "return_save"]) {
    it(`are made as a whole or not at all by who dies before "${when}"`, async () => {
      const asked = await ask(await anOrder(), costing(3000n));
      await receive(asked);
      const { came } = await told(asked);
      const transaction: Database["transaction"] = (work) =>
        test.database.transaction((tx) => {
          const mortal = (sql: Parameters<Transaction["query"]>[0]) => {
            if (typeof sql !== "string" && sql.name === when) throw new Error("died");
          };
          const query: Transaction["query"] = (sql, values) => {
            mortal(sql);
            return tx.query(sql, values);
          };
          const commitWith: Transaction["commitWith"] = (sql, values) => {
            mortal(sql);
            return tx.commitWith(sql, values);
          };
          return work({ query, commitWith });
        });
      const dying = new ReturnExchanges({
        database: { transaction } as Database,
        repository: new OrderReturnRepository(test.database, personal),
        ordersWithin: (tx) => new OrderRepository(tx, personal),
        metrics: { created: new Counter({ name: "made", help: "made", registers: [] }) },
        returnMetrics: { exchanged: () => assert.fail("nothing is decided") },
        onPlaced: () => assert.fail("it is not placed"),
      });
      const { orderId, returnId } = asked;
      await assert.rejects(dying.decide({ orderId, returnId, credits: [3000n], failure: "" }), /died/);
      const exchangeId = came.exchange?.orderId ?? "";
      assert.equal(await reasonOf(replica.orders.getOrder({ orderId: exchangeId })), "ORDER_NOT_FOUND");
      assert.equal((await look(asked)).exchange?.status, WANTED);
      assert.equal(await decide(asked, { credits: [3000n] }), true);
      assert.equal((await replica.orders.getOrder({ orderId: exchangeId })).order?.exchangeOf?.returnId, returnId);
    });
  }

  it("count as paid back of the first order, and as charged of theirs", async () => {
    const sums = async () => {
      await new Statistics(test.database).refresh(60_000);
      const [row] = await test.database.query<{ captured: bigint; refunded: bigint }>(
        `select coalesce(sum(captured), 0)::bigint as captured, coalesce(sum(refunded), 0)::bigint as refunded
        from order_statistics where sku = '' and generation = (select generation from order_statistics_state)`,
      );
      return row ?? { captured: 0n, refunded: 0n };
    };
    const asked = await ask(await anOrder(), costing(3000n));
    const before = await sums();
    await receive(asked);
    const { came } = await told(asked);
    await decide(asked, { credits: [3000n] });
    await complete(asked);
    const amount = { currency: "EUR", amount: 3000n };
    const lines = [{ sku: "MACHINE-1", quantity: 1 }];
    const shipments = [{ locationId: "berlin", status: OrderShipmentStatus.SHIPPED, amount, lines }];
    for (const status of [OrderStatus.CONFIRMED, OrderStatus.PREPARING, OrderStatus.SHIPPED]) {
      const orderId = came.exchange?.orderId ?? "";
      await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status, shipments }] });
    }
    const after = await sums();
    assert.deepEqual([after.captured - before.captured, after.refunded - before.refunded], [3000n, 3700n]);
  });

  it("are decided of what there is, and of what was told", async () => {
    const orderId = await anOrder();
    const missing = { orderId, returnId: newId() } as OrderReturn;
    assert.match(String(await decide(missing)), /^RETURN_NOT_FOUND/);
    const asked = await ask(orderId, costing(3000n));
    assert.equal(await decide(asked), false, "nothing has come");
    await receive(asked);
    const { came } = await told(asked);
    await assert.rejects(decide(asked, { credits: [2999n] }), /internal error/, "a fault of whoever tells it");
    assert.equal((await look(asked)).exchange?.status, WANTED);
    assert.equal(await decide(asked, { credits: [3000n] }), true);
    assert.equal((await stored(test.database, came.exchange?.orderId ?? "")).status, "pending");
  });
});
