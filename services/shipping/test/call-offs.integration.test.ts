// The warehouse hears of what was called off, whoever dies in between, and what it says afterwards changes nothing.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { decodeId, newId } from "#platform/id.ts";
import { keptLog, quietLogger } from "#testing/logger.ts";
import { dead, Life } from "#testing/mortal.ts";
import { until } from "#testing/until.ts";
import { warehouseClient } from "../../simulators/src/connector-client.ts";
import { WarehouseSimulator } from "../../simulators/src/warehouse/warehouse-simulator.ts";
import { BookingRepository } from "../src/booking/booking.repository.ts";
import { leaseFor } from "../src/booking/booking.ts";
import { ConnectorWarehouse } from "../src/connector/connector-warehouse.ts";
import { CallOffRepository } from "../src/packing/call-off.repository.ts";
import { CallOffs, type CallOffsOptions } from "../src/packing/call-offs.ts";
import { Packing } from "../src/packing/packing.ts";
import type { CallOffOutcome } from "../src/shipment/metrics.ts";
import type { Shipment } from "../src/shipment/shipment.ts";
import { at, createRequest } from "./examples.ts";
import { startProcess } from "./process.ts";
import { request, World } from "./world.ts";

const forever = new AbortController().signal;
const timeoutMs = 10_000;
/** More lines than any of the stories has. */
const mostLines = 60;

