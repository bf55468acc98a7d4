// That the tokens of cards lie sealed for as long as they are needed, are given to who needs them, and are gone with their keys afterwards.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { ReturnReason } from "#gen/shop/orders/v1/order_return_pb.js";
import { decodeId } from "#platform/id.ts";
import { keysText } from "#platform/key-ring.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import { rewrapKeys } from "#platform/personal/personal-key.ts";
import { Secret } from "#platform/secret.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { textOfTables } from "#testing/table-text.ts";
import { ErasureRepository } from "../src/customer/erasure.repository.ts";
import { CardMoves } from "../src/order/card-moves.repository.ts";
import { OrderRepository } from "../src/order/order.repository.ts";
import { OrderCards } from "../src/order/order-cards.ts";
import { OrderReturnRepository } from "../src/returns/order-return.repository.ts";
import { delivered, wholeParcel } from "./delivered-orders.ts";
import { eager, lastStart, type SettlementChanges, settlement } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  line,
  newCustomer,
  orderRequest,
  ordersDatabase,
  personal,
  type Replica,
  startReplica,
  unique,
} from "./harness.ts";

const settings = { ...eager, EPISODE_RELAXED_SPACING_MS: 0, EPISODE_SWEEP_AGE_MS: 600_000 };
const dearer = [line("ESPRESSO-1KG", 3, 1850n)];

