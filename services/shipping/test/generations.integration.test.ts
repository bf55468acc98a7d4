// A shipment that was called off, and another one in its place.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "#platform/id.ts";
import { OrderReportRepository } from "../src/report/order-report.repository.ts";
import { alreadyPacked } from "../src/shipment/errors.ts";
import { newShipment } from "./examples.ts";
import { request, World } from "./world.ts";

describe("shipments in the place of others", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world?.[Symbol.asyncDispose]());

  const parcel = (generation: number, orderId: string) => ({ orderId, locationId: "BER-1", generation });
  const takeBack = (shipment: { orderId: string; locationId: string; generation: number }) =>
    world.openBooking().cancel({ ...request(shipment, "take-back"), unpackedOnly: true });
  const create = (generation: number, orderId: string, packed = false) =>
    world.create({ ...parcel(generation, orderId), requestId: `${orderId}:prepare:${generation}` }, packed);

  it("come one after the other, each with what it holds, and the one before gives way", async () => {
    const orderId = newId();
    const first = await create(0, orderId);
    await takeBack(first);
    const second = await create(1, orderId);
    assert.notEqual(second.shipmentId, first.shipmentId);
    assert.partialDeepStrictEqual(second, { locationId: "BER-1", generation: 1, status: "preparing" });
    assert.partialDeepStrictEqual(await world.look(first.shipmentId), { locationId: "BER-1", status: "cancelled" });
    await takeBack(second);
    const third = await create(2, orderId, true);
    const booked = await world.openBooking().book(request(third, "ship"));
    assert.equal(booked, third.shipmentId);
    assert.equal((await world.look(booked)).status, "shipped");
    const listed = await world.shipments.list({ orderId, limit: 10 });
    assert.deepEqual(
      listed.map(({ locationId, generation, status }) => [locationId, generation, status]),
      [
        ["BER-1", 2, "shipped"],
        ["BER-1", 1, "cancelled"],
        ["BER-1", 0, "cancelled"],
      ],
    );
  });

  it("are called off once more, and booked no more, by who knows only the one before", async () => {
    const orderId = newId();
    const first = await create(0, orderId);
    await takeBack(first);
    const second = await create(1, orderId);
    assert.equal(await world.openBooking().cancel(request(first, "cancel")), first.shipmentId);
    assert.equal((await world.look(second.shipmentId)).status, "preparing");
    await assert.rejects(world.openBooking().book(request(first, "ship")), { reasonName: "SHIPMENT_CANCELLED" });
    const [late] = await world.shipments.create([newShipment({ ...parcel(0, orderId), requestId: `${orderId}:late` })]);
    assert.equal((late as { shipmentId?: string }).shipmentId, first.shipmentId, "it has the one that it is about");
  });

  it("are refused when they were called off before they came, in whatever order", async () => {
    const orderId = newId();
    await takeBack(await create(0, orderId));
    await world.openBooking().cancel(request(parcel(1, orderId), "cancel"));
    const [late] = await world.shipments.create([newShipment({ ...parcel(1, orderId), requestId: `${orderId}:late` })]);
    assert.equal((late as { reasonName?: string }).reasonName, "SHIPMENT_CANCELLED");
    const third = await create(2, orderId);
    assert.equal(third.status, "preparing");
    // What never was, and has a later one in its place.
    const other = newId();
    await create(3, other);
    await world.openBooking().cancel(request(parcel(1, other), "cancel"));
    const [never] = await world.shipments.create([newShipment({ ...parcel(1, other), requestId: `${other}:late` })]);
    assert.equal((never as { reasonName?: string }).reasonName, "SHIPMENT_CANCELLED");
  });

  it("do not come while the one before is not called off", async () => {
    const orderId = newId();
    await create(0, orderId);
    const [early] = await world.shipments.create([
      newShipment({ ...parcel(1, orderId), requestId: `${orderId}:early` }),
    ]);
    assert.ok(early instanceof Error);
  });

  it("are taken back only while they are not packed", async () => {
    const packed = await create(0, newId(), true);
    await assert.rejects(takeBack(packed), { reasonName: "ALREADY_PACKED" });
    assert.equal((await world.look(packed.shipmentId)).status, "ready");
    const unpacked = await create(0, newId());
    await Promise.all([takeBack(unpacked), takeBack(unpacked)]);
    assert.equal((await world.look(unpacked.shipmentId)).status, "cancelled");
    await takeBack({ ...parcel(0, newId()) });
    assert.match(alreadyPacked(packed).message, /not packed yet/);
  });

  it("are taken back or packed when both come at once, and never both", async () => {
    for (let round = 0; round < 10; round += 1) {
      const shipment = await create(0, newId());
      const packing = world.packing.settle([{ shipment, state: { kind: "packed" } }]);
      const taking = takeBack(shipment).then(
        () => "cancelled",
        () => "ready",
      );
      const [, taken] = await Promise.all([packing, taking]);
      assert.equal((await world.look(shipment.shipmentId)).status, taken);
    }
  });

  it("are told of by what they are", async () => {
    const orderId = newId();
    const first = await world.create({ ...parcel(0, orderId), requestId: `${orderId}:0`, reported: true }, false);
    await takeBack(first);
    await world.create({ ...parcel(1, orderId), requestId: `${orderId}:1`, reported: true });
    const due = await new OrderReportRepository(world.test.database).claimDue(1_000, 10);
    assert.deepEqual(
      due.filter((each) => each.orderId === orderId).map(({ generation, news }) => [generation, news]),
      [[1, "packed"]],
    );
  });
});
