// What the connector makes of each thing that EasyPost may do, and of each answer that may be lost.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { ComposedEasypost } from "../../src/easypost/easypost.ts";
import type { Fault } from "./fake-easypost.ts";
import { callOff, comingBack, openWorld, parcel, said, settle, type World } from "./world.ts";

let world: World;
let connector: ComposedEasypost;
before(async () => {
  world = await openWorld();
  connector = world.process();
});
beforeEach(() => world.fake.calm());
after(() => world?.[Symbol.asyncDispose]());

/** A process that waits in vain for what EasyPost may still do. */
const patient = () => world.process({ EASYPOST_SETTLE_MS: "60000" });

test("a parcel is made there, and its label bought once", async () => {
  const order = parcel({ serviceLevel: "express", orderId: "x" } as object);
  const outcome = await settle(connector, order);
  const label = world.fake.labelOf(order.key);
  assert.deepEqual(outcome, { state: "booked", trackingNumber: label.trackingCode, carrier: "USPS", label: "" });
  assert.deepEqual(await connector.carrier.book(order), outcome);
  assert.deepEqual(await connector.carrier.find(order), outcome);
  assert.equal(world.fake.labelsOf(order.key).length, 1);
  assert.deepEqual(label.fields, {
    reference: order.key,
    is_return: false,
    from_address: {
      ...{
        name: "Shop",
        street1: "1 Dock Street",
        street2: "",
        city: "San Francisco",
        state: "CA",
        zip: "94104",
        country: "US",
      },
      ...{ phone: "4155550100", email: "" },
    },
    to_address: {
      ...{
        name: "Ada",
        street1: "179 N Harbor Dr",
        street2: "Flat 2",
        city: "Redondo Beach",
        state: "CA",
        zip: "90277",
        country: "US",
      },
      ...{ phone: "", email: "" },
    },
    parcel: { length: 10, width: 7.9, height: 4, weight: 17.7 },
  });
});

test("a service level is the cheapest of the services that it means", async () => {
  const chosen = world.process({
    EASYPOST_SERVICES: JSON.stringify({ express: ["UPS NextDayAir", "USPS Express"], ups: ["UPS"], gone: ["DHL"] }),
  });
  const carrierOf = async (serviceLevel: string) => {
    const order = parcel({ serviceLevel });
    const outcome = await settle(chosen, order);
    return outcome.state === "booked" ? outcome.carrier : said(outcome);
  };
  assert.equal(await carrierOf("express"), "USPS");
  assert.equal(await carrierOf("ups"), "UPS");
  assert.equal(await carrierOf("gone"), "NO_RATE");
  assert.equal(said(await chosen.carrier.book(parcel({ serviceLevel: "never said" }))), "undecided");
});

test("nothing is sent from nowhere", async () => {
  const placed = world.process({ EASYPOST_SENDERS: "{}" });
  assert.equal(said(await placed.carrier.book(parcel())), "undecided");
  const { customer } = parcel();
  assert.equal(said(await placed.carrier.book(parcel({ sender: customer }))), "booked");
});

const faults: readonly [endpoint: string, fault: Fault][] = [
  ...(["before", "after", "fails", "failsAfter", "limited", "poor", "hangs", "garbled"] as const).flatMap(
    (fault): [string, Fault][] => [
      ["create", fault],
      ["buy", fault],
    ],
  ),
  ["buy", "silent"],
  ["buy", "refused"],
];
for (const [endpoint, fault] of faults) {
  test(`there is one label when EasyPost answers "${endpoint}" with: ${fault}`, async () => {
    for (const order of [parcel(), comingBack()]) {
      world.fake.fault(endpoint, fault);
      const first = await connector.carrier.book(order);
      assert.equal(first.state, "undecided");
      const outcome = await settle(connector, order, true);
      const label = world.fake.labelOf(order.key);
      assert.ok(outcome.state === "booked");
      assert.equal(outcome.trackingNumber, label.trackingCode);
    }
  });
}

test("what may have been bought is not believed to be unknown before it is settled, nor bought again", async () => {
  const order = parcel();
  world.fake.fault("buy", "before");
  const waiting = patient();
  assert.equal(said(await waiting.carrier.book(order)), "undecided");
  assert.equal(said(await waiting.carrier.find(order)), "undecided");
  assert.equal(said(await waiting.carrier.book(order)), "undecided");
  assert.equal(said(await waiting.carrier.cancel(order.key)), "undecided");
  assert.equal(world.fake.labelsOf(order.key).length, 0);
  assert.equal(said(await connector.carrier.find(order)), "unknown");
});

test("a label that is bought late is found by the shipment of its key", async () => {
  const order = parcel();
  world.fake.fault("buy", "hangs");
  assert.equal(said(await connector.carrier.book(order)), "undecided");
  assert.equal(said(await connector.carrier.find(order)), "unknown");
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(said(await connector.carrier.find(order)), "booked");
  world.fake.labelOf(order.key);
});