describe("tokens of cards", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
  });
  after(() => test[Symbol.asyncDispose]());

  /** The tokens that anybody can read in the database. */
  const readable = async () => [...new Set((await textOfTables(test.adminUrl)).match(/tok_[a-z0-9_]+/g))].sort();

  const keyCount = async () => {
    const [row] = await test.database.query<{ count: number }>("select count(*)::int as count from personal_key");
    return row?.count ?? 0;
  };

  async function order(replica: Replica, customerId: string, cardToken: string): Promise<string> {
    const { order: placed } = await replica.orders.createOrder(orderRequest(customerId, { cardToken }));
    return placed?.orderId ?? "";
  }

  /** The order as it is carried, in another episode than before. */
  function carried(orderId: string, earlier = "") {
    return eventually(() => {
      const start = lastStart(worker, orderId);
      assert.ok(start && start.episodeId !== earlier);
      return start;
    });
  }

  async function settle(replica: Replica, orderId: string, episodeId: string, changes: SettlementChanges = {}) {
    const { outcomes } = await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, changes)],
    });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  /** Asks for an amendment, the call of which waits for its decision. */
  async function amend(replica: Replica, orderId: string, cardToken: string): Promise<void> {
    replica.orders.amendOrder({ requestId: unique("amend"), orderId, lines: dearer, cardToken }).catch(() => undefined);
    const accepted = "select from order_amendment where order_id = $1";
    await eventually(async () => assert.equal((await test.database.query(accepted, [decodeId(orderId)])).length, 1));
  }

  async function exchange(replica: Replica, customerId: string, cardToken: string) {
    const request = orderRequest(customerId, { cardToken: "tok_first" });
    const orderId = await delivered(replica, worker, { request, parcels: [wholeParcel(request, 4700n)] });
    const { orderReturn } = await replica.returns.requestReturn({
      requestId: unique("return"),
      orderId,
      lines: [{ lineNumber: 1, quantity: 2 }],
      reason: ReturnReason.UNWANTED,
      exchange: { lines: [line("MACHINE-1", 1, 5000n)], cardToken },
    });
    return { orderId, returnId: orderReturn?.returnId ?? "" };
  }

  it("lie sealed while an order waits, also of who is erased, and are gone when they are needed no more", async () => {
    await using replica = await startReplica(test.database, worker, settings);
    const customerId = await newCustomer(replica);
    const orderId = await order(replica, customerId, "tok_waiting");
    const first = await carried(orderId);
    assert.equal(first.order.checkout?.cardToken, "tok_waiting");
    const before = await keyCount();
    await amend(replica, orderId, "tok_amended");
    assert.equal(await keyCount(), before + 1);
    assert.deepEqual(await readable(), []);

    await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
    await test.database.query("update erasure set due_time = now()");
    await new ErasureRepository(test.database, 3_650).sweep(20);
    await settle(replica, orderId, first.episodeId);
    const second = await carried(orderId, first.episodeId);
    assert.deepEqual(
      [second.order.checkout?.cardToken, second.order.amendment?.cardToken],
      ["tok_waiting", "tok_amended"],
    );

    const shipments = [{ locationId: "BER", status: 1, amount: { currency: "EUR", amount: 4700n } }];
    const confirmed = { orderId, status: OrderStatus.CONFIRMED, shipments };
    await replica.lifecycle.batchTransitionOrders({ requests: [confirmed] });
    const keys = await keyCount();
    await replica.lifecycle.batchDecideAmendments({ requests: [{ orderId, number: 1 }] });
    assert.equal(await keyCount(), keys - 1);
    await settle(replica, orderId, second.episodeId, { needsCard: false, amended: 1 });
    const cards = await new OrderRepository(test.database, personal).cardsOf([orderId]);
    assert.equal(cards.get(orderId), "");
  });

  it("of an amendment that is refused are gone when its saga is through with it", async () => {
    await using replica = await startReplica(test.database, worker, settings);
    const orderId = await order(replica, await newCustomer(replica), "tok_waiting");
    const keys = await keyCount();
    await amend(replica, orderId, "tok_refused");
    assert.equal(await keyCount(), keys + 1);
    const { episodeId } = await carried(orderId);
    const failure = { reason: "OUT_OF_STOCK", customerMessage: "Sold out." };
    await replica.lifecycle.batchDecideAmendments({ requests: [{ orderId, number: 1, failure }] });
    assert.equal(await keyCount(), keys + 1, "what it holds is to be given up");
    await settle(replica, orderId, episodeId, { amended: 1 });
    assert.equal(await keyCount(), keys);
  });

  it("of an exchange are sealed anew whenever its return is written, and are gone with their key when it is not wanted", async () => {
    await using replica = await startReplica(test.database, worker, settings);
    const customerId = await newCustomer(replica);
    const ids = await exchange(replica, customerId, "tok_exchange");
    const keys = await keyCount();
    await replica.returns.approveReturn({ requestId: unique("approve"), ...ids });
    assert.equal(await keyCount(), keys);
    const returns = new OrderReturnRepository(test.database, personal);
    const found = await returns.find(ids.orderId, ids.returnId, undefined);
    assert.equal(found?.exchange?.cardToken, "tok_exchange");
    assert.deepEqual(await readable(), []);
    await replica.returns.cancelReturn({ requestId: unique("cancel"), ...ids });
    assert.equal(await keyCount(), keys - 1);
  });

  it("that a version before wrote are sealed, and opened again for the way back", async () => {
    await using fresh = await startReplica(test.database, worker, { ...settings, PERSONAL_DATA_CARDS: "plain" });
    const customerId = await newCustomer(fresh);
    const orderId = await order(fresh, customerId, "tok_old");
    // Before it is amended: what happens then is for the next episode.
    const { episodeId } = await carried(orderId);
    await amend(fresh, orderId, "tok_old_amended");
    const { orderId: sent, returnId } = await exchange(fresh, customerId, "tok_old_exchange");
    await fresh.stop();
    const old = ["tok_old", "tok_old_amended", "tok_old_exchange"];
    assert.deepEqual(await readable(), [...old, "tok_waiting"], "it opens what waits");
    const sealed = new CardMoves(test.database, new OrderCards(personal));
    const all = async (moves: CardMoves) => {
      let moved = 0;
      for (let found = 1; found > 0; moved += found) found = await moves.moveBatch(1);
      return moved;
    };
    assert.equal(await all(sealed), 4);
    assert.deepEqual(await readable(), []);
    await using replica = await startReplica(test.database, worker, settings);
    await settle(replica, orderId, episodeId);
    const { order: again } = await carried(orderId, episodeId);
    assert.deepEqual([again.checkout?.cardToken, again.amendment?.cardToken], ["tok_old", "tok_old_amended"]);
    const wanted = await new OrderReturnRepository(test.database, personal).find(sent, returnId, undefined);
    assert.equal(wanted?.exchange?.cardToken, "tok_old_exchange");
    await replica.stop();
    const plain = new CardMoves(test.database, new OrderCards(personal, "plain"));
    assert.equal(await all(plain), 4);
    assert.deepEqual(await readable(), [...old, "tok_waiting"]);
    await all(sealed);
  });

  it("do not open in another order, and are read under the master key of today", async () => {
    await using replica = await startReplica(test.database, worker, settings);
    const customerId = await newCustomer(replica);
    const [one, other] = [await order(replica, customerId, "tok_one"), await order(replica, customerId, "tok_other")];
    const rotated = personalDataOf({
      PERSONAL_DATA: "sealed",
      PERSONAL_DATA_KEYS: new Secret(
        ["test", "next"]
          .map((name) => `${name} ${Buffer.alloc(32, name[0] === "t" ? "k" : "n").toString("base64")}`)
          .join("\n"),
        keysText,
      ),
      PERSONAL_DATA_SWEEP_MS: 1,
    });
    assert.ok(rotated.keys);
    assert.ok((await rewrapKeys(test.database, rotated.keys)) > 0);
    const orders = new OrderRepository(test.database, rotated);
    assert.equal((await orders.cardsOf([one])).get(one), "tok_one");
    const swap = `update customer_order set card_token = (select card_token from customer_order where order_id = $1)
      where order_id = $2`;
    await test.database.query(swap, [decodeId(one), decodeId(other)]);
    await assert.rejects(orders.cardsOf([other]), /unable to authenticate|Unsupported state/i);
  });
});
