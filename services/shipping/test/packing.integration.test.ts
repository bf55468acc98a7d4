import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { warehouseClient } from "../../simulators/src/connector-client.ts";
import {
  WarehouseSimulator,
  type WarehouseSimulatorOptions,
} from "../../simulators/src/warehouse/warehouse-simulator.ts";
import { ConnectorWarehouse } from "../src/connector/connector-warehouse.ts";
import { Packing } from "../src/packing/packing.ts";
import type { Warehouse } from "../src/packing/warehouse.ts";
import type { Shipment } from "../src/shipment/shipment.ts";
import { at } from "./examples.ts";
import { request, World } from "./world.ts";

const forever = new AbortController().signal;

describe("packing with the simulated warehouse", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  const openWarehouse = (options: Partial<WarehouseSimulatorOptions> = {}) => {
    const simulator = new WarehouseSimulator({
      store: world.outside.database,
      packingMs: 500,
      now: () => world.now,
      ...options,
    });
    return new ConnectorWarehouse({ connector: warehouseClient(simulator), timeoutMs: 10_000, log: quietLogger() });
  };
  const open = (warehouse: Pick<Warehouse, "pack"> = openWarehouse()) =>
    new Packing({ repository: world.packing, warehouse, log: quietLogger(), timeoutMs: 10_000 });
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

  it("packs by the time of its database: replicas whose clocks differ by hours pack alike", async ({ mock }) => {
    const store = world.outside.database;
    const order = { key: newId(), locationId: "north", postalCode: "T1" };
    const pack = async (ahead: number) => {
      mock.timers.enable({ apis: ["Date"], now: Date.now() + ahead });
      const [state] = await new WarehouseSimulator({ store, packingMs: 60_000 }).pack([order]);
      mock.timers.reset();
      return state?.kind === "packing" ? state.askAgainMs : undefined;
    };
    const first = await pack(3 * 3_600_000);
    assert.ok(first && first > 50_000 && first <= 60_000, `${first} ms after the first question`);
    const later = await pack(-3 * 3_600_000);
    assert.ok(later && later <= first, `${later} ms after the second`);
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

  it("takes as much longer as the shipment's id says, the same for every attempt", async () => {
    const spread = () => openWarehouse({ packingMs: 5_000, spreadMs: 25_000 });
    const shipments = await Promise.all(Array.from({ length: 40 }, () => world.create({}, false)));
    const orders = shipments.map(({ shipmentId, orderId, locationId, lines, address }) => {
      assert.ok(typeof address === "object");
      return { shipmentId, orderId, locationId, lines, address };
    });
    const takes = async () =>
      (await spread().pack(orders, forever)).map((state) => (state.kind === "packing" ? state.askAgainMs : 0));
    const times = await takes();
    assert.deepEqual(await takes(), times);
    assert.ok(Math.min(...times) >= 5_000 && Math.max(...times) < 30_000, String(times));
    assert.ok(Math.max(...times) - Math.min(...times) > 5_000, String(times));
    await world.bookings.cancel(shipments.map((shipment) => request(shipment, "cancel")));
  });

  it("keeps what can be kept of what the warehouse writes, and goes on with the others", async () => {
    const [poison, other] = [await world.create({}, false), await world.create({}, false)];
    const warehouse: Pick<Warehouse, "pack"> = {
      pack: async (orders) =>
        orders.map(({ shipmentId }) =>
          shipmentId === poison.shipmentId
            ? { kind: "failed", code: "A\u0000B", message: "\udc00".repeat(9_000) }
            : { kind: "packed" },
        ),
    };
    await open(warehouse).sweep(forever);
    assert.deepEqual(await statusesOf([poison, other]), ["failed", "ready"]);
    const { failure } = await world.look(poison.shipmentId);
    assert.deepEqual([failure?.code, failure?.reason.length], ["A?B", 500]);
  });

  it("leaves what was called off meanwhile", async () => {
    const shipment = await world.create({}, false);
    const warehouse: Pick<Warehouse, "pack"> = {
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
    const away: Pick<Warehouse, "pack"> = {
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

  /** A warehouse that fails for batches in which one of these is; it counts what it is asked. */
  function failingFor(...shipments: Shipment[]) {
    const poison = new Set(shipments.map(({ shipmentId }) => shipmentId));
    const asked: number[] = [];
    const warehouse: Pick<Warehouse, "pack"> = {
      async pack(orders) {
        asked.push(orders.length);
        if (orders.some(({ shipmentId }) => poison.has(shipmentId))) throw new Error("cannot read the label");
        return orders.map(() => ({ kind: "packed" }));
      },
    };
    return { warehouse, asked };
  }

  it("halves a batch for which the warehouse fails, and puts off the one that is the cause alone", async () => {
    const shipments = await Promise.all(Array.from({ length: 33 }, () => world.create({}, false)));
    const poison = shipments[20] as Shipment;
    const { warehouse, asked } = failingFor(poison);
    assert.equal(await open(warehouse).sweep(forever), 33);
    const statuses = await statusesOf(shipments);
    assert.deepEqual(
      shipments.filter((_, index) => statuses[index] !== "ready"),
      [poison],
    );
    assert.ok(asked.length <= 2 * Math.ceil(Math.log2(33)) + 1, `${asked.length} questions`);
    assert.equal(await open(warehouse).sweep(forever), 0);
    for (let round = 0; round < 2; round += 1) {
      await world.expireLeases();
      assert.equal(await open().sweep(forever), 1);
      world.now += 500;
    }
    assert.deepEqual(await statusesOf([poison]), ["ready"]);
  });

  it("asks so often in one sweep, and goes on with the others in the next", async () => {
    const shipments = await Promise.all(Array.from({ length: 40 }, () => world.create({}, false)));
    const poison = shipments.filter((_, index) => index % 8 === 0);
    const { warehouse, asked } = failingFor(...poison);
    const handled: number[] = [];
    for (let sweep = 0; sweep < 8 && handled.at(-1) !== 0; sweep += 1) {
      const before = asked.length;
      handled.push(await open(warehouse).sweep(forever));
      assert.ok(asked.length - before <= 24);
    }
    assert.equal(handled.at(-1), 0);
    const statuses = await statusesOf(shipments);
    assert.deepEqual(
      shipments.filter((_, index) => statuses[index] !== "ready"),
      poison,
    );
    await world.bookings.cancel(poison.map((shipment) => request(shipment, "cancel")));
  });

  it("fails when the warehouse fails for all, after a few questions", async () => {
    const shipments = await Promise.all(Array.from({ length: 16 }, () => world.create({}, false)));
    const { warehouse, asked } = failingFor(...shipments);
    await assert.rejects(open(warehouse).sweep(forever), /label/);
    assert.ok(asked.length <= 24);
    assert.deepEqual(new Set(await statusesOf(shipments)), new Set(["preparing"]));
    await world.bookings.cancel(shipments.map((shipment) => request(shipment, "cancel")));
  });

  it("is measured by how long what is due has waited", async () => {
    const waits = async () => (await world.shipments.backlog()).get("shipment.packing");
    assert.equal(await waits(), 0);
    const shipment = await world.create({}, false);
    await world.expireLeases();
    const seconds = (await waits()) ?? 0;
    assert.ok(seconds >= 3_600 && seconds < 3_660, String(seconds));
    await world.bookings.cancel([request(shipment, "cancel")]);
    assert.equal(await waits(), 0);
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
