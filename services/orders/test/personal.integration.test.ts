// That who ordered is readable with the master key alone, in every place, and that nobody notices.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { StepDecision } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { AddressSchema } from "#gen/shop/type/v1/address_pb.js";
import type { Database } from "#platform/database/database.ts";
import { migrateDown, migrateUp } from "#platform/database/migrate.ts";
import { decodeId } from "#platform/id.ts";
import { keysText } from "#platform/key-ring.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import { attachKeys, withKey } from "#platform/personal/personal-key.ts";
import { Secret } from "#platform/secret.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { textOfTables } from "#testing/table-text.ts";
import { CancelReasons } from "../src/cancel/cancel-reasons.repository.ts";
import { CustomerRepository } from "../src/customer/customer.repository.ts";
import { migrations } from "../src/migrations/list.ts";
import { OrderRepository } from "../src/order/order.repository.ts";
import { OrderPersons } from "../src/order/order-persons.repository.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustedRequest,
  eventually,
  orderRequest,
  ordersDatabase,
  personal,
  type Replica,
  readNotedLog,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

const persons = 20;
/** Nothing else in a database has these in it. */
const person = (n: number) => ({
  givenName: `Given${n}x`,
  familyName: `Family${n}x`,
  email: `Mail${n}x@persons.example`,
  phone: `+4930555${String(n).padStart(5, "0")}`,
});
const address = (n: number) => ({
  recipient: `Recipient${n}x`,
  lines: [`Street${n}x 1`, `Floor${n}x`],
  city: `City${n}x`,
  postalCode: `Postal${n}x`,
  country: "DE",
});
const words = /(?:Given|Family|Mail|Recipient|Street|Floor|City|Postal)\d+x|4930555\d{5}/gi;

/** The keys of replicas. */
const keptKeys = {
  PERSONAL_DATA_KEYS: new Secret(`test ${Buffer.alloc(32, "k").toString("base64")}`, keysText),
  PERSONAL_DATA_SWEEP_MS: 1,
};

/** Which of these words lie in a database. */
async function readable({ adminUrl }: TestDatabase): Promise<string[]> {
  return (await textOfTables(adminUrl)).match(words) ?? [];
}

async function admin({ adminUrl }: TestDatabase, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(sql);
  await client.end();
}

