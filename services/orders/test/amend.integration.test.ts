import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { type Order, OrderAmendmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { ErasureRepository } from "../src/customer/erasure.repository.ts";
import { eager, giveBack, kinds, lastStart, type SettlementChanges, settlement, stored } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustedRequest,
  eventually,
  line,
  newCustomer,
  type OrderChanges,
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

const eur = (amount: bigint) => create(MoneySchema, { currency: "EUR", amount });
const address = { recipient: "Grace Hopper", lines: ["Kai 1"], city: "Hamburg", postalCode: "20457", country: "DE" };
const fewer = { lines: [line("ESPRESSO-1KG", 1, 1850n), line("FILTER-100", 1, 1000n)] };
const more = { lines: [line("ESPRESSO-1KG", 3, 1850n)], cardToken: "tok_other" };

describe("amending orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, {
      ...eager,
      EPISODE_RELAXED_SPACING_MS: 0,
      EPISODE_SWEEP_AGE_MS: 600_000,
    });
  });
  after(async () => {
    await replica?.stop();
    await test?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    worker.onStart = () => undefined;
    customerId = await newCustomer(replica);
  });

  async function settle(orderId: string, episodeId: string, changes: SettlementChanges = {}): Promise<void> {
    const requests = [settlement(orderId, episodeId, changes)];
    const { outcomes } = await replica.episodes.batchSettleOrders({ requests });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  async function carried(orderId: string, earlier = ""): Promise<string> {
    return await eventually(() => {
      const start = lastStart(worker, orderId);
      assert.ok(start && start.episodeId !== earlier);
      return start.episodeId;
    });
  }

  /** The episode that has an order with its amendment. */
  async function amending(orderId: string, number = 1, earlier = ""): Promise<string> {
    return await eventually(() => {
      const start = lastStart(worker, orderId);
      assert.ok(start && start.episodeId !== earlier);
      assert.equal(start.order.amendment?.number, number);
      return start.episodeId;
    });
  }

  /** An order that is being packed, and rests. */
  async function packing(
    changes: OrderChanges = {},
    request = orderRequest,
  ): Promise<{ orderId: string; order: Order }> {
    const { order: created } = await replica.orders.createOrder(request(customerId, changes));
    assert.ok(created);
    const { orderId, total } = created;
    const episodeId = await carried(orderId);
    const shipments = [{ locationId: "BER", status: 1, amount: total }];
    for (const status of [OrderStatus.CONFIRMED, OrderStatus.PREPARING]) {
      await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status, shipments }] });
    }
    await settle(orderId, episodeId, { needsCard: false });
    const { order } = await replica.orders.getOrder({ orderId });
    assert.ok(order);
    return { orderId, order };
  }

  const amend = (orderId: string, change: object, requestId = unique("amend")) =>
    replica.orders.amendOrder({ requestId, orderId, ...change });
  /** Asks for an amendment, and returns the order when it is accepted: whoever waits for the call waits for its decision. */
  const begin = async (orderId: string, change: object): Promise<Order | undefined> => {
    const { order: before } = await replica.orders.getOrder({ orderId });
    const failed = amend(orderId, change).then(
      () => undefined,
      (error: unknown) => error,
    );
    return await eventually(async () => {
      const { order } = await replica.orders.getOrder({ orderId });
      assert.notEqual(order?.amendment?.number, before?.amendment?.number, String(await Promise.race([failed, ""])));
      return order;
    });
  };
  const decide = async (orderId: string, number: number, decision: object = {}) => {
    const { outcomes } = await replica.lifecycle.batchDecideAmendments({
      requests: [{ orderId, number, ...decision }],
    });
    const outcome = outcomes[0]?.outcome;
    return outcome?.case === "failure" ? outcome.value.reason : "decided";
  };
  /** A worker that decides what it gets at once. */
  const decides = (decision: object = {}) => {
    worker.onStart = async ({ episodeId, orders }) => {
      for (const { orderId, amendment } of orders) {
        if (!amendment) continue;
        await decide(orderId, amendment.number, decision);
        await settle(orderId, episodeId, { amended: amendment.number });
      }
    };
  };

  it("leaves the price of what is sent elsewhere as it is by then: something was missing of it since it was asked for", async () => {
    const request = { ...orderRequest(customerId), shortagePolicy: ShortagePolicy.SHIP_AVAILABLE };
    const { order: created } = await replica.orders.createOrder(request);
    const { orderId = "" } = created ?? {};
    const first = await carried(orderId);
    await begin(orderId, { shippingAddress: address });
    const missing = [{ sku: "FILTER-100", quantity: 1 }];
    const { outcomes } = await replica.lifecycle.batchCutOrders({ requests: [{ orderId, missing }] });
    assert.equal(outcomes[0]?.outcome.case, "response");
    const shipments = [{ locationId: "BER", status: 1, amount: eur(3700n) }];
    await replica.lifecycle.batchTransitionOrders({
      requests: [{ orderId, status: OrderStatus.CONFIRMED, shipments }],
    });
    await settle(orderId, first, { needsCard: false });
    await amending(orderId, 1, first);
    assert.equal(lastStart(worker, orderId)?.order.amendment?.total?.amount, 3700n);
    assert.equal(await decide(orderId, 1), "decided");
    const { order } = await replica.orders.getOrder({ orderId });
    assert.deepEqual([order?.total?.amount, order?.shippingAddress?.city], [3700n, "Hamburg"]);
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    const [decision] = log.filter(({ action }) => action === "order.amended");
    assert.deepEqual([decision?.details.from, decision?.details.to], ["3700", "3700"]);
  });

  it("keeps the card of one that would cost no more until it is decided: something may go missing of the order", async () => {
    const request = { ...orderRequest(customerId), shortagePolicy: ShortagePolicy.SHIP_AVAILABLE };
    const { order: created } = await replica.orders.createOrder(request);
    const { orderId = "" } = created ?? {};
    const first = await carried(orderId);
    await begin(orderId, { ...fewer, cardToken: "tok_other" });
    await settle(orderId, first);
    await amending(orderId, 1, first);
    assert.equal(lastStart(worker, orderId)?.order.amendment?.cardToken, "tok_other");
  });

  it("gives them to an episode, and is the order from its pivot on, in one revision", async () => {
    const { orderId, order: before } = await packing();
    decides({ shipments: [{ locationId: "BER", status: 1, amount: eur(2850n) }] });
    const requestId = unique("amend");
    const change = { ...fewer, shippingAddress: address, revision: before.revision };
    const { order } = await amend(orderId, change, requestId);
    assert.equal(order?.amendment?.status, OrderAmendmentStatus.ACCEPTED);
    assert.equal(order.revision, before.revision + 1);
    assert.deepEqual([order.total?.amount, order.lines.map(({ quantity }) => quantity)], [2850n, [1, 1]]);
    assert.deepEqual([order.shippingAddress?.city, order.shipments[0]?.amount?.amount], ["Hamburg", 2850n]);
    const start = lastStart(worker, orderId)?.order;
    assert.deepEqual(kinds(start?.events ?? []), ["amendment"]);
    assert.deepEqual(
      start?.amendment?.lines.map(({ sku, quantity }) => [sku, quantity]),
      [
        ["ESPRESSO-1KG", 1],
        ["FILTER-100", 1],
      ],
    );
    assert.deepEqual([start?.amendment?.total?.amount, start?.amendment?.cardToken], [2850n, ""]);
    assert.equal(start?.checkout?.shippingAddress?.city, "Berlin", "what it was is there for the undo");
    assert.deepEqual((await amend(orderId, change, requestId)).order, order, "a repetition");
    const reused = await refusal(amend(orderId, { shippingAddress: address }, requestId));
    assert.equal(reason(reused), "REQUEST_ID_REUSED");
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(
      log.slice(-2).map(({ action, details }) => [action, details.number, details.from, details.to]),
      [
        ["order.amendment_requested", "1", "4700", "2850"],
        ["order.amended", "1", "4700", "2850"],
      ],
    );
  });

  it("shows it as pending until it is decided, and the order as it was", async () => {
    const { orderId, order: before } = await packing();
    const order = await begin(orderId, fewer);
    assert.deepEqual({ ...order, amendment: undefined }, { ...before, amendment: undefined, sagaId: order?.sagaId });
    assert.equal(order?.amendment?.status, OrderAmendmentStatus.PENDING);
    assert.equal(reason(await refusal(amend(orderId, more))), "AMENDMENT_PENDING");
    const episodeId = await amending(orderId);
    assert.equal(
      await decide(orderId, 1, { failure: { reason: "OUT_OF_STOCK", customerMessage: "Sold out." } }),
      "decided",
    );
    await settle(orderId, episodeId, { amended: 1 });
    const { order: after } = await replica.orders.getOrder({ orderId });
    assert.deepEqual([after?.amendment?.status, after?.amendment?.failure?.reason], [3, "OUT_OF_STOCK"]);
    assert.deepEqual([after?.total, after?.lines, after?.revision], [before.total, before.lines, before.revision + 1]);
  });

  it("is decided once, whoever comes first, and the same decision twice is one", async () => {
    const { orderId } = await packing();
    await begin(orderId, fewer);
    assert.equal(await decide(orderId, 2), "AMENDMENT_DECIDED");
    assert.equal(await decide(orderId, 1), "decided");
    assert.equal(await decide(orderId, 1), "decided");
    assert.equal(await decide(orderId, 1, { failure: { reason: "TOO_LATE" } }), "AMENDMENT_DECIDED");
    assert.equal(await decide(newId(), 1), "ORDER_NOT_FOUND");
    const { order } = await replica.orders.getOrder({ orderId });
    assert.equal(order?.total?.amount, 2850n);
  });

  it("knows the card of one that is refused until the saga is through with it: what it holds is to be given up", async () => {
    const { orderId } = await packing();
    await begin(orderId, more);
    const first = await amending(orderId);
    assert.equal(await decide(orderId, 1, { failure: { reason: "AMENDMENT_TOO_LATE" } }), "decided");
    await settle(orderId, first, { retryAfter: durationFromMs(0), waitsFor: "payments" });
    const second = await amending(orderId, 1, first);
    const { amendment } = lastStart(worker, orderId)?.order ?? {};
    assert.deepEqual([amendment?.accepted, amendment?.cardToken], [false, "tok_other"]);
    await settle(orderId, second, { amended: 1 });
    const rows = await test.database.query("select from order_amendment where order_id = $1", [decodeId(orderId)]);
    assert.equal(rows.length, 0);
  });

  it("keeps what was asked for until the saga is through with it, also when its workflow is gone", async () => {
    const { orderId } = await packing();
    await begin(orderId, { ...more, shippingAddress: address });
    const first = await amending(orderId);
    assert.equal(lastStart(worker, orderId)?.order.amendment?.cardToken, "tok_other");
    assert.equal(await decide(orderId, 1), "decided");
    await giveBack(test.database, first);
    const second = await amending(orderId, 1, first);
    const { amendment } = lastStart(worker, orderId)?.order ?? {};
    assert.deepEqual([amendment?.accepted, amendment?.cardToken, amendment?.total?.amount], [true, "", 5550n]);
    await settle(orderId, second, { amended: 1 });
    const rows = await test.database.query("select from order_amendment where order_id = $1", [decodeId(orderId)]);
    assert.equal(rows.length, 0);
    assert.equal(reason(await refusal(amend(orderId, { ...more, revision: 1 }))), "ORDER_CHANGED");
  });

  it("is not forgotten by a worker that did not see it", async () => {
    const { orderId } = await packing();
    await begin(orderId, fewer);
    await settle(orderId, await amending(orderId));
    assert.deepEqual((await stored(test.database, orderId)).events, ["retry"]);
  });

  const refusals: [what: string, change: object, reason: string, code: Code][] = [
    ["a price that is not what it sums to", { ...fewer, total: eur(1n) }, "TOTAL_MISMATCH", Code.InvalidArgument],
    ["another currency", { lines: [line("FILTER-100", 1, 1n, "USD")] }, "CURRENCY_MISMATCH", Code.InvalidArgument],
    ["more without a card", { lines: more.lines }, "CARD_NEEDED", Code.FailedPrecondition],
    ["another revision", { ...fewer, revision: 1 }, "ORDER_CHANGED", Code.Aborted],
  ];
  for (const [what, change, expected, code] of refusals) {
    it(`refuses ${what}, and nothing is kept`, async () => {
      const { orderId } = await packing();
      const refused = await refusal(amend(orderId, change));
      assert.deepEqual([reason(refused), refused.code], [expected, code]);
      const { order } = await replica.orders.getOrder({ orderId });
      assert.equal(order?.amendment, undefined);
    });
  }

  it("refuses what changes nothing, and an order that there is not", async () => {
    const { orderId } = await packing();
    assert.equal((await refusal(amend(orderId, {}))).code, Code.InvalidArgument);
    assert.equal(
      (await refusal(amend(orderId, { shippingAddress: address, total: eur(1n) }))).code,
      Code.InvalidArgument,
    );
    assert.equal(reason(await refusal(amend(newId(), fewer))), "ORDER_NOT_FOUND");
  });

  it("refuses an order that is being cancelled, or has gone too far", async () => {
    const { orderId } = await packing();
    await replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" }, { timeoutMs: 5_000 });
    assert.equal(reason(await refusal(amend(orderId, fewer))), "NOT_AMENDABLE");
    const other = await packing();
    await replica.lifecycle.batchTransitionOrders({
      requests: [{ orderId: other.orderId, status: OrderStatus.SHIPPED }],
    });
    assert.equal(reason(await refusal(amend(other.orderId, fewer))), "NOT_AMENDABLE");
  });

  it("takes one of many that come at the same moment", async () => {
    const { orderId } = await packing();
    const racing = Array.from({ length: 12 }, () => amend(orderId, fewer, unique("race")).catch((e) => e));
    const reasons = (await Promise.all(racing)).map((each) =>
      each instanceof Error ? reason(each as ConnectError) : "",
    );
    assert.equal(reasons.filter((each) => each === "").length, 1);
    assert.equal(reasons.filter((each) => each === "AMENDMENT_PENDING").length, 11);
  });

  describe("single lines", () => {
    const cancel = (orderId: string, lines: { lineNumber: number; quantity: number }[], requestId = unique("lines")) =>
      replica.orders.cancelOrderLines({ requestId, orderId, lines, reason: "two are enough, Ada" });

    it("are cancelled with their exact shares of everything", async () => {
      const { orderId } = await packing({}, adjustedRequest);
      decides();
      const requestId = unique("lines");
      const { order } = await cancel(orderId, [{ lineNumber: 2, quantity: 1 }], requestId);
      assert.equal(order?.amendment?.status, OrderAmendmentStatus.ACCEPTED);
      assert.deepEqual(
        order?.lines.map(({ sku, quantity }) => [sku, quantity]),
        [["ESPRESSO-1KG", 2]],
      );
      // 3,330 of 4,510 for the lines: as much of the shipping and of the discount.
      assert.deepEqual(
        order?.adjustments.map(({ amount }) => amount?.amount),
        [362n, -48n],
      );
      assert.equal(order?.total?.amount, 3330n + 362n - 48n);
      assert.deepEqual(
        (await cancel(orderId, [{ lineNumber: 2, quantity: 1 }], requestId)).order,
        order,
        "a repetition",
      );
      // The amendment is decided a moment before its episode has settled, and until then another one is not taken.
      const half = await eventually(() => cancel(orderId, [{ lineNumber: 1, quantity: 1 }]));
      assert.deepEqual(
        [half.order?.lines[0]?.quantity, half.order?.lines[0]?.adjustments.map(({ amount }) => amount?.amount)],
        [1, [-185n, 109n]],
      );
      assert.equal(half.order?.total?.amount, 1665n + 181n - 24n);
    });

    it("are refused when there are none, too few, or no others", async () => {
      const { orderId } = await packing();
      const refused = async (...lines: { lineNumber: number; quantity: number }[]) =>
        reason(await refusal(cancel(orderId, lines)));
      assert.equal(await refused({ lineNumber: 3, quantity: 1 }), "LINE_NOT_THERE");
      assert.equal(await refused({ lineNumber: 1, quantity: 3 }), "LINE_NOT_THERE");
      assert.equal(await refused({ lineNumber: 1, quantity: 2 }, { lineNumber: 2, quantity: 1 }), "NOTHING_LEFT");
      assert.equal(
        await refused(...[1, 2].map((quantity) => ({ lineNumber: 1, quantity }))),
        "LINE_NOT_THERE",
        "together",
      );
    });

    it("say why in the audit log, sealed", async () => {
      const { orderId } = await packing();
      decides();
      await cancel(orderId, [{ lineNumber: 1, quantity: 1 }]);
      const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
      const asked = log.find(({ action }) => action === "order.amendment_requested");
      assert.ok(asked?.details.sealed_note);
      assert.doesNotMatch(JSON.stringify(log), /Ada/);
    });
  });

  it("seals a new address as the order's, and keeps no key of the one before", async () => {
    const { orderId } = await packing();
    const keys = async () => {
      const rows = await test.database.query<{ n: string }>(
        "select count(*) as n from personal_key where subject = (select customer_id from customer_order where order_id = $1)",
        [decodeId(orderId)],
      );
      return Number(rows[0]?.n);
    };
    const before = await keys();
    await begin(orderId, { shippingAddress: address });
    const episodeId = await amending(orderId);
    const [row] = await test.database.query<{ lies: string }>(
      "select jsonb_typeof(shipping_address) as lies from order_amendment where order_id = $1",
      [decodeId(orderId)],
    );
    assert.equal(row?.lies, "string");
    assert.equal(await keys(), before + 1);
    assert.equal(await decide(orderId, 1), "decided");
    await settle(orderId, episodeId, { amended: 1 });
    assert.equal(await keys(), before);
    const { order } = await replica.orders.getOrder({ orderId });
    assert.equal(order?.shippingAddress?.recipient, "Grace Hopper");
    await begin(orderId, { shippingAddress: { ...address, city: "Bremen" } });
    const next = await amending(orderId, 2);
    assert.equal(await decide(orderId, 2, { failure: { reason: "AMENDMENT_TOO_LATE" } }), "decided");
    await settle(orderId, next, { amended: 2 });
    assert.equal(await keys(), before, "that of one that did not happen is forgotten");
    assert.equal((await replica.orders.getOrder({ orderId })).order?.shippingAddress?.city, "Hamburg");
  });

  it("keeps the new address of somebody who is erased meanwhile, until the order has ended", async () => {
    const { orderId } = await packing();
    await begin(orderId, { shippingAddress: address });
    const episodeId = await amending(orderId);
    await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
    await test.database.query("update erasure set due_time = now() - interval '1 hour'");
    while ((await new ErasureRepository(test.database, 3_650).sweep(10)) > 0);
    assert.equal(await decide(orderId, 1), "decided");
    await settle(orderId, episodeId, { amended: 1 });
    const { order } = await replica.orders.getOrder({ orderId });
    assert.equal(order?.shippingAddress?.city, "Hamburg");
    assert.equal(reason(await refusal(amend(orderId, fewer))), "NOT_AMENDABLE");
  });
});
