import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decodeId } from "#platform/id.ts";
import { CarrierClock } from "../../simulators/src/carrier/carrier-clock.ts";
import { type TrackingReport, TrackingRepository } from "../src/tracking/tracking.repository.ts";
import { Tracking } from "../src/tracking/tracking.ts";
import { at, event } from "./examples.ts";
import { request, World } from "./world.ts";

const journey = [event("picked_up", 1), event("in_transit", 2), event("lost", 3), event("delivered", 4)];

describe("tracking", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  it("ends the same in any order, alone or together, with every report repeated", async () => {
    const shipments = await Promise.all([1, 2, 3].map(() => world.ship()));
    const [forward, backward, together] = shipments.map(({ trackingNumber }) =>
      journey.map((each): TrackingReport => ({ trackingNumber, event: each })),
    );
    assert.ok(forward && backward && together);
    for (const report of [...forward, ...forward]) await world.tracking.record([report]);
    for (const report of backward.toReversed()) await world.tracking.record([report, report]);
    await world.tracking.record([...together, ...together.toReversed()]);
    for (const { shipmentId } of shipments) {
      const shipment = await world.look(shipmentId);
      assert.equal(shipment.status, "delivered");
      assert.deepEqual(shipment.events, journey);
    }
  });

  it("takes reports of many replicas at a time", async () => {
    const { shipmentId, trackingNumber } = await world.ship();
    const events = Array.from({ length: 12 }, (_, index) => event("in_transit", index));
    events.push(event("delivered", 99));
    await Promise.all(events.map((each) => world.tracking.record([{ trackingNumber, event: each }])));
    const shipment = await world.look(shipmentId);
    assert.equal(shipment.status, "delivered");
    assert.deepEqual(shipment.events, events);
  });

  it("refuses a number that is not known, alone, and changes nothing for a repeated report", async () => {
    const { shipmentId, trackingNumber } = await world.ship();
    const report = { trackingNumber, event: event("delivered", 4) };
    const [unknown, known] = await world.tracking.record([{ ...report, trackingNumber: "NOBODY" }, report]);
    assert.ok(unknown instanceof Error && "reasonName" in unknown);
    assert.equal(unknown.reasonName, "SHIPMENT_NOT_FOUND");
    assert.ok(known && !(known instanceof Error) && known.ended);
    const { updateTime } = await world.look(shipmentId);
    const [again] = await world.tracking.record([report]);
    assert.ok(again && !(again instanceof Error) && !again.ended);
    assert.deepEqual((await world.look(shipmentId)).updateTime, updateTime);
  });
});

describe("what a carrier writes", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  const open = () => new Tracking({ repository: new TrackingRepository(world.test.database), onOver: () => undefined });

  it("is kept as far as it can be, and a report that comes again has one effect", async () => {
    const { trackingNumber } = await world.ship();
    const place = `Ber\u0000lin \ud800 4111 1111 1111 1111${"x".repeat(500)}`;
    const odd = { ...event("in_transit", 1, "a\u0000b"), place };
    for (let count = 0; count < 2; count += 1) await open().report({ trackingNumber, event: odd });
    const { events } = await open().report({ trackingNumber, event: event("delivered", 2) });
    assert.deepEqual(
      events.map(({ eventId }) => eventId),
      ["a?b", "delivered-2"],
    );
    assert.match(events[0]?.place ?? "", /^Ber\?lin . \[card number\]x+$/);
    assert.ok((events[0]?.place.length ?? 0) <= 200);
  });

  it("is not found under a number that no parcel can have, alone", async () => {
    const { trackingNumber } = await world.ship();
    const tracking = open();
    const unknown = tracking.report({ trackingNumber: "T\u0000", event: event("delivered", 1) });
    const known = tracking.report({ trackingNumber, event: event("delivered", 1) });
    await assert.rejects(unknown, { reasonName: "SHIPMENT_NOT_FOUND" });
    assert.equal((await known).status, "delivered");
  });

  it("may look like the number of a payment card", async () => {
    const { shipmentId } = await world.ship();
    const trackingNumber = "4111111111111111";
    await world.test.database.query("update shipment set tracking_number = $1 where shipment_id = $2", [
      trackingNumber,
      decodeId(shipmentId),
    ]);
    const report = { trackingNumber, event: event("delivered", 1, trackingNumber) };
    const shipment = await open().report(report);
    assert.deepEqual([shipment.status, shipment.events[0]?.eventId], ["delivered", trackingNumber]);
  });
});

describe("the simulated carrier's clock", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  const open = (report: (report: TrackingReport) => Promise<unknown> = deliver) =>
    new CarrierClock({ store: world.outside.database, report, now: () => world.now });

  async function deliver(report: TrackingReport): Promise<void> {
    const [outcome] = await world.tracking.record([report]);
    if (outcome instanceof Error) throw outcome;
  }

  it("reports each stage when its time has come", async () => {
    const { shipmentId } = await world.ship();
    const seen: number[] = [];
    for (let quarter = 0; quarter <= 5; quarter += 1) {
      await open().sweep();
      seen.push((await world.look(shipmentId)).events.length);
      world.now += 1_000;
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 4]);
    const shipment = await world.look(shipmentId);
    assert.equal(shipment.status, "delivered");
    const times = shipment.events.map(({ eventTime }) => eventTime.getTime());
    assert.deepEqual(
      times.map((time) => time - (times[0] ?? 0)),
      [0, 1_000, 2_000, 3_000],
    );
  });

  it("makes up for what it slept through, and loses what is to be lost", async () => {
    const [kept, lost] = [await world.ship(), await world.ship({ address: at("SIM-LOST") })];
    world.now += 60_000;
    assert.equal(await open().sweep(), 2);
    assert.equal((await world.look(kept.shipmentId)).status, "delivered");
    assert.equal((await world.look(lost.shipmentId)).status, "lost");
    assert.equal((await world.look(lost.shipmentId)).events.length, 3);
    assert.equal(await open().sweep(), 0);
  });

  it("reports again what was not taken, and nothing twice of what was", async () => {
    const shipment = await world.create();
    const claims = await world.bookings.book([request(shipment, "ship")]);
    assert.equal(claims.length, 1);
    const { shipmentId: key } = shipment;
    const booked = await world.carrier.book(world.order(shipment), AbortSignal.timeout(10_000));
    assert.equal(booked.kind, "booked");
    world.now += 4_000;
    assert.equal(await open().sweep(), 0);
    assert.deepEqual((await world.look(key)).events, []);
    await world.expireLeases();
    const booking = world.openBooking();
    await booking.sweep();
    await booking.settled();
    assert.equal((await world.look(key)).status, "shipped");
    world.now += 60_000;
    assert.equal(await open().sweep(), 1);
    assert.equal((await world.look(key)).status, "delivered");
  });

  it("lets replicas share the parcels", async () => {
    const shipments = await Promise.all(Array.from({ length: 8 }, () => world.ship()));
    world.now += 60_000;
    const reported: string[] = [];
    const report = async (each: TrackingReport) => {
      reported.push(each.event.eventId);
      await deliver(each);
    };
    await Promise.all([1, 2, 3].map(() => open(report).sweep()));
    assert.equal(reported.length, 4 * shipments.length);
    assert.equal(new Set(reported).size, reported.length);
  });
});