describe("personal data of orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
  });
  after(() => test[Symbol.asyncDispose]());

  const plain = { PERSONAL_DATA_KEYS: undefined } as const;

  async function shop(replica: Replica, from: number): Promise<{ customerIds: string[]; orderIds: string[] }> {
    const customerIds: string[] = [];
    const orderIds: string[] = [];
    for (let n = from; n < from + persons; n += 1) {
      const requestId = unique("customer");
      const { customer } = await replica.customers.createCustomer({ requestId, ...person(n) });
      const repeated = await replica.customers.createCustomer({ requestId, ...person(n) });
      assert.deepEqual(repeated.customer, customer);
      const { customerId = "" } = customer ?? {};
      customerIds.push(customerId);
      const request = { ...orderRequest(customerId), shippingAddress: create(AddressSchema, address(n)) };
      const { order } = await replica.orders.createOrder(request);
      const { givenName, familyName, email } = person(n);
      const { $typeName: _, ...contact } = order?.contact ?? { $typeName: "" };
      assert.deepEqual(contact, { givenName, familyName, email });
      orderIds.push(order?.orderId ?? "");
    }
    return { customerIds, orderIds };
  }

  async function readsEverybody(replica: Replica, from: number, customerIds: readonly string[], orderIds: string[]) {
    for (const [index, customerId] of customerIds.entries()) {
      const known = person(from + index);
      const { customer } = await replica.customers.getCustomer({ customerId });
      assert.deepEqual([customer?.email, customer?.phone], [known.email, known.phone]);
      const { customers } = await replica.customers.listCustomers({ email: known.email.toUpperCase() });
      assert.deepEqual(
        customers.map((each) => each.customerId),
        [customerId],
      );
      const { order } = await replica.orders.getOrder({ orderId: orderIds[index] ?? "" });
      const { $typeName: _, ...goes } = order?.shippingAddress ?? { $typeName: "" };
      assert.deepEqual(goes, address(from + index));
      assert.equal(order?.contact?.familyName, known.familyName);
    }
  }

  async function moveAll(data: PersonalData): Promise<void> {
    const customers = new CustomerRepository(test.database, data);
    const orders = new OrderPersons(test.database, data);
    for (let round = 0; round < 50; round += 1) {
      if ((await customers.moveBatch(7)) + (await orders.moveBatch(7)) === 0) return;
    }
    assert.fail("there is no end to it");
  }

  it("lies nowhere in plain text, is read by everybody who may, and refuses an address twice", async () => {
    await using replica = await startReplica(test.database, worker);
    const { customerIds, orderIds } = await shop(replica, 1_000);
    assert.deepEqual(await readable(test), []);
    await readsEverybody(replica, 1_000, customerIds, orderIds);
    const again = replica.customers.createCustomer({
      requestId: unique("customer"),
      ...person(1),
      email: person(1_000).email.toLowerCase(),
    });
    assert.match((await refusal(again)).message, /another customer has this e-mail address/);
  });

  it("is written by many at the same time, also by the first of all: none waits for a second connection", async () => {
    await using fresh = await ordersDatabase({ poolMax: 2 });
    await using replica = await startReplica(fresh.database, worker);
    const many = Array.from({ length: 12 }, (_, n) => person(4_000 + n));
    const create = many.map((details) =>
      replica.customers.createCustomer({ requestId: unique("customer"), ...details }),
    );
    const ids = (await Promise.all(create)).map(({ customer }) => customer?.customerId ?? "");
    const change = ids.map((customerId) =>
      replica.customers.updateCustomer({ requestId: unique("change"), customerId, phone: "" }),
    );
    const changed = await Promise.all(change);
    assert.deepEqual(
      changed.map(({ customer }) => customer?.email),
      many.map(({ email }) => email),
    );
  });

  it("is sealed that was plain before, and opened again for the way back", async () => {
    let made: Awaited<ReturnType<typeof shop>>;
    {
      await using old = await startReplica(test.database, worker, plain);
      made = await shop(old, 2_000);
    }
    const { customerIds, orderIds } = made;
    assert.ok((await readable(test)).length > 8 * persons);
    // Answers of before stay as they are, for as long as they are kept.
    await test.database.query("delete from idempotency_key");
    // As a process of the version before can, which knows no hashes.
    const twice = "update customer set email = 'mail1000x@persons.example' where customer_id = $1";
    await test.database.query(twice, [decodeId(customerIds.at(-1) ?? "")]);
    await moveAll(personal);
    assert.deepEqual(await readable(test), []);
    {
      await using replica = await startReplica(test.database, worker);
      await readsEverybody(replica, 2_000, customerIds.slice(0, -1), orderIds);
      const last = customerIds.at(-1) ?? "";
      await replica.customers.updateCustomer({
        requestId: unique("change"),
        customerId: last,
        email: "m@persons.example",
      });
      const taken = { requestId: unique("customer"), ...person(2_000), phone: "" };
      assert.match((await refusal(replica.customers.createCustomer(taken))).message, /has this e-mail address/);
      const [customerId = ""] = customerIds;
      const changed = {
        requestId: unique("change"),
        customerId,
        givenName: "Given2xx",
        email: "mail2xx@persons.example",
      };
      for (let call = 0; call < 2; call += 1) {
        const { customer } = await replica.customers.updateCustomer(changed);
        assert.deepEqual([customer?.email, customer?.phone], ["mail2xx@persons.example", person(2_000).phone]);
      }
      await replica.customers.createCustomer(taken);
    }
    await assert.rejects(migrateDown({ url: test.ownerUrl, migrations }, "0007_personal"), /PERSONAL_DATA=plain/);
    await migrateUp({ url: test.ownerUrl, migrations });
    const back = personalDataOf({ ...keptKeys, PERSONAL_DATA: "plain" });
    await moveAll(back);
    const orders = await new OrderRepository(test.database, plainPersonalData).find(orderIds);
    assert.deepEqual(new Set(orders.map(({ shippingAddress: { city } }) => city)).size, persons);
    const customers = new CustomerRepository(test.database);
    assert.equal((await customers.get(customerIds[1] ?? "")).email, person(2_001).email);
    await moveAll(personal);
  });

  it("goes to episodes as it was given", () => {
    const cities = worker.starts.flatMap(({ orders }) => orders.map(({ checkout }) => checkout?.shippingAddress?.city));
    assert.ok(cities.length >= persons);
    for (const city of cities) assert.match(city ?? "", /^City\d+x$/);
  });

  it("does not open at another row, nor as another customer's", async () => {
    const admin = new pg.Client({ connectionString: test.adminUrl });
    await admin.connect();
    const { rows } = await admin.query<{ order_id: string }>(
      "select order_id from customer_order order by order_id limit 2",
    );
    const [from, to] = rows.map((row) => row.order_id);
    await admin.query(
      `update customer_order set shipping_address = (select shipping_address from customer_order where order_id = $1)
        where order_id = $2`,
      [from, to],
    );
    const list = new OrderRepository(test.database, personal).list(
      { customerId: undefined, status: undefined, createdFrom: undefined, createdUntil: undefined },
      { after: undefined, limit: 200 },
    );
    await assert.rejects(list, /unable to authenticate|Unsupported state/i);
    await admin.query("delete from personal_key where key_id in (select left(contact, 32)::uuid from customer)");
    await admin.end();
  });

  it("is empty where its key is gone", async () => {
    await using replica = await startReplica(test.database, worker);
    const { customers } = await replica.customers.listCustomers({ pageSize: 200 });
    assert.ok(customers.length >= 2 * persons);
    assert.deepEqual(new Set(customers.map(({ email, familyName }) => email + familyName)), new Set([""]));
  });
});

