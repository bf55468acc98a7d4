// What orders finds about orders that may be fraud, and what people decide about them.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { InMemoryProvider, OpenFeature } from "@openfeature/server-sdk";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ScreeningVerdict } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { type Order, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { ReviewDecision } from "#gen/shop/orders/v1/order_review_service_pb.js";
import { WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import { decodeId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import type { Lists, Rules } from "../src/screening/rules.ts";
import { eager, lastStart, patient, settlement, stored } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  line,
  metric,
  newCustomer,
  type OrderChanges,
  orderRequest,
  ordersDatabase,
  type Replica,
  readNotedLog,
  startReplica,
  unique,
} from "./harness.ts";

/** Flags that a test sets at once. */
class Flags {
  readonly #provider = new InMemoryProvider({});
  readonly #domain = unique("flags");

  static async open(rules: Rules, lists: Lists = {}): Promise<Flags> {
    const flags = new Flags();
    await flags.set(rules, lists);
    await OpenFeature.setProviderAndWait(flags.#domain, flags.#provider);
    return flags;
  }

  get client() {
    return OpenFeature.getClient(this.#domain);
  }

  async set(rules: object, lists: object = {}, screens = true): Promise<void> {
    const one = (value: object | boolean) => ({ variants: { one: value }, defaultVariant: "one", disabled: false });
    await this.#provider.putConfiguration({
      "fraud-screening": one(screens),
      "fraud-rules": one(rules),
      "fraud-lists": one(lists),
    } as Parameters<InMemoryProvider["putConfiguration"]>[0]);
  }
}

/** A card that nobody else has. */
const token = () => `tok_${unique("card").replaceAll("-", "_")}`;

const reviewAll: Rules = { amount: { review: { EUR: 1 } } };

describe("screening orders", () => {
  let database: TestDatabase;
  let flags: Flags;
  let replica: Replica;
  const worker = new FakeWorker();
  before(async () => {
    database = await ordersDatabase();
    flags = await Flags.open({});
    replica = await startReplica(database.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 }, flags.client);
  });
  after(async () => {
    await replica.stop();
    await database[Symbol.asyncDispose]();
  });

  async function place(changes: OrderChanges & { customerId?: string } = {}): Promise<Order> {
    const { customerId = await newCustomer(replica), ...rest } = changes;
    const { order } = await replica.orders.createOrder(orderRequest(customerId, rest));
    assert.ok(order);
    return order;
  }

  /** What screening says of an order: its verdict, or the reason of its refusal. */
  async function screen(...orderIds: string[]): Promise<string[]> {
    const requests = orderIds.map((orderId) => ({ orderId }));
    const { outcomes } = await replica.lifecycle.batchScreenOrders({ requests });
    return outcomes.map(({ outcome }) =>
      outcome.case === "response" ? (ScreeningVerdict[outcome.value.verdict] ?? "") : (outcome.value?.reason ?? ""),
    );
  }

  const reasonsOf = async (orderId: string) => {
    const { reviews } = await replica.reviews.listReviews({});
    return reviews.find((review) => review.orderId === orderId)?.reasons;
  };

  const auditOf = async (orderId: string) =>
    (await readNotedLog(database.database)).filter((event) => event.orderId === orderId);

  const decide = (orderId: string, decision: ReviewDecision, requestId = unique("decision")) =>
    replica.reviews.decideReview({ requestId, orderId, decision, note: "called the customer" });

  /** Has an order rest, as an episode does that was told that a person has to look. */
  async function rest(orderId: string): Promise<void> {
    const episodeId = await eventually(() => {
      const start = lastStart(worker, orderId);
      assert.ok(start);
      return start.episodeId;
    });
    const { outcomes } = await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId)] });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  async function held(changes: OrderChanges & { customerId?: string } = {}): Promise<Order> {
    await flags.set(reviewAll);
    const order = await place(changes);
    assert.deepEqual(await screen(order.orderId), ["REVIEW"]);
    await rest(order.orderId);
    return order;
  }

  test("is asked for with the first episode, and passes what no rule finds", async () => {
    await flags.set({ amount: { review: { EUR: 1_000_000 } } });
    const { orderId } = await place();
    const start = await eventually(() => {
      const found = lastStart(worker, orderId);
      assert.ok(found);
      return found;
    });
    assert.equal(start.order.checkout?.screen, true);
    const passed = await metric(replica, "orders_screened_total", { verdict: "pass" });
    assert.deepEqual(await screen(orderId), ["PASS"]);
    assert.equal(await metric(replica, "orders_screened_total", { verdict: "pass" }), passed + 1);
  });

  test("is not asked for while it is off, and then nothing is kept", async () => {
    await flags.set(reviewAll, {}, false);
    const { orderId } = await place();
    const start = await eventually(() => {
      const found = lastStart(worker, orderId);
      assert.ok(found);
      return found;
    });
    assert.equal(start.order.checkout?.screen, false);
    const kept = await database.database.query("select from order_screening where order_id = $1", [decodeId(orderId)]);
    assert.equal(kept.length, 0);
  });

  test("answers who waits for a confirmation that a person has to look", async () => {
    await flags.set(reviewAll);
    const customerId = await newCustomer(replica);
    const waiting = replica.orders.createOrder(
      orderRequest(customerId, { requestId: "waits", waitFor: WaitFor.CONFIRMED }),
      { timeoutMs: 20_000 },
    );
    const orderId = await eventually(async () => {
      const found = worker.starts.flatMap(({ orders }) => orders).find((order) => order.customerId === customerId);
      assert.ok(found && (await screen(found.orderId))[0] === "REVIEW");
      return found.orderId;
    });
    const { order } = await waiting;
    assert.equal(order?.orderId, orderId);
    assert.equal(order?.status, OrderStatus.PENDING);
    assert.ok(order?.reviewTime);
  });

  test("finds the same again, whatever the rules are by then", async () => {
    const { orderId } = await held();
    await flags.set({});
    assert.deepEqual(await screen(orderId), ["REVIEW"]);
    assert.deepEqual(await reasonsOf(orderId), ["AMOUNT"]);
  });

  test("refuses at once where a rule says so, and says why in the audit log alone", async () => {
    await flags.set({ amount: { refuse: { EUR: 1 } } });
    const { orderId } = await place();
    assert.deepEqual(await screen(orderId, orderId), ["ORDER_NOT_ACCEPTED", "ORDER_NOT_ACCEPTED"]);
    const log = await auditOf(orderId);
    const refusals = log.filter(({ action }) => action === "order.screening_refused");
    assert.deepEqual(
      refusals.map(({ details }) => details.reasons),
      ["AMOUNT"],
    );
    const { order } = await replica.orders.getOrder({ orderId });
    assert.equal(order?.reviewTime, undefined);
  });

  test("holds no order up that went on already", async () => {
    await flags.set(reviewAll);
    const { orderId } = await place();
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CONFIRMED }] });
    assert.deepEqual(await screen(orderId), ["PASS"]);
  });

  test("keeps orders that a person looks at out of the line, and out of what stands still", async () => {
    const { orderId } = await held();
    const [line] = await database.database.query<{ lines: number }>(
      "select count(*)::int as lines from customer_order where order_id = $1 and status = 'pending' and review_time is null",
      [decodeId(orderId)],
    );
    assert.equal(line?.lines, 0);
    await eventually(async () => assert.ok((await metric(replica, "orders_in_review")) >= 1));
  });

  test("goes on with the rules before when those that come are of no use", async () => {
    await flags.set(reviewAll);
    const first = await place();
    assert.deepEqual(await screen(first.orderId), ["REVIEW"]);
    await flags.set({ amount: { review: { EUR: "much" } } });
    const second = await place();
    assert.deepEqual(await screen(second.orderId), ["REVIEW"]);
    assert.match(replica.log(), /the feature flag fraud-rules is of no use: amount.review.EUR/);
  });

  describe("how often", () => {
    const rules: Rules = {
      customer_orders: { minutes: 60, review: 3 },
      card_orders: { minutes: 60, review: 3 },
      address_orders: { minutes: 60, review: 3 },
    };

    test("a customer orders is counted, from the first order on, by whichever process", async () => {
      await flags.set({ customer_orders: { minutes: 60, review: 3, refuse: 4 } });
      const customerId = await newCustomer(replica);
      const ids: string[] = [];
      for (const _ of [1, 2, 3, 4]) ids.push((await place({ customerId, cardToken: token() })).orderId);
      const verdicts = ["PASS", "PASS", "REVIEW", "ORDER_NOT_ACCEPTED"];
      assert.deepEqual(await screen(...ids), verdicts);
      // Later ones do not count for earlier ones, and what restarts counts the same.
      await using another = await startReplica(database.database, worker, patient, flags.client);
      const { outcomes } = await another.lifecycle.batchScreenOrders({
        requests: ids.slice(0, 2).map((orderId) => ({ orderId })),
      });
      assert.deepEqual(
        outcomes.map(({ outcome }) => outcome.case),
        ["response", "response"],
      );
    });

    test("orders come is counted right when they come all at once", async () => {
      await flags.set({ customer_orders: { minutes: 60, review: 3 } });
      const customerId = await newCustomer(replica);
      const orders = await Promise.all(Array.from({ length: 8 }, () => place({ customerId, cardToken: token() })));
      const verdicts = await Promise.all(orders.map(async ({ orderId }) => (await screen(orderId))[0]));
      assert.equal(verdicts.filter((verdict) => verdict === "PASS").length, 2);
    });

    test("a card is used, and by how many customers, is counted; another one is another", async () => {
      await flags.set({ card_orders: { minutes: 60, review: 3 }, card_customers: { minutes: 60, refuse: 4 } });
      const cardToken = token();
      const street = (n: number) => ({ ...orderRequest("").shippingAddress, lines: [unique(`Street ${n}`)] });
      const used: string[] = [];
      for (const n of [1, 2, 3, 4]) {
        const { orderId } = await place({ cardToken, shippingAddress: street(n) as never });
        used.push(...(await screen(orderId)));
      }
      assert.deepEqual(used, ["PASS", "PASS", "REVIEW", "ORDER_NOT_ACCEPTED"]);
      const { orderId } = await place({ cardToken: token() });
      assert.deepEqual(await screen(orderId), ["PASS"]);
    });

    test("orders go to an address is counted, however it is written", async () => {
      await flags.set({ address_orders: { minutes: 60, review: 3 } });
      const base = { recipient: "Ada Lovelace", city: "München", postalCode: "80 331", country: "DE" };
      const spellings = [
        "Sendlinger Straße 7",
        "SENDLINGER STRASSE 7".replace("STRASSE", "STRAßE"),
        "Sendlinger-Straße, 7",
      ];
      const said: string[] = [];
      for (const spelling of spellings) {
        const shippingAddress = { ...base, recipient: unique("Somebody"), lines: [spelling] };
        const { orderId } = await place({ cardToken: token(), shippingAddress: shippingAddress as never });
        said.push(...(await screen(orderId)));
      }
      assert.deepEqual(said, ["PASS", "PASS", "REVIEW"]);
    });

    test("is forgotten with the customer, and says nothing of anybody before", async () => {
      await flags.set(rules);
      const customerId = await newCustomer(replica);
      const cardToken = token();
      await place({ customerId, cardToken });
      const rows = await database.database.query<{ text: string }>("select s::text as text from order_screening s");
      const text = rows.map((row) => row.text).join("\n");
      for (const plain of [cardToken, "Torstra", "10119", "Lovelace"]) assert.ok(!text.includes(plain), plain);
      const count = async () => {
        const values = [decodeId(customerId)];
        return (await database.database.query("select from order_screening where customer_id = $1", values)).length;
      };
      assert.equal(await count(), 1);
      await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
      assert.equal(await count(), 0);
    });
  });

  test("knows by its lists whom it has seen: customers, e-mail addresses, postal codes and cards", async () => {
    const cardToken = token();
    const order = await held({ cardToken });
    const { reviews } = await replica.reviews.listReviews({ customerId: order.customerId });
    const [{ cardHash = "", emailHash = "" } = {}] = reviews;
    assert.match(cardHash, /^[0-9a-f]{16}$/);
    assert.match(emailHash, /^[0-9a-f]{16}$/);
    const { customerId } = order;
    const again = async (lists: Lists, changes: OrderChanges = {}) => {
      await flags.set({}, lists);
      return (await screen((await place({ customerId, cardToken: token(), ...changes })).orderId))[0];
    };
    assert.equal(await again({ refuse: { cards: [cardHash] } }, { cardToken }), "ORDER_NOT_ACCEPTED");
    assert.equal(await again({ refuse: { cards: [cardHash] } }), "PASS");
    assert.equal(await again({ refuse: { emails: [emailHash] } }), "ORDER_NOT_ACCEPTED");
    assert.equal(await again({ review: { postal_codes: ["DE-10119"] } }), "REVIEW");
    assert.equal(await again({ review: { postal_codes: ["AT-10119"] } }), "PASS");
    await flags.set(reviewAll, { allow: { customers: [customerId] } });
    assert.deepEqual(await screen((await place({ customerId })).orderId), ["PASS"]);
  });

  test("compares names where that is wanted", async () => {
    await flags.set({ name_mismatch: { review: { EUR: 4_000 } } });
    const shippingAddress = { ...orderRequest("").shippingAddress, recipient: "Charles Babbage" } as never;
    const cheap = { lines: [line("FILTER-100", 1, 1_000n)] };
    const orders = [await place(), await place({ shippingAddress }), await place({ shippingAddress, ...cheap })];
    assert.deepEqual(await screen(...orders.map(({ orderId }) => orderId)), ["PASS", "REVIEW", "PASS"]);
  });

  const reasonOf = async (call: Promise<unknown>) => {
    const error = await call.then(() => undefined, ConnectError.from);
    return error?.findDetails(ErrorInfoSchema)[0]?.reason;
  };

  describe("what an order is to become", () => {
    const { shippingAddress } = orderRequest("");
    const elsewhere = { shippingAddress: { ...shippingAddress, postalCode: "80331", city: "München" } as never };
    const toSomebody = { shippingAddress: { ...shippingAddress, recipient: "Charles Babbage" } as never };
    const dearer = { lines: [line("ESPRESSO-1KG", 20, 1_850n)], cardToken: "tok_approve" };

    /** "taken", or why it is refused: nobody decides about it here. */
    async function amend(order: Order, change: object): Promise<string | undefined> {
      const { orderId } = order;
      const call = replica.orders.amendOrder({ requestId: unique("amend"), orderId, ...change }, { timeoutMs: 1_000 });
      const reason = await reasonOf(call);
      const { order: now } = await replica.orders.getOrder({ orderId });
      assert.equal(now?.amendment !== undefined, reason === undefined);
      return reason ?? "taken";
    }

    const passed = async (rules: Rules, lists: Lists = {}) => {
      await flags.set({});
      const order = await place();
      assert.deepEqual(await screen(order.orderId), ["PASS"]);
      await flags.set(rules, lists);
      return order;
    };

    test("is looked at when it costs more", async () => {
      const rules: Rules = { amount: { review: { EUR: 10_000 } } };
      assert.equal(await amend(await passed(rules), dearer), "ORDER_NOT_ACCEPTED");
      assert.equal(await amend(await passed(rules), { ...dearer, lines: [line("ESPRESSO-1KG", 5, 1_850n)] }), "taken");
      assert.equal(await amend(await passed(rules), { lines: [line("ESPRESSO-1KG", 1, 1_850n)] }), "taken");
    });

    test("is looked at when it goes elsewhere", async () => {
      const lists: Lists = { refuse: { postal_codes: ["DE-80331"] } };
      assert.equal(await amend(await passed({}, lists), elsewhere), "ORDER_NOT_ACCEPTED");
      assert.equal(await amend(await passed({}, lists), toSomebody), "taken");
      const rules: Rules = { name_mismatch: { review: { EUR: 1 } } };
      assert.equal(await amend(await passed(rules), toSomebody), "ORDER_NOT_ACCEPTED");
      assert.equal(await amend(await passed(rules), elsewhere), "taken");
    });

    test("is looked at when another card pays besides", async () => {
      const cardToken = token();
      const { customerId } = await held({ cardToken });
      const { reviews } = await replica.reviews.listReviews({ customerId });
      const lists: Lists = { refuse: { cards: [reviews[0]?.cardHash ?? ""] } };
      assert.equal(await amend(await passed({}, lists), { ...dearer, cardToken }), "ORDER_NOT_ACCEPTED");
      assert.equal(await amend(await passed({}, lists), dearer), "taken");
    });

    test("is measured by what is new: what was let through before is so again, unless it costs more", async () => {
      assert.equal(await amend(await passed(reviewAll), elsewhere), "taken");
      assert.equal(await amend(await passed(reviewAll), dearer), "ORDER_NOT_ACCEPTED");
    });

    test("is not looked at while screening is off, nor for whom all is allowed", async () => {
      const order = await passed({});
      await flags.set(reviewAll, {}, false);
      assert.equal(await amend(order, dearer), "taken");
      const other = await passed({});
      await flags.set(reviewAll, { allow: { customers: [other.customerId] } });
      assert.equal(await amend(other, dearer), "taken");
    });
  });

  describe("a review", () => {
    test("lists who waits, the longest waiting first, by reason and customer, page by page", async () => {
      const [first, second] = [await held(), await held()];
      const page = await replica.reviews.listReviews({ pageSize: 1, reason: "AMOUNT" });
      assert.equal(page.reviews.length, 1);
      const { reviews } = await replica.reviews.listReviews({ pageSize: 200 });
      const ids = reviews.map(({ orderId }) => orderId);
      assert.ok(ids.indexOf(first.orderId) < ids.indexOf(second.orderId));
      const next = await replica.reviews.listReviews({ pageSize: 1, reason: "AMOUNT", pageToken: page.nextPageToken });
      assert.equal(next.reviews[0]?.orderId, ids[1]);
      assert.deepEqual((await replica.reviews.listReviews({ reason: "LISTED_EMAIL" })).reviews, []);
      const own = await replica.reviews.listReviews({ customerId: second.customerId });
      assert.deepEqual(
        own.reviews.map(({ orderId }) => orderId),
        [second.orderId],
      );
    });

    test("is released: the order goes on as if it were placed now, once", async () => {
      const { orderId } = await held();
      const starts = worker.starts.length;
      const released = await decide(orderId, ReviewDecision.RELEASE, "release-1");
      assert.equal(released.order?.reviewTime, undefined);
      await decide(orderId, ReviewDecision.RELEASE, "release-1");
      assert.equal(await reasonOf(decide(orderId, ReviewDecision.REFUSE, "release-1")), "REQUEST_ID_REUSED");
      assert.equal(await reasonOf(decide(orderId, ReviewDecision.REFUSE)), "NOT_IN_REVIEW");
      const start = await eventually(() => {
        const found = worker.starts
          .slice(starts)
          .find(({ orders }) => orders.some((order) => order.orderId === orderId));
        assert.ok(found);
        return found;
      });
      const carried = start.orders.find((order) => order.orderId === orderId);
      assert.deepEqual(
        carried?.events.map(({ event }) => event.case),
        ["decision"],
      );
      // Its patience begins now: it would be rejected for its age else.
      const [times] = await database.database.query<{ decided: Date }>(
        "select review_decide_time as decided from customer_order where order_id = $1",
        [decodeId(orderId)],
      );
      assert.equal(Number(carried?.createTime?.seconds), Math.floor(Number(times?.decided) / 1_000));
      assert.ok((await stored(database.database, orderId)).cardToken);
      assert.deepEqual(await screen(orderId), ["PASS"]);
      const log = await auditOf(orderId);
      const decisions = log.filter(({ action }) => action === "order.review_released");
      assert.deepEqual(
        decisions.map(({ details }) => details.note),
        ["called the customer"],
      );
      // The customer may be named in it.
      const plain = await database.database.query("select from audit_event where details::text like '%called the%'");
      assert.equal(plain.length, 0);
    });

    test("is refused", async () => {
      const { orderId } = await held();
      await decide(orderId, ReviewDecision.REFUSE);
      assert.deepEqual(await screen(orderId), ["ORDER_NOT_ACCEPTED"]);
      // It is asked for also where nobody screens any more.
      await flags.set({}, {}, false);
      const carried = await eventually(() => {
        const found = lastStart(worker, orderId)?.order;
        assert.equal(found?.events[0]?.event.case, "decision");
        return found;
      });
      assert.equal(carried?.checkout?.screen, true);
    });

    test("is not ended by anything else that happens to the order", async () => {
      const { orderId } = await held();
      await database.database.query(
        "insert into order_event (order_id, event_id, kind) values ($1, 'retry', 'retry') on conflict do nothing",
        [decodeId(orderId)],
      );
      assert.deepEqual(await screen(orderId), ["REVIEW"]);
      assert.deepEqual(await reasonsOf(orderId), ["AMOUNT"]);
    });

    test("is over when the order is cancelled, which a decision does not undo", async () => {
      const { orderId } = await held();
      await replica.orders.cancelOrder(
        { requestId: unique("cancel"), orderId, reason: "too slow" },
        { timeoutMs: 2_000 },
      );
      assert.equal(await reasonOf(decide(orderId, ReviewDecision.RELEASE)), "NOT_IN_REVIEW");
      assert.equal(await reasonsOf(orderId), undefined);
    });

    test("has one end when several people decide, and the customer cancels, at the same moment", async () => {
      for (const _ of [1, 2, 3]) {
        const { orderId } = await held();
        const decisions = [ReviewDecision.RELEASE, ReviewDecision.REFUSE, ReviewDecision.RELEASE].map((decision) =>
          decide(orderId, decision).then(
            () => "taken",
            (error: unknown) => ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason,
          ),
        );
        const said = await Promise.all(decisions);
        assert.deepEqual(said.toSorted(), ["NOT_IN_REVIEW", "NOT_IN_REVIEW", "taken"]);
      }
    });

    test("nobody needs to look at is not found", async () => {
      await flags.set({});
      const { orderId } = await place();
      assert.equal(await reasonOf(decide(orderId, ReviewDecision.RELEASE)), "NOT_IN_REVIEW");
      assert.equal(await reasonOf(decide("01M7Z4ZT4ST1WJHG07F45A2X72", ReviewDecision.RELEASE)), "ORDER_NOT_FOUND");
    });

    test("expires when nobody decides in time", async () => {
      const { orderId } = await held();
      const impatient = { ...patient, ORDER_REVIEW_MAX_MS: 1, ORDER_REVIEW_SWEEP_MS: 20 };
      await using _watch = await startReplica(database.database, worker, impatient, flags.client);
      await eventually(async () => assert.deepEqual(await screen(orderId), ["REVIEW_EXPIRED"]));
      assert.equal(await reasonOf(decide(orderId, ReviewDecision.RELEASE)), "NOT_IN_REVIEW");
      const log = await auditOf(orderId);
      const expiry = log.find(({ action }) => action === "order.review_expired");
      assert.equal(expiry?.actor, "service:orders");
    });
  });
});