test("a label that is bought late is the only one, also when it was bought again meanwhile", async () => {
  const order = parcel();
  world.fake.fault("buy", "hangs");
  assert.equal(said(await connector.carrier.book(order)), "undecided");
  assert.equal(said(await connector.carrier.find(order)), "unknown");
  assert.equal(said(await connector.carrier.book(order)), "booked");
  await new Promise((resolve) => setTimeout(resolve, 500));
  world.fake.labelOf(order.key);
});

test("no price is a refusal, unless a carrier could not be asked: that is one only after a while", async () => {
  const order = parcel({ customer: { ...parcel().customer, postalCode: "00000" } });
  assert.equal(said(await settle(connector, order)), "NO_RATE");
  assert.equal(said(await connector.carrier.find(order)), "NO_RATE");
  world.fake.carriersFail = true;
  const waiting = parcel();
  for (let round = 0; round < 2; round += 1) {
    assert.equal(said(await connector.carrier.book(waiting)), "undecided");
  }
  const hasty = world.process({ EASYPOST_PERSIST_MS: "0" });
  assert.equal(said(await hasty.carrier.book(parcel())), "NO_RATE");
  world.fake.carriersFail = false;
  assert.equal(said(await settle(connector, waiting, true)), "booked");
  world.fake.labelOf(waiting.key);
  world.fake.fault("buy", "refused");
  assert.equal(said(await hasty.carrier.book(parcel())), "SHIPMENT.POSTAGE.FAILURE");
  world.fake.fault("create", "refused");
  assert.equal(said(await connector.carrier.book(parcel())), "SHIPMENT.POSTAGE.FAILURE");
});

test("what comes too late does not begin, and what has begun is known also then", async () => {
  const expireTime = new Date(Date.now() - 1);
  const late = parcel({ expireTime });
  assert.equal(said(await connector.carrier.book(late)), "unknown");
  assert.equal(said(await connector.carrier.find(late)), "unknown");
  assert.deepEqual(await world.test.database.query("select from easypost_parcel where key = $1", [late.key]), []);
  const order = parcel();
  world.fake.fault("create", "before");
  assert.equal(said(await connector.carrier.book(order)), "undecided");
  assert.equal(said(await connector.carrier.book({ ...order, expireTime })), "unknown");
  assert.equal(world.fake.labelsOf(order.key).length, 0);
  assert.equal(said(await settle(connector, order)), "booked");
  assert.equal(said(await connector.carrier.book({ ...order, expireTime })), "booked");
});

test("a label that is to be taken back is called off once its carrier says so", async () => {
  const order = parcel();
  await settle(connector, order);
  const { cancel, find } = {
    cancel: () => connector.carrier.cancel(order.key),
    find: () => connector.carrier.find(order),
  };
  for (const asked of [cancel, cancel, find]) assert.equal(said(await asked()), "undecided");
  assert.equal(said(await connector.carrier.book(order)), "undecided");
  const label = world.fake.labelOf(order.key);
  assert.equal(label.refunds, 1);
  label.refundStatus = "refunded";
  for (const asked of [cancel, find, cancel]) assert.equal(said(await asked()), "cancelled");
  assert.equal(said(await connector.carrier.book(order)), "cancelled");
  assert.equal(label.refunds, 1);
});

test("EasyPost is not asked about a label that its carrier takes time for, but now and then", async () => {
  const rare = world.process({ EASYPOST_VOID_LOOK_MS: "60000" });
  const order = parcel();
  await settle(rare, order);
  assert.equal(said(await rare.carrier.cancel(order.key)), "undecided");
  const asked = world.fake.requests.length;
  for (let round = 0; round < 3; round += 1) assert.equal(said(await rare.carrier.cancel(order.key)), "undecided");
  assert.equal(world.fake.requests.length, asked);
});

test("a label that its carrier does not take back stays booked, after it was asked three times", async () => {
  world.fake.refundStatus = "rejected";
  const order = parcel();
  await settle(connector, order);
  assert.equal(said(await callOff(connector, order.key)), "booked");
  assert.equal(world.fake.labelOf(order.key).refunds, 3);
  assert.equal(said(await connector.carrier.cancel(order.key)), "booked");
  const often = world.process({ EASYPOST_VOID_LOOK_MS: "60000" });
  const other = parcel();
  await settle(often, other);
  for (let round = 0; round < 3; round += 1) assert.equal(said(await often.carrier.cancel(other.key)), "undecided");
  assert.equal(world.fake.labelOf(other.key).refunds, 1);
});