describe("an erasure", () => {
  const many = 100;
  const keepDays = (days: number) => ({ PERSONAL_DATA_KEEP_DAYS: days, PERSONAL_DATA_SWEEP_MS: 20 });

  /** Every sealed text of a database, with its key as far as there is one. */
  async function sealedIn(database: Database): Promise<string[]> {
    const rows = await database.query<{ text: string }>(
      `select ${withKey("text")} as text from (
        select contact as text from customer union all select sealed_phone from customer
        union all select contact from customer_order union all select shipping_address #>> '{}' from customer_order
      ) sealed where text is not null`,
    );
    return rows.map(({ text }) => text);
  }

  it("leaves nothing of a hundred persons that anybody could read, with all keys and an older backup of the rows", async () => {
    await using test = await ordersDatabase();
    const worker = new FakeWorker();
    await using replica = await startReplica(test.database, worker, keepDays(0));
    const customerIds: string[] = [];
    for (let n = 5_000; n < 5_000 + many; n += 1) {
      const { customer } = await replica.customers.createCustomer({ requestId: unique("customer"), ...person(n) });
      customerIds.push(customer?.customerId ?? "");
    }
    const requests = customerIds.map((customerId, index) => ({
      ...orderRequest(customerId),
      shippingAddress: create(AddressSchema, address(5_000 + index)),
    }));
    const { outcomes } = await replica.orders.bulkCreateOrders({ requests });
    const orderIds = outcomes.map(({ outcome }) =>
      outcome.case === "response" ? (outcome.value.order?.orderId ?? "") : "",
    );
    const exported = await replica.customers.exportCustomer({ customerId: customerIds[7] ?? "" });
    assert.equal(exported.customer?.phone, person(5_007).phone);
    assert.deepEqual(
      exported.orders.map(({ shippingAddress }) => shippingAddress?.city),
      ["City5007x"],
    );
    const backup = await sealedIn(test.database);
    assert.equal(backup.length, 4 * many);

    const kept: number[] = [];
    for (const customerId of customerIds) {
      const request = { requestId: unique("erase"), customerId };
      const answer = await replica.customers.eraseCustomer(request);
      assert.deepEqual(await replica.customers.eraseCustomer(request), answer);
      kept.push(answer.keptOrders);
    }
    assert.deepEqual(new Set(kept), new Set([1]), "orders under way know where to");
    const [customerId = ""] = customerIds;
    const gone: Promise<unknown>[] = [
      replica.customers.getCustomer({ customerId }),
      replica.customers.exportCustomer({ customerId }),
      replica.customers.updateCustomer({ requestId: unique("change"), customerId, phone: "" }),
      replica.customers.eraseCustomer({ requestId: unique("erase"), customerId }),
      replica.orders.createOrder(orderRequest(customerId)),
    ];
    for (const { message } of await Promise.all(gone.map(refusal))) assert.match(message, /there is no customer/);
    assert.deepEqual((await replica.customers.listCustomers({ email: person(5_000).email })).customers, []);
    assert.equal(
      (await replica.orders.getOrder({ orderId: orderIds[0] ?? "" })).order?.shippingAddress?.city,
      "City5000x",
    );

    for (const batch of [orderIds.slice(0, 60), orderIds.slice(60)]) {
      const failure = { reason: "OUT_OF_STOCK", customerMessage: "Sold out." };
      const moves = batch.map((orderId) => ({ orderId, status: OrderStatus.REJECTED, failure }));
      await replica.lifecycle.batchTransitionOrders({ requests: moves });
    }
    // An hour later.
    await admin(test, "update erasure set due_time = now()");
    await eventually(async () => {
      const [left] = await test.database.query<{ keys: number }>("select count(*)::int as keys from personal_key");
      assert.equal(left?.keys, 1, "all keys but that of the hashes");
    });
    const restored = await attachKeys(
      test.database,
      backup.map((text) => text.split(" ")[0] ?? ""),
    );
    for (const text of restored) assert.match(String(text), /^\S+ $/, "no key is left for it");
    for (const orderId of orderIds.slice(0, 3)) {
      const { order } = await replica.orders.getOrder({ orderId });
      assert.deepEqual(
        [order?.contact?.email, order?.shippingAddress?.recipient, order?.total?.amount],
        ["", "", 4700n],
      );
    }
    const everywhere = (await textOfTables(test.adminUrl)) + replica.log() + (await replica.registry.metrics());
    assert.deepEqual(everywhere.match(words), null);
    const [hashes] = await test.database.query<{ n: number }>("select count(*)::int as n from customer_email");
    assert.equal(hashes?.n, 0);
    const audited = await test.database.query(
      "select from audit_event where action = 'customer.erased' and subject <> ''",
    );
    assert.equal(audited.length, many);
  });

  it("keeps who ordered for as long as the law wants it, and says until when", async () => {
    await using test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker(), keepDays(3_650));
    const { customer } = await replica.customers.createCustomer({ requestId: unique("customer"), ...person(6_000) });
    const { customerId = "" } = customer ?? {};
    const { order } = await replica.orders.createOrder(adjustedRequest(customerId));
    const { orderId = "" } = order ?? {};
    const requests = [{ orderId, status: OrderStatus.CANCELLED }];
    await replica.lifecycle.batchTransitionOrders({ requests });
    const { keptOrders, keepTime } = await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
    assert.equal(keptOrders, 1);
    const days = ((keepTime ? timestampDate(keepTime).getTime() : 0) - Date.now()) / 86_400_000;
    assert.ok(days > 3_649 && days <= 3_650, `${days} days`);
    const ofPhone = "select from personal_key where key_id not in (select left(contact, 32)::uuid from customer_order)";
    // The key of the address, and that of the hashes: the one of the telephone number is gone at once.
    await eventually(async () => assert.equal((await test.database.query(ofPhone)).length, 2));
    assert.equal((await replica.orders.getOrder({ orderId })).order?.contact?.email, person(6_000).email);
    await admin(test, "update customer_order set update_time = update_time - interval '3651 days'");
    await admin(test, "update erasure set due_time = now()");
    await eventually(async () => {
      assert.equal((await replica.orders.getOrder({ orderId })).order?.contact?.email, "");
    });
    // What was charged stays, and what people have called it does not.
    const forgotten = (await replica.orders.getOrder({ orderId })).order?.adjustments ?? [];
    assert.deepEqual(
      forgotten.map(({ name, amount }) => [name, amount?.amount]),
      [
        ["", 490n],
        ["", -65n],
      ],
    );
  });
});