describe("what is called off at a warehouse", () => {
  let world: World;
  let repository: CallOffRepository;
  let bookings: BookingRepository;
  let nudges = 0;
  const outcomes: CallOffOutcome[] = [];
  before(async () => {
    world = await World.open();
    const { database } = world.test;
    repository = new CallOffRepository(database);
    const onCalledOff = () => {
      nudges += 1;
    };
    bookings = new BookingRepository({
      database,
      leaseMs: leaseFor(timeoutMs),
      tellsWarehouse: true,
      onCalledOff,
    });
  });
  after(() => world[Symbol.asyncDispose]());

  const openWarehouse = () => {
    const simulator = new WarehouseSimulator({ store: world.outside.database, packingMs: 500, now: () => world.now });
    return new ConnectorWarehouse({ connector: warehouseClient(simulator), timeoutMs, log: quietLogger() });
  };
  const open = (change: Partial<CallOffsOptions> = {}) => {
    const onOutcome = (outcome: CallOffOutcome) => void outcomes.push(outcome);
    return new CallOffs({
      repository,
      warehouse: openWarehouse(),
      log: quietLogger(),
      timeoutMs,
      onOutcome,
      ...change,
    });
  };
  const pack = () =>
    new Packing({ repository: world.packing, warehouse: openWarehouse(), log: quietLogger(), timeoutMs }).sweep(
      forever,
    );
  const cancel = async (shipment: Shipment) => {
    const [claim] = await bookings.cancel([request(shipment, "cancel")]);
    assert.ok(claim && !(claim instanceof Error));
  };
  const dueNow = () => world.test.database.query("update call_off set due_time = now()");
  const waiting = async () =>
    Number((await world.test.database.query<{ count: bigint }>("select count(*) from call_off"))[0]?.count);
  /** Whether the warehouse has been told. */
  const isHeard = async ({ shipmentId, orderId, locationId, lines }: Shipment) => {
    const order = { shipmentId, orderId, locationId, lines, address: at("T1") };
    const [state] = await openWarehouse().pack([order], forever);
    return state?.kind === "failed" && state.code === "CALLED_OFF";
  };

  it("is told once, whether it was begun or not", async () => {
    const begun = await world.create({}, false);
    await pack();
    const [packed, untouched] = [await world.create(), await world.create({}, false)];
    nudges = 0;
    outcomes.length = 0;
    for (const shipment of [begun, packed, untouched]) await cancel(shipment);
    await cancel(begun);
    assert.equal(nudges, 3);
    assert.equal(await open().sweep(forever), 3);
    assert.equal(await open().sweep(forever), 0);
    assert.deepEqual(outcomes, ["called_off", "called_off", "called_off"]);
    for (const shipment of [begun, packed, untouched]) assert.ok(await isHeard(shipment));
    assert.equal(await waiting(), 0);
  });

  it("is told when the carrier was asked to take it, and did not", async () => {
    const shipment = await world.create({ address: at("SIM-ERROR") });
    const booking = world.openBooking({ repository: bookings });
    await booking.book(request(shipment, "ship")).catch(String);
    await booking.settled();
    await booking.cancel(request(shipment, "cancel")).catch(String);
    await booking.settled();
    for (let round = 0; round < 4; round += 1) {
      await world.expireLeases();
      await booking.sweep();
      await booking.settled();
    }
    assert.equal((await world.look(shipment.shipmentId)).status, "cancelled");
    assert.equal(await open().sweep(forever), 1);
    assert.ok(await isHeard(shipment));
  });

  it("is not told of what never was, nor where people pack", async () => {
    await cancel({ ...(await world.create()), orderId: newId() });
    const [claim] = await world.bookings.cancel([request(await world.create({}, false), "cancel")]);
    assert.ok(claim && !(claim instanceof Error));
    assert.equal(await waiting(), 0);
  });

  it("stays called off, whatever the warehouse says of it meanwhile", async () => {
    const shipment = await world.create({}, false);
    const late = new Packing({
      repository: world.packing,
      log: quietLogger(),
      timeoutMs,
      warehouse: {
        async pack(orders) {
          await cancel(shipment);
          await open().sweep(forever);
          return orders.map(() => ({ kind: "packed" }));
        },
      },
    });
    await late.sweep(forever);
    assert.equal((await world.look(shipment.shipmentId)).status, "cancelled");
    assert.ok(await isHeard(shipment));
  });

  it("is told by whoever comes after a process that dies between any two lines", async () => {
    for (let diesAt = 0, over = false; !over; diesAt += 1) {
      assert.ok(diesAt < mostLines);
      const shipment = await world.create({}, false);
      const life = new Life(diesAt);
      const { database } = world.test;
      const query = database.query.bind(database);
      const mortal = new CallOffRepository(life.share({ query }) as typeof database);
      const warehouse = life.share(openWarehouse());
      await cancel(shipment);
      await open({ repository: mortal, warehouse })
        .sweep(forever)
        .catch((error: unknown) => assert.equal(error, dead));
      over = !life.over;
      await dueNow();
      await open().sweep(forever);
      assert.ok(await isHeard(shipment), `dies at line ${diesAt}`);
      assert.equal(await waiting(), 0, `dies at line ${diesAt}`);
    }
  });

  it("is told again while nobody answers, less and less often, for a day", async () => {
    const shipment = await world.create({}, false);
    await cancel(shipment);
    const away = { callOff: () => Promise.reject(new ConnectError("not today", Code.Unavailable)) };
    outcomes.length = 0;
    assert.equal(await open({ warehouse: away }).sweep(forever), 0);
    assert.equal(await open().sweep(forever), 0, "not at once");
    for (let round = 0; round < 3; round += 1) {
      await dueNow();
      await open({ warehouse: away }).sweep(forever);
    }
    assert.deepEqual([await waiting(), outcomes], [1, []]);
    await world.admin("update call_off set create_time = now() - interval '25 hours', due_time = now()");
    const log = keptLog();
    assert.equal(await open({ warehouse: away, log: log.logger }).sweep(forever), 1);
    assert.deepEqual([await waiting(), outcomes], [0, ["given_up"]]);
    assert.match(log.text(), /has not heard in time/);
  });

  it("is given up at once where the warehouse cannot be told, and said aloud where it has left", async () => {
    const [first, second, third] = [await world.create(), await world.create(), await world.create()];
    for (const shipment of [first, second, third]) await cancel(shipment);
    outcomes.length = 0;
    const log = keptLog();
    const states = new Map([
      [first.shipmentId, "unheard"],
      [second.shipmentId, "gone"],
      [third.shipmentId, "undecided"],
    ] as const);
    const warehouse = { callOff: async (ids: readonly string[]) => ids.map((id) => states.get(id) ?? "undecided") };
    assert.equal(await open({ warehouse, log: log.logger }).sweep(forever), 2);
    assert.deepEqual(outcomes.toSorted(), ["gone", "unheard"]);
    assert.deepEqual(
      log.lines().map((line) => line["shipment.id"]),
      [second.shipmentId],
    );
    assert.equal(await waiting(), 1);
    await dueNow();
    assert.equal(await open().sweep(forever), 1);
  });

  it("keeps no other waiting when the warehouse fails for one", async () => {
    const shipments = await Promise.all(Array.from({ length: 9 }, () => world.create({}, false)));
    for (const shipment of shipments) await cancel(shipment);
    const poison = shipments[4]?.shipmentId ?? "";
    const warehouse = {
      async callOff(ids: readonly string[], signal: AbortSignal) {
        if (ids.includes(poison)) throw new ConnectError("cannot read the key", Code.Internal);
        return await openWarehouse().callOff(ids, signal);
      },
    };
    assert.equal(await open({ warehouse }).sweep(forever), 8);
    assert.equal(await waiting(), 1);
    assert.equal(await open().sweep(forever), 0);
    await dueNow();
    assert.ok((await repository.backlog()) >= 0);
    const counts = await Promise.all([1, 2, 3].map(() => open().sweep(forever)));
    assert.deepEqual(counts.toSorted(), [0, 0, 1], "one of many replicas tells it");
  });

  it("is told by the whole process, as the saga calls it off", async () => {
    await using process = await startProcess(world, { PACKING_MS: "60000" });
    const { shipment } = await process.shipping.createShipment(createRequest({}));
    assert.ok(shipment);
    const { orderId, locationId } = shipment;
    const cancellation = { requestId: `${orderId}:cancel`, orderId, locationId };
    const { outcomes: cancelled } = await process.fulfillment.batchCancelShipments({ requests: [cancellation] });
    assert.equal(cancelled[0]?.outcome.case, "response");
    const isTold = async () => {
      const [row] = await world.outside.database.query<{ told: boolean }>(
        "select called_off as told from warehouse_packing where shipment_id = $1",
        [decodeId(shipment.shipmentId)],
      );
      return row?.told === true;
    };
    await until(isTold, "the warehouse hears of it");
    const metric = 'shipping_call_offs_total{outcome="called_off"} 1';
    await until(async () => (await process.registry.metrics()).includes(metric), "it is counted");
  });
});
