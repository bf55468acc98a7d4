import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Packing } from "../src/packing.ts";
import type { Shipment } from "../src/shipment.ts";
import { WarehouseSimulator } from "../src/simulators/warehouse-simulator.ts";
import type { Warehouse } from "../src/warehouse.ts";
import { at } from "./examples.ts";
import { request, World } from "./world.ts";

const forever = new AbortController().signal;

describe("packing with the simulated warehouse", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  const openWarehouse = () =>
    new WarehouseSimulator({ store: world.test.database, packingMs: 500, now: () => world.now });
  const open = (warehouse: Warehouse = openWarehouse()) =>
    new Packing({ repository: world.packing, warehouse, log: { warn: () => undefined }, timeoutMs: 10_000 });
  const statusesOf = async (shipments: Shipment[]) =>
    Promise.all(shipments.map(async (shipment) => (await world.look(shipment.shipmentId)).status));

  it("makes shipments ready after their time, all with the same few statements", async () => {
    const shipments = await Promise.all([1, 2, 3].map(() => world.create({}, false)));
    assert.equal(await open().sweep(forever), 3);
    assert.equal(await open().sweep(forever), 0);
    assert.deepEqual(await statusesOf(shipments), ["preparing", "preparing", "preparing"]);
    world.now += 500;
    await world.expireLeases();
    assert.equal(await open().sweep(forever), 3);
    assert.deepEqual(await statusesOf(shipments), ["ready", "ready", "ready"]);
    assert.equal(await open().sweep(forever), 0);
  });

  it("fails what cannot be packed, and says why when it is to be booked", async () => {
    const shipment = await world.create({ address: at("SIM-UNPACKABLE") }, false);
    await open().sweep(forever);
    world.now += 500;
    await world.expireLeases();
    await open().sweep(forever);
    const { status, failure } = await world.look(shipment.shipmentId);
    assert.deepEqual([status, failure?.by, failure?.code], ["failed", "warehouse", "TOO_LARGE"]);
    const [refused] = await world.bookings.book([request(shipment, "ship")]);
    assert.ok(refused instanceof Error && "reasonName" in refused);
    assert.equal(refused.reasonName, "PACKING_FAILED");
  });

  it("leaves what was called off meanwhile", async () => {
    const shipment = await world.create({}, false);
    const warehouse: Warehouse = {
      async pack(orders, signal) {
        world.now += 500;
        await openWarehouse().pack(orders, signal);
        await world.bookings.cancel([request(shipment, "cancel")]);
        return orders.map(() => ({ kind: "packed" }));
      },
    };
    await open(warehouse).sweep(forever);
    assert.deepEqual(await statusesOf([shipment]), ["cancelled"]);
  });

  it("asks again, after the lease, when the warehouse or the process went away", async () => {
    const shipment = await world.create({}, false);
    const away: Warehouse = {
      pack: () => Promise.reject(new Error("ECONNREFUSED")),
    };
    await assert.rejects(open(away).sweep(forever), /ECONNREFUSED/);
    assert.equal(await open().sweep(forever), 0);
    for (let round = 0; round < 2; round += 1) {
      await world.expireLeases();
      await open().sweep(forever);
      world.now += 500;
    }
    assert.deepEqual(await statusesOf([shipment]), ["ready"]);
  });

  it("gives a shipment to one of many replicas", async () => {
    const shipments = await Promise.all(Array.from({ length: 12 }, () => world.create({}, false)));
    const counts = await Promise.all([1, 2, 3, 4].map(() => open().sweep(forever)));
    assert.equal(
      counts.reduce((sum, count) => sum + count),
      shipments.length,
    );
  });
});