describe("texts that people type about an order", () => {
  /** An order that was cancelled for a reason, and about which an operator noted something; the reason and the note name the customer. */
  async function told(replica: Replica, database: Database, n: number) {
    const { customer } = await replica.customers.createCustomer({ requestId: unique("customer"), ...person(n) });
    const { customerId = "" } = customer ?? {};
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    const { orderId = "" } = order ?? {};
    const reason = `Family${n}x has moved to Street${n}x`;
    const cancelling = replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason });
    const wanted = "select from customer_order where order_id = $1 and cancel_time is not null";
    await eventually(async () => assert.equal((await database.query(wanted, [decodeId(orderId)])).length, 1));
    const failure = { reason: "CANCELLED_BY_CUSTOMER", customerMessage: "The order was cancelled: on request" };
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CANCELLED, failure }] });
    const note = `called Family${n}x back`;
    const noted = { orderId, step: "void", decision: StepDecision.RESOLVE, note };
    await replica.lifecycle.noteStepDecision({ requestId: unique("note"), ...noted });
    return { customerId, orderId, note, reason, message: (await cancelling).order?.failure?.customerMessage };
  }

  const messageOf = async ({ orders }: Replica, orderId: string) =>
    (await orders.getOrder({ orderId })).order?.failure?.customerMessage;
  const notesOf = async (database: Database, orderId: string) => {
    const events = (await readNotedLog(database)).filter((event) => event.orderId === orderId);
    return events.flatMap(({ details }) => details.note ?? []);
  };

  it("are read by who may, lie nowhere in plain text, are told to no workflow, and are gone with the customer at once", async () => {
    await using test = await ordersDatabase();
    const worker = new FakeWorker();
    const changes = { PERSONAL_DATA_KEEP_DAYS: 3_650, PERSONAL_DATA_SWEEP_MS: 20 };
    await using replica = await startReplica(test.database, worker, changes);
    let published = "";
    replica.auditStream.on("data", (line) => {
      published += line;
    });
    const { customerId, orderId, note, reason, message } = await told(replica, test.database, 7_000);
    assert.equal(message, `The order was cancelled: ${reason}`);
    assert.deepEqual(await notesOf(test.database, orderId), [note]);
    assert.deepEqual(await readable(test), []);
    const said = inspect([worker.starts, worker.cancels], { depth: 20 });
    assert.ok(said.includes(orderId) && !said.includes("Family7000x"));
    await eventually(() => assert.match(published, /sealed_note/));
    assert.deepEqual(published.match(words), null);

    await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
    await eventually(async () => assert.deepEqual(await notesOf(test.database, orderId), []));
    assert.equal(await messageOf(replica, orderId), "The order was cancelled: on request");
    const { order } = await replica.orders.getOrder({ orderId });
    assert.equal(order?.contact?.familyName, "Family7000x", "as the law wants");
    // Who is erased gets no key any more: what is noted about him now is forgotten at once.
    const noted = { orderId, step: "void", decision: StepDecision.RETRY, note: "Family7000x again" };
    await replica.lifecycle.noteStepDecision({ requestId: unique("note"), ...noted });
    assert.deepEqual(await notesOf(test.database, orderId), []);
    assert.deepEqual(await readable(test), []);
  });

  it("are moved and sealed that a version before wrote elsewhere, and come back for the way back to it", async () => {
    await using test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker());
    const { orderId, reason } = await told(replica, test.database, 7_100);
    const message = `The order was cancelled: ${reason}`;
    const failure = { reason: "CANCELLED_BY_CUSTOMER", customerMessage: message };
    const saga = { stage: "CANCELLED", cancelReason: reason, failure };
    await test.database.query(
      `update customer_order set cancel_reason = null, failure_message = $2, saga = $3, episode_id = null,
        episode_events = null where order_id = $1`,
      [decodeId(orderId), message, JSON.stringify(saga)],
    );
    assert.ok((await readable(test)).length > 0);
    const reasons = new CancelReasons(test.database, personal);
    assert.deepEqual([await reasons.moveBatch(10), await reasons.moveBatch(10)], [1, 0]);
    assert.deepEqual(await readable(test), []);
    assert.equal(await messageOf(replica, orderId), message);
    await replica.stop();
    await assert.rejects(migrateDown({ url: test.ownerUrl, migrations }, "0015_texts"), /PERSONAL_DATA=plain/);
    await migrateUp({ url: test.ownerUrl, migrations });
    const back = new CancelReasons(test.database, personalDataOf({ ...keptKeys, PERSONAL_DATA: "plain" }));
    assert.deepEqual([await back.moveBatch(10), await back.moveBatch(10)], [1, 0]);
    await migrateDown({ url: test.ownerUrl, migrations }, "0015_texts");
    const rows = await test.database.query<{ message: string }>(
      "select failure_message as message from customer_order",
    );
    assert.deepEqual(rows, [{ message }]);
  });
});

