import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { until } from "#testing/until.ts";
import { at, createRequest } from "./examples.ts";
import { type Process, startProcess } from "./process.ts";
import { World } from "./world.ts";

const parcels = 60;
const codes = ["", "", "", "SIM-ERROR", "SIM-LOST", "SIM-REFUSE"];

describe("two replicas with the same parcels", () => {
  let world: World;
  let replicas: Process[];
  before(async () => {
    world = await World.open({ poolMax: 16 });
    // It looks for postal codes in the rows.
    const settings = { PERSONAL_DATA: "plain", PACKING_MS: "30", CARRIER_TRANSIT_MS: "80" };
    replicas = await Promise.all([startProcess(world, settings), startProcess(world, settings)]);
  });
  after(async () => {
    for (const replica of replicas) await replica[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  /** Everybody asks the same at the same time. */
  const all = <T>(ask: (replica: Process) => Promise<T>) => Promise.all([...replicas, ...replicas].map(ask));

  it("pack, book, track and report each of them once, whoever is asked", async () => {
    const requests = Array.from({ length: parcels }, (_, index) =>
      createRequest({ sagaId: "saga", address: at(codes[index % codes.length] ?? "") }),
    );
    const created = await all(({ shipping }) => shipping.batchCreateShipments({ requests }));
    const ids = created.map(({ outcomes }) =>
      outcomes.map(({ outcome }) => (outcome.case === "response" ? outcome.value.shipment?.shipmentId : outcome.case)),
    );
    for (const other of ids) assert.deepEqual(other, ids[0]);
    const shipmentIds = (ids[0] ?? []).map((id) => ({ shipmentId: id ?? "" }));
    const statuses = async (replica: Process) => {
      const { outcomes } = await replica.shipping.batchGetShipments({ requests: shipmentIds });
      return outcomes.map(({ outcome }) => (outcome.case === "response" ? outcome.value.shipment?.status : undefined));
    };
    const [one] = replicas;
    assert.ok(one);
    await until(async () => (await statuses(one)).every((status) => status === ShipmentStatus.READY), "all are packed");

    const books = requests.map(({ orderId, locationId }) => ({ requestId: `${orderId}:ship`, orderId, locationId }));
    await all(({ fulfillment }) => fulfillment.batchBookShipments({ requests: books }));
    const ends = new Set([ShipmentStatus.DELIVERED, ShipmentStatus.LOST, ShipmentStatus.FAILED]);
    await until(async () => (await statuses(one)).every((status) => status && ends.has(status)), "all have ended");
    const told = () => replicas.flatMap(({ heard }) => heard.map(({ orderId }) => orderId));
    const expected = requests.filter((_, index) => codes[index % codes.length] !== "SIM-REFUSE");
    await until(() => told().length >= expected.length, "all sagas are told");
    assert.deepEqual(told().sort(), expected.map(({ orderId }) => orderId).sort());
    assert.deepEqual(await statuses(one), await statuses(replicas[1] as Process));
  });

  it("ask the carrier once about each, but for the answers that were lost", async () => {
    const parcels = await world.outside.database.query<{ calls: number; number: string }>(
      "select calls, tracking_number as number from carrier_parcel where state = 'booked'",
    );
    const shipped = await world.test.database.query<{ number: string; lost: boolean }>(
      "select tracking_number as number, address ->> 'postalCode' = 'SIM-ERROR' as lost from shipment",
    );
    const lostBy = new Map(shipped.map(({ number, lost }) => [number, lost]));
    const rows = parcels.map(({ calls, number }) => ({ calls, lost: lostBy.get(number) }));
    assert.equal(rows.length, 50);
    for (const { calls, lost } of rows) assert.equal(calls, lost ? 2 : 1);
  });

  it("write each effect down once", async () => {
    const { database } = world.test;
    const twice = await database.query(
      "select subject, action from audit_event group by subject, action having count(*) > 1",
    );
    assert.deepEqual(twice, []);
    const counts = await database.query<{ action: string; events: bigint }>(
      "select action, count(*) as events from audit_event group by action order by action",
    );
    assert.deepEqual(Object.fromEntries(counts.map(({ action, events }) => [action, Number(events)])), {
      "shipment.booked": 50,
      "shipment.created": 60,
      "shipment.delivered": 40,
      "shipment.failed": 10,
      "shipment.lost": 10,
      "shipment.packed": 60,
    });
  });
});
