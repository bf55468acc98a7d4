import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "#platform/id.ts";
import { isTombstone, type Shipment, shipmentKey } from "../src/shipment/shipment.ts";
import { newShipment } from "./examples.ts";
import { request, World } from "./world.ts";

describe("the shipments' table", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  it("creates many with a statement and gives them back as they were asked for", async () => {
    const inputs = [newShipment({ sagaId: "saga-1" }), newShipment({ locationId: "MUC-1" }), newShipment()];
    const created = await world.shipments.create(inputs);
    const found = await world.shipments.find(created.map(idOf));
    for (const [index, input] of inputs.entries()) {
      const { orderId, locationId, lines, address, sagaId } = input;
      const shipment = found[index];
      assert.partialDeepStrictEqual(shipment, { orderId, locationId, lines, address, sagaId, status: "preparing" });
      assert.deepEqual(created[index], { shipmentId: shipment?.shipmentId, shipment });
    }
    assert.deepEqual(await world.shipments.find([newId()]), [undefined]);
  });

  it("answers a repetition with the same shipment, and refuses the id for another body", async () => {
    const input = newShipment();
    const [first] = await world.shipments.create([input]);
    const { orderId, requestId } = input;
    const other = newShipment({ requestId, orderId, locationId: "HAM-1" });
    const [again, refused, fresh] = await world.shipments.create([input, other, newShipment({ requestId })]);
    assert.equal(idOf(again), idOf(first));
    assert.equal(reasonOf(refused), "REQUEST_ID_REUSED");
    assert.equal((await world.look(idOf(fresh))).status, "preparing");
  });

  it("has one shipment for an order and a location, whoever asks", async () => {
    const input = newShipment();
    const rivals = Array.from({ length: 8 }, (_, index) => ({ ...input, requestId: `${input.orderId}:${index}` }));
    const all = await Promise.all(rivals.map((rival) => world.shipments.create([rival, newShipment()])));
    assert.equal(new Set(all.map(([first]) => idOf(first))).size, 1);
  });

  it("keeps addresses out of the keys", async () => {
    const rows = await world.test.database.query<{ response: Buffer }>("select response from idempotency_key");
    assert.ok(rows.length > 0);
    for (const { response } of rows) assert.match(response.toString(), /^[0-9A-Z]{26}$/);
  });

  it("refuses what was called off before it came, and nothing else of the batch", async () => {
    const early = newShipment();
    const [mark] = await world.bookings.cancel([request(early, "cancel")]);
    assert.ok(isTombstone(await world.look(idOf(mark))));
    const [refused, created] = await world.shipments.create([early, newShipment()]);
    assert.equal(reasonOf(refused), "SHIPMENT_CANCELLED");
    assert.equal((await world.look(idOf(created))).status, "preparing");
    assert.equal(reasonOf((await world.shipments.create([early]))[0]), "SHIPMENT_CANCELLED");
  });

  it("answers a repeated creation with what was called off since", async () => {
    const input = newShipment();
    const [created] = await world.shipments.create([input]);
    await world.bookings.cancel([request(input, "cancel")]);
    const [again] = await world.shipments.create([input]);
    assert.equal(idOf(again), idOf(created));
    assert.equal((await world.look(idOf(again))).status, "cancelled");
  });

  it("lets either the creation or the cancellation win when they race", async () => {
    for (let round = 0; round < 10; round += 1) {
      const inputs = Array.from({ length: 5 }, () => newShipment());
      const cancellations = inputs.map((input) => request(input, "cancel"));
      const [created, cancelled] = await Promise.all([
        world.shipments.create(inputs),
        world.bookings.cancel(cancellations.toReversed()),
      ]);
      for (const [index, outcome] of created.entries()) {
        const mark = await world.look(idOf(cancelled.at(-1 - index)));
        assert.equal(mark.status, "cancelled");
        if (outcome instanceof Error) assert.equal(reasonOf(outcome), "SHIPMENT_CANCELLED");
        else assert.equal(outcome.shipmentId, mark.shipmentId);
        assert.equal(isTombstone(mark), outcome instanceof Error);
      }
    }
  });

  it("refuses to create what is not data alone", async () => {
    const poison = newShipment({ sagaId: "\u0000" });
    await assert.rejects(world.shipments.create([poison]), { code: "22P05" });
  });
});

describe("lists of shipments", () => {
  let world: World;
  let all: Shipment[] = [];
  const orderId = newId();
  before(async () => {
    world = await World.open();
    all = [];
    for (let index = 0; index < 5; index += 1) {
      all.unshift(await world.create({ orderId, requestId: `${index}`, locationId: `L${index}` }));
    }
    all.unshift(await world.ship());
    await world.tracking.record([
      {
        trackingNumber: all[0]?.trackingNumber ?? "",
        event: { eventId: "1", kind: "delivered", eventTime: new Date(5), place: "Bonn" },
      },
    ]);
    all[0] = await world.look(all[0]?.shipmentId ?? "");
    await world.bookings.cancel([request(newShipment({ orderId, locationId: "MARK" }), "cancel")]);
  });
  after(() => world[Symbol.asyncDispose]());

  const ids = (shipments: Shipment[]) => shipments.map((shipment) => shipment.shipmentId);

  it("begin with the newest, go on after any, and have no marks", async () => {
    assert.deepEqual(await world.shipments.list({ limit: 10 }), all);
    const page = await world.shipments.list({ limit: 2, after: all[1]?.shipmentId });
    assert.deepEqual(page, all.slice(2, 4));
  });

  it("are of one order, of one status, or both", async () => {
    assert.deepEqual(ids(await world.shipments.list({ limit: 10, orderId })), ids(all.slice(1)));
    assert.deepEqual(await world.shipments.list({ limit: 10, status: "delivered" }), all.slice(0, 1));
    assert.deepEqual(await world.shipments.list({ limit: 10, orderId, status: "delivered" }), []);
    assert.equal((await world.shipments.list({ limit: 10, orderId, status: "ready" })).length, 5);
    assert.deepEqual(await world.shipments.list({ limit: 10, orderId, status: "cancelled" }), []);
  });

  it("show a shipment once for its order and location", () => {
    assert.equal(new Set(all.map(shipmentKey)).size, all.length);
  });
});

function idOf(output: { shipmentId: string } | Error | undefined): string {
  assert.ok(output && !(output instanceof Error), String(output));
  return output.shipmentId;
}

function reasonOf(output: unknown): unknown {
  assert.ok(output instanceof Error && "reasonName" in output, String(output));
  return output.reasonName;
}