describe("master keys of personal data", () => {
  it("are replaced under load: every key is wrapped anew, and nothing is lost", async () => {
    await using test = await ordersDatabase();
    const lineOf = (name: string, byte: string) => `${name} ${Buffer.alloc(32, byte).toString("base64")}`;
    const keysOf = (...lines: string[]) => ({ PERSONAL_DATA_KEYS: new Secret(lines.join("\n"), keysText) });
    const [spring, summer] = [lineOf("spring", "a"), lineOf("summer", "b")];
    const worker = new FakeWorker();
    const masters = async () => {
      const rows = await test.database.query<{ master: string }>("select distinct master from personal_key order by 1");
      return rows.map(({ master }) => master).join(" ");
    };
    await using first = await startReplica(test.database, worker, keysOf(spring));
    const { customer } = await first.customers.createCustomer({ requestId: unique("customer"), ...person(1) });
    const { customerId = "" } = customer ?? {};
    assert.equal(await masters(), "spring");
    // One that knows both, and one that has not read the new file yet: it may write no more once nobody unwraps the old one.
    await using second = await startReplica(test.database, worker, {
      ...keysOf(spring, summer),
      PERSONAL_DATA_SWEEP_MS: 5,
    });
    await using third = await startReplica(test.database, worker, keysOf(spring, summer));
    const orders: string[] = [];
    for (let round = 0; (await masters()) !== "summer" || orders.length < 20; round += 1) {
      assert.ok(round < 200, "keys are left that spring wrapped");
      const calls = [second, third].map((replica) => replica.orders.createOrder(orderRequest(customerId)));
      for (const { order } of await Promise.all(calls)) orders.push(order?.orderId ?? "");
    }
    await using last = await startReplica(test.database, worker, keysOf(summer));
    for (const orderId of orders) {
      const { order } = await last.orders.getOrder({ orderId });
      assert.equal(order?.shippingAddress?.city, "Berlin");
      assert.equal(order?.contact?.email, person(1).email);
    }
    const { customers } = await last.customers.listCustomers({ email: person(1).email });
    assert.equal(customers.length, 1, "the hash of the address outlives the key");
    await assert.rejects(first.orders.getOrder({ orderId: orders.at(-1) ?? "" }), /internal error/);
  });
});
