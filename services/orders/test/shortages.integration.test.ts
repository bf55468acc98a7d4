// What is missing of orders is taken out of them, once, before they are charged.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import type { EpisodeOrder } from "#gen/shop/sagas/v1/saga_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { textOfTables } from "#testing/table-text.ts";
import { ErasureRepository } from "../src/customer/erasure.repository.ts";
import { RetentionRepository } from "../src/customer/retention.repository.ts";
import { Statistics } from "../src/statistics/statistics.ts";
import { eager, episodesWith, lastStart, type SettlementChanges, settlement } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustedRequest,
  eventually,
  line,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  secondDatabase,
  startReplica,
} from "./harness.ts";

const config = { ...eager, EPISODE_SWEEP_AGE_MS: 600_000, EPISODE_RELAXED_SPACING_MS: 0 };

describe("orders of which something is missing", () => {
  let database: TestDatabase;
  let replica: Replica;
  let customerId: string;
  const worker = new FakeWorker();
  before(async () => {
    database = await ordersDatabase();
    replica = await startReplica(database.database, worker, config);
    customerId = await newCustomer(replica);
  });
  after(async () => {
    await replica?.stop();
    await database?.[Symbol.asyncDispose]();
  });

  async function place(
    request = orderRequest(customerId),
    shortagePolicy = ShortagePolicy.SHIP_AVAILABLE,
  ): Promise<string> {
    const { order } = await replica.orders.createOrder({ ...request, shortagePolicy });
    return order?.orderId ?? "";
  }

  function carried(orderId: string, times = 1): Promise<{ episodeId: string; order: EpisodeOrder }> {
    return eventually(() => {
      assert.equal(episodesWith(worker, orderId).length, times);
      const start = lastStart(worker, orderId);
      assert.ok(start);
      return start;
    });
  }

  async function settle(orderId: string, episodeId: string, changes: SettlementChanges = {}): Promise<void> {
    const requests = [settlement(orderId, episodeId, changes)];
    const { outcomes } = await replica.episodes.batchSettleOrders({ requests });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  /** What orders makes of it: the lines and the total, or why not. */
  async function cut(orderId: string, missing: Record<string, number>, { lifecycle } = replica): Promise<string> {
    const lines = Object.entries(missing).map(([sku, quantity]) => ({ sku, quantity }));
    const { outcomes } = await lifecycle.batchCutOrders({ requests: [{ orderId, missing: lines }] });
    const outcome = outcomes[0]?.outcome;
    if (outcome?.case === "failure") return outcome.value.reason;
    assert.ok(outcome?.case === "response");
    const { lines: left, total } = outcome.value;
    const cost = left.reduce((sum, each) => sum + (each.amount ?? each.unitPrice * BigInt(each.quantity)), 0n);
    assert.equal(cost, total?.amount);
    return `${left.map(({ sku, quantity }) => `${sku}:${quantity}`).join(" ")} = ${total?.amount}`;
  }

  const get = async (orderId: string) => {
    const { order } = await replica.orders.getOrder({ orderId });
    assert.ok(order);
    return order;
  };

  test("are shown with what was asked for, and cost what is left of them", async () => {
    const orderId = await place();
    const placed = await get(orderId);
    assert.deepEqual([placed.shortagePolicy, placed.shortage], [ShortagePolicy.SHIP_AVAILABLE, undefined]);
    assert.equal(await cut(orderId, { "ESPRESSO-1KG": 1, "FILTER-100": 1 }), "ESPRESSO-1KG:1 = 1850");
    const order = await get(orderId);
    assert.deepEqual(
      order.lines.map(({ sku, quantity }) => [sku, quantity]),
      [["ESPRESSO-1KG", 1]],
    );
    assert.deepEqual([order.total?.amount, order.revision], [1850n, placed.revision + 1]);
    assert.deepEqual(
      order.shortage?.lines.map(({ sku, askedQuantity, thereQuantity }) => [sku, askedQuantity, thereQuantity]),
      [
        ["ESPRESSO-1KG", 2, 1],
        ["FILTER-100", 1, 0],
      ],
    );
    assert.equal(order.shortage?.total?.amount, 4700n);
    assert.match(order.shortage?.customerMessage ?? "", /not charged/);
    assert.ok(order.shortage?.createTime);
  });

  test("keep the exact share of everything", async () => {
    const orderId = await place(adjustedRequest(customerId));
    // As if the lines had been cancelled: 3,330 of 4,510 for the lines, and as much of the shipping and of the discount.
    assert.equal(await cut(orderId, { "FILTER-100": 1 }), `ESPRESSO-1KG:2 = ${3330 + 362 - 48}`);
    const { adjustments, total } = await get(orderId);
    assert.deepEqual(
      adjustments.map(({ name, amount }) => [name, amount?.amount]),
      [
        ["Standard delivery", 362n],
        ["Loyalty", -48n],
      ],
    );
    assert.equal(total?.amount, 3644n);
  });

  test("are cut once: a repetition has the same answer, and other pieces are refused", async () => {
    const orderId = await place();
    const first = await cut(orderId, { "ESPRESSO-1KG": 1 });
    const { revision } = await get(orderId);
    assert.equal(await cut(orderId, { "ESPRESSO-1KG": 1 }), first);
    assert.equal(await cut(orderId, { "FILTER-100": 1 }), "SHORTAGE_DECIDED");
    assert.equal(await cut(orderId, { "ESPRESSO-1KG": 2 }), "SHORTAGE_DECIDED");
    assert.equal((await get(orderId)).revision, revision);
    const log = (await readAuditLog(database.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(
      log.filter(({ action }) => action === "order.cut").map(({ details }) => [details.from, details.to]),
      [["4700", "2850"]],
    );
  });

  test("lose the last pieces of an article that is in several lines, whatever these cost", async () => {
    const lines = [line("TEA", 3, 100n), line("CUP", 1, 50n), line("TEA", 2, 70n)];
    const orderId = await place(orderRequest(customerId, { lines }));
    assert.equal(await cut(orderId, { TEA: 3 }), "TEA:2 CUP:1 = 250");
    assert.deepEqual(
      (await get(orderId)).shortage?.lines.map(({ askedQuantity, thereQuantity }) => [askedQuantity, thereQuantity]),
      [
        [3, 2],
        [1, 1],
        [2, 0],
      ],
    );
  });

  test("are not cut when nobody knows them, when they have not so much, nothing would be left, or they are decided", async () => {
    assert.equal(await cut(newId(), { TEA: 1 }), "ORDER_NOT_FOUND");
    const orderId = await place();
    assert.equal(await cut(orderId, { TEA: 1 }), "SHORTAGE_DECIDED");
    assert.equal(await cut(orderId, { "ESPRESSO-1KG": 3 }), "SHORTAGE_DECIDED");
    assert.equal(await cut(orderId, { "ESPRESSO-1KG": 2, "FILTER-100": 1 }), "SHORTAGE_DECIDED");
    await replica.lifecycle.batchTransitionOrders({
      requests: [
        {
          orderId,
          status: OrderStatus.CONFIRMED,
          shipments: [{ locationId: "BER", amount: { currency: "EUR", amount: 4700n } }],
        },
      ],
    });
    assert.equal(await cut(orderId, { "ESPRESSO-1KG": 1 }), "SHORTAGE_DECIDED");
    const order = await get(orderId);
    assert.deepEqual([order.total?.amount, order.shortage], [4700n, undefined]);
  });

  test("are asked for by the same words in the next episode, with what is left of them", async () => {
    const orderId = await place();
    const { episodeId, order } = await carried(orderId);
    assert.deepEqual([order.checkout?.shortagePolicy, order.checkout?.asked], [ShortagePolicy.SHIP_AVAILABLE, []]);
    await cut(orderId, { "ESPRESSO-1KG": 1, "FILTER-100": 1 });
    await settle(orderId, episodeId, { retryAfter: { seconds: 0n, nanos: 0 }, waitsFor: "payments" });
    const again = (await carried(orderId, 2)).order;
    assert.deepEqual(
      again.checkout?.asked.map(({ sku, quantity }) => [sku, quantity]),
      [
        ["ESPRESSO-1KG", 2],
        ["FILTER-100", 1],
      ],
    );
    assert.deepEqual(
      again.checkout?.lines.map(({ sku, quantity }) => [sku, quantity]),
      [["ESPRESSO-1KG", 1]],
    );
    assert.equal(again.total?.amount, 1850n);
    assert.ok(again.checkout?.cardToken);
  });

  test("are cut by one of two processes that are told otherwise at the same moment, and both know by which", async () => {
    const replicated = await secondDatabase(database);
    const other = await startReplica(replicated, new FakeWorker(), { ...config, DISPATCH_SWEEP_EVERY_MS: 600_000 });
    try {
      for (let round = 0; round < 25; round += 1) {
        const orderId = await place();
        const answers = await Promise.all([
          cut(orderId, { "ESPRESSO-1KG": 1 }),
          cut(orderId, { "FILTER-100": 1 }, other),
          cut(orderId, { "ESPRESSO-1KG": 1 }, other),
        ]);
        const { total } = await get(orderId);
        const [one, two, three] = answers;
        assert.equal(one, three, "the same question has the same answer");
        if (one === "SHORTAGE_DECIDED") assert.deepEqual([two, total?.amount], ["ESPRESSO-1KG:2 = 3700", 3700n]);
        else
          assert.deepEqual(
            [one, two, total?.amount],
            ["ESPRESSO-1KG:1 FILTER-100:1 = 2850", "SHORTAGE_DECIDED", 2850n],
          );
      }
    } finally {
      await other.stop();
      await replicated.close();
    }
  });

  test("of a batch have their own outcomes", async () => {
    const ids = [await place(), await place()];
    const missing = [{ sku: "ESPRESSO-1KG", quantity: 1 }];
    const requests = [...ids, newId()].map((orderId) => ({ orderId, missing }));
    const { outcomes } = await replica.lifecycle.batchCutOrders({ requests });
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome.case),
      ["response", "response", "failure"],
    );
  });

  test("do not lie about their lines in the row that the books read", async () => {
    const orderId = await place();
    await cut(orderId, { "ESPRESSO-1KG": 2 });
    const rows = await database.database.query<{ line_number: number; sku: string; quantity: number }>(
      "select line_number, sku, quantity from order_line where order_id = $1 order by 1",
      [decodeId(orderId)],
    );
    assert.deepEqual(rows, [{ line_number: 1, sku: "FILTER-100", quantity: 1 }]);
  });

  describe("that follows in an order of its own", () => {
    /** An order of which a part is there, and what is missing follows. */
    async function split(missing: Record<string, number> = { "ESPRESSO-1KG": 1 }, request = orderRequest(customerId)) {
      const orderId = await place(request, ShortagePolicy.SHIP_AND_BACK_ORDER);
      await cut(orderId, missing);
      return orderId;
    }

    async function confirm(orderId: string, { followed = true, by = replica } = {}): Promise<string> {
      const { total } = await get(orderId);
      const shipments = total ? [{ locationId: "BER", amount: total }] : [];
      const status = OrderStatus.CONFIRMED;
      const { outcomes } = await by.lifecycle.batchTransitionOrders({
        requests: [{ orderId, status, shipments, followed }],
      });
      const outcome = outcomes[0]?.outcome;
      return outcome?.case === "failure" ? outcome.value.reason : "confirmed";
    }

    async function restsOf(orderId: string): Promise<string[]> {
      const { orders } = await replica.orders.listOrders({ customerId, pageSize: 200 });
      return orders.filter(({ restOf }) => restOf === orderId).map((order) => order.orderId);
    }

    test("is placed when the first one is confirmed, with its exact share, its card and its address, and waits if it has to", async () => {
      const orderId = await split({ "FILTER-100": 1 }, adjustedRequest(customerId));
      const before = await get(orderId);
      assert.equal(before.shortage?.followedBy, "");
      assert.match(before.shortage?.customerMessage ?? "", /follows/);
      assert.deepEqual(await restsOf(orderId), []);
      assert.equal(await confirm(orderId), "confirmed");
      const order = await get(orderId);
      const restId = order.shortage?.followedBy ?? "";
      const rest = await get(restId);
      assert.deepEqual(await restsOf(orderId), [restId]);
      assert.deepEqual(
        [rest.restOf, rest.status, rest.shortagePolicy, rest.shippingAddress, rest.contact, rest.customerId],
        [orderId, OrderStatus.PENDING, ShortagePolicy.BACK_ORDER, order.shippingAddress, order.contact, customerId],
      );
      assert.deepEqual(
        rest.lines.map(({ sku, quantity, adjustments }) => [sku, quantity, adjustments.map(({ name }) => name)]),
        [["FILTER-100", 1, ["VAT 18 %"]]],
      );
      assert.equal((rest.total?.amount ?? 0n) + (order.total?.amount ?? 0n), 4935n);
      assert.deepEqual(
        rest.adjustments.map(({ amount }) => amount?.amount),
        [490n - 362n, -65n + 48n],
      );
      const { order: carriedRest } = await carried(restId);
      assert.deepEqual(
        [carriedRest.checkout?.cardToken, carriedRest.checkout?.shortagePolicy, carriedRest.total?.amount],
        ["tok_approve", ShortagePolicy.BACK_ORDER, rest.total?.amount],
      );
      assert.doesNotMatch(await textOfTables(database.adminUrl), /tok_approve/);
      const log = (await readAuditLog(database.database)).filter((event) => event.orderId === restId);
      assert.deepEqual(
        log.map(({ action, details }) => [action, details.rest_of, details.total]),
        [["order.created", orderId, String(rest.total?.amount)]],
      );
    });

    test("is one, however often the first one is confirmed, by how many processes", async () => {
      const replicated = await secondDatabase(database);
      const other = await startReplica(replicated, new FakeWorker(), { ...config, DISPATCH_SWEEP_EVERY_MS: 600_000 });
      try {
        for (let round = 0; round < 15; round += 1) {
          const orderId = await split();
          const answers = await Promise.all([confirm(orderId), confirm(orderId, { by: other }), confirm(orderId)]);
          assert.deepEqual(answers, ["confirmed", "confirmed", "confirmed"]);
          assert.equal(await confirm(orderId), "confirmed");
          assert.equal((await restsOf(orderId)).length, 1);
        }
      } finally {
        await other.stop();
        await replicated.close();
      }
    });

    test("is none when the first one is not confirmed", async () => {
      for (const status of [OrderStatus.REJECTED, OrderStatus.CANCELLED]) {
        const orderId = await split();
        const failure = { reason: "PAYMENT_DECLINED", customerMessage: "no" };
        await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status, failure, followed: true }] });
        assert.equal(await confirm(orderId), "ILLEGAL_TRANSITION");
        assert.deepEqual(await restsOf(orderId), []);
        assert.equal((await get(orderId)).shortage?.followedBy, "");
      }
    });

    test("is none of an order that has all, or that is to lose what is missing", async () => {
      const whole = await place(orderRequest(customerId), ShortagePolicy.SHIP_AND_BACK_ORDER);
      assert.equal(await confirm(whole), "confirmed");
      const cutOnly = await place();
      await cut(cutOnly, { "ESPRESSO-1KG": 1 });
      assert.equal(await confirm(cutOnly), "confirmed");
      assert.deepEqual([...(await restsOf(whole)), ...(await restsOf(cutOnly))], []);
    });

    test("is told of by the cut, as often as it is asked", async () => {
      const orderId = await place(orderRequest(customerId), ShortagePolicy.SHIP_AND_BACK_ORDER);
      const missing = [{ sku: "ESPRESSO-1KG", quantity: 1 }];
      const ask = async () => {
        const { outcomes } = await replica.lifecycle.batchCutOrders({ requests: [{ orderId, missing }] });
        const outcome = outcomes[0]?.outcome;
        return outcome?.case === "response" && outcome.value.followed;
      };
      assert.deepEqual([await ask(), await ask()], [true, true]);
      await confirm(orderId);
      assert.equal(await ask(), true);
    });

    test("lies sealed, with a key of its own", async () => {
      const orderId = await split();
      await confirm(orderId);
      const restId = (await get(orderId)).shortage?.followedBy ?? "";
      const rows = await database.database.query<{ address: string; contact: string | null; rest: boolean }>(
        `select shipping_address::text as address, contact, shortage ? 'rest' as rest from customer_order
          where order_id = any($1::uuid[]) order by rest_of nulls first`,
        [[decodeId(orderId), decodeId(restId)]],
      );
      const [first, second] = rows;
      assert.doesNotMatch(`${first?.address}${second?.address}`, /Torstra/);
      assert.notEqual(first?.address, second?.address);
      assert.equal(first?.contact, second?.contact);
      assert.equal(first?.rest, false);
    });

    test("is counted apart, and both together are what was ordered", async () => {
      const orderId = await split({ "FILTER-100": 1 }, adjustedRequest(customerId));
      await confirm(orderId);
      const restId = (await get(orderId)).shortage?.followedBy ?? "";
      const facts = async () => {
        await new Statistics(database.database).refresh(60_000);
        const rows = await database.database.query<{ text: string }>(
          `select concat_ws(' ', status, units, ordered) as text from order_statistics_fact
            where order_id = any($1::uuid[]) order by ordered desc`,
          [[decodeId(orderId), decodeId(restId)]],
        );
        return rows.map(({ text }) => text);
      };
      assert.deepEqual(await facts(), ["confirmed 2 3644", `pending 1 ${4935 - 3644}`]);
      await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId: restId, status: OrderStatus.CANCELLED }] });
      assert.deepEqual(await facts(), ["confirmed 2 3644", `cancelled 1 ${4935 - 3644}`]);
    });

    test("says who ordered when the first one does not any more", async () => {
      const days = 400;
      const orderId = await split();
      await confirm(orderId);
      const restId = (await get(orderId)).shortage?.followedBy ?? "";
      const { shippingAddress, contact } = await get(restId);
      for (const status of [OrderStatus.PREPARING, OrderStatus.SHIPPED, OrderStatus.DELIVERED]) {
        await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status }] });
      }
      await database.database.query(
        `update customer set update_time = update_time - interval '1 hour' where customer_id = $1`,
        [decodeId(customerId)],
      );
      await database.database.query(
        `update customer_order set update_time = update_time - interval '${days + 1} days' where order_id = $1`,
        [decodeId(orderId)],
      );
      const erasures = new ErasureRepository(database.database, 0);
      const retention = new RetentionRepository(database.database, erasures);
      assert.equal(await retention.forgetOrders({ days, limit: 100, dryRun: false }), 1);
      const first = await get(orderId);
      assert.deepEqual(
        [first.contact?.email, first.shippingAddress?.city, first.shortage?.followedBy],
        ["", "", restId],
      );
      const rest = await get(restId);
      assert.deepEqual([rest.shippingAddress, rest.contact, rest.restOf], [shippingAddress, contact, orderId]);
    });
  });
});