for (const fault of ["before", "after", "fails", "failsAfter", "limited", "hangs", "garbled"] as const) {
  test(`a label is taken back once when EasyPost answers with: ${fault}`, async () => {
    const order = parcel();
    await settle(connector, order);
    world.fake.fault("refund", fault);
    assert.equal(said(await connector.carrier.cancel(order.key)), "undecided");
    await new Promise((resolve) => setTimeout(resolve, fault === "hangs" ? 500 : 0));
    const label = world.fake.labelOf(order.key);
    for (let round = 0; round < 3; round += 1) await connector.carrier.cancel(order.key);
    assert.equal(label.refunds, 1);
    label.refundStatus = "refunded";
    assert.equal(said(await callOff(connector, order.key)), "cancelled");
  });
}

test("a refusal of before is not taken for one of now", async () => {
  world.fake.refundStatus = "rejected";
  const order = parcel();
  await settle(connector, order);
  assert.equal(said(await connector.carrier.cancel(order.key)), "undecided");
  world.fake.refundStatus = "submitted";
  world.fake.fault("refund", "hangs");
  const waiting = patient();
  for (let round = 0; round < 3; round += 1) assert.equal(said(await waiting.carrier.cancel(order.key)), "undecided");
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(said(await waiting.carrier.cancel(order.key)), "undecided");
  assert.equal(world.fake.labelOf(order.key).refundStatus, "submitted");
  assert.equal(world.fake.labelOf(order.key).refunds, 2);
});

test("a carrier that asks for money only when a label is used has nothing to take back", async () => {
  world.fake.refundStatus = "not_applicable";
  const order = parcel();
  await settle(connector, order);
  assert.equal(said(await connector.carrier.cancel(order.key)), "cancelled");
});

test("what was not bought is called off at once, and never bought", async () => {
  const order = parcel();
  assert.equal(said(await connector.carrier.cancel(order.key)), "unknown");
  world.fake.fault("buy", "before");
  await connector.carrier.book(order);
  assert.equal(said(await connector.carrier.cancel(order.key)), "cancelled");
  assert.equal(said(await connector.carrier.book(order)), "cancelled");
  assert.equal(world.fake.labelsOf(order.key).length, 0);
});

test("while EasyPost is away nothing is said of what it may have", async () => {
  const order = parcel();
  world.fake.fault("buy", "before");
  await connector.carrier.book(order);
  world.fake.fault("retrieve", "fails", "before", "limited", "garbled");
  for (let round = 0; round < 2; round += 1) assert.equal(said(await connector.carrier.find(order)), "undecided");
  for (let round = 0; round < 2; round += 1) assert.equal(said(await connector.carrier.cancel(order.key)), "undecided");
  assert.equal(said(await settle(connector, order, true)), "booked");
  const away = world.process({ EASYPOST_API_URL: "http://127.0.0.1:9" });
  assert.equal(said(await away.carrier.book(parcel())), "undecided");
});

test("a key of no use refuses nobody's parcel", async () => {
  const barred = world.process({ EASYPOST_API_KEY: "EZTKbarredbarred" });
  const order = parcel();
  assert.equal(said(await barred.carrier.book(order)), "undecided");
  assert.equal(said(await settle(connector, order, true)), "booked");
});

test("replicas and repetitions of the same parcel buy one label", async () => {
  const others = [connector, world.process(), world.process()];
  const orders = [parcel(), parcel(), comingBack()];
  await Promise.all(
    orders.flatMap((order) => others.flatMap((each) => [each.carrier.book(order), each.carrier.book(order)])),
  );
  for (const order of orders) {
    assert.equal(said(await settle(connector, order, true)), "booked");
    world.fake.labelOf(order.key);
  }
});

test("a label of a return goes the other way, and is told apart from a parcel of the same key", async () => {
  const order = comingBack();
  assert.equal(said(await connector.carrier.find(order)), "unknown");
  const outcome = await settle(connector, order);
  const label = world.fake.labelOf(order.key);
  assert.deepEqual(outcome, {
    ...{ state: "booked", trackingNumber: label.trackingCode, carrier: "USPS" },
    label: `https://labels.example/${label.id}.png`,
  });
  assert.equal(label.fields.is_return, true);
  assert.equal((label.fields.to_address as { name: string }).name, "Ada");
  const { key } = order;
  assert.equal(said(await connector.carrier.find({ kind: "parcel", key })), "unknown");
  assert.equal(said(await connector.carrier.cancel(key)), "unknown");
});

test("more than may go in a second is not sent", async () => {
  const slow = world.process({ EASYPOST_REQUESTS_PER_SECOND: "2" });
  const before = world.fake.count("create");
  const outcomes = await Promise.all(Array.from({ length: 12 }, () => slow.carrier.book(parcel())));
  const sent = world.fake.count("create") - before;
  assert.ok(sent >= 1 && sent < 12, `${sent} were sent`);
  assert.ok(outcomes.some(({ state }) => state === "undecided"));
});
