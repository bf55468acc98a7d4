// That where a parcel goes is readable with the master key alone, and reaches warehouse and carrier as it was given.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { AddressSchema } from "#gen/shop/type/v1/address_pb.js";
import { migrateDown, migrateUp } from "#platform/database/migrate.ts";
import { decodeId } from "#platform/id.ts";
import { keysText } from "#platform/key-ring.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import { Secret } from "#platform/secret.ts";
import { textOfTables } from "#testing/table-text.ts";
import { until } from "#testing/until.ts";
import { migrations } from "../src/migrations/list.ts";
import { ShipmentPersons } from "../src/shipment/shipment-persons.repository.ts";
import { createRequest } from "./examples.ts";
import { masterKeys, startProcess } from "./process.ts";
import { World } from "./world.ts";

describe("addresses of parcels", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  const personalOf = (mode: "sealed" | "plain") =>
    personalDataOf({
      PERSONAL_DATA: mode,
      PERSONAL_DATA_KEYS: new Secret(masterKeys, keysText),
      PERSONAL_DATA_SWEEP_MS: 1,
    });
  const address = (n: number) =>
    create(AddressSchema, {
      recipient: `Recipient${n}x`,
      lines: [`Street${n}x`],
      city: `City${n}x`,
      postalCode: `Postal${n}x`,
      country: "DE",
    });
  const words = /(?:Recipient|Street|City|Postal)\d+x/g;
  const readable = async () => (await textOfTables(world.test.adminUrl)).match(words) ?? [];

  async function deliver(from: number, count: number, environment: Record<string, string> = {}): Promise<string[]> {
    await using process = await startProcess(world, { PACKING_MS: "5", CARRIER_TRANSIT_MS: "10", ...environment });
    const ids: string[] = [];
    for (let n = from; n < from + count; n += 1) {
      const { shipment } = await process.shipping.createShipment(createRequest({ address: address(n) }));
      assert.equal(shipment?.address?.city, address(n).city);
      ids.push(shipment.shipmentId);
    }
    const reach = (status: ShipmentStatus) => async () => {
      const { shipments } = await process.shipping.listShipments({ pageSize: 200 });
      for (const each of shipments) assert.match(each.address?.recipient ?? "", /^(?:Recipient\d+x)?$/);
      return ids.every((id) => shipments.find(({ shipmentId }) => shipmentId === id)?.status === status);
    };
    await until(reach(ShipmentStatus.READY), "all are packed");
    for (const shipmentId of ids) {
      const { shipment } = await process.shipping.getShipment({ shipmentId });
      const { orderId = "", locationId = "" } = shipment ?? {};
      await process.fulfillment.batchBookShipments({
        requests: [{ requestId: `${orderId}:ship:${locationId}`, orderId, locationId }],
      });
    }
    await until(reach(ShipmentStatus.DELIVERED), "all are delivered");
    return ids;
  }

  async function moveAll(mode: "sealed" | "plain"): Promise<void> {
    const persons = new ShipmentPersons(world.test.database, personalOf(mode));
    for (let round = 0; round < 20; round += 1) if ((await persons.moveBatch(3)) === 0) return;
    assert.fail("there is no end to it");
  }

  it("lie nowhere in plain text in the service's tables", async () => {
    await deliver(1_000, 5);
    assert.deepEqual(await readable(), []);
  });

  it("are sealed that were plain before, and opened again for the way back", async () => {
    await deliver(2_000, 5, { PERSONAL_DATA: "plain" });
    assert.ok((await readable()).length >= 20);
    await moveAll("sealed");
    assert.deepEqual(await readable(), []);
    await deliver(3_000, 2);
    await assert.rejects(migrateDown({ url: world.test.ownerUrl, migrations }, "0008-personal"), /PERSONAL_DATA=plain/);
    await migrateUp({ url: world.test.ownerUrl, migrations });
    await moveAll("plain");
    assert.equal(new Set(await readable()).size, 4 * 12);
    await moveAll("sealed");
  });

  it("are forgotten with their keys when nobody needs them any more, and not before", async () => {
    const [[old = ""], [young = ""]] = [await deliver(4_000, 1), await deliver(4_001, 1)];
    await world.admin(
      `update shipment set update_time = now() - interval '91 days' where shipment_id = '${decodeId(old)}'`,
    );
    await world.admin("update tracking_event set place = 'left with City4000x'");
    const persons = new ShipmentPersons(world.test.database, personalOf("sealed"));
    assert.deepEqual([await persons.forgetBatch(90, 10), await persons.forgetBatch(90, 10)], [1, 0]);
    const keyed = "select from personal_key k join shipment s on s.order_id = k.subject where s.shipment_id = $1";
    assert.equal((await world.test.database.query(keyed, [decodeId(old)])).length, 0);
    await using process = await startProcess(world);
    const cityOf = async (shipmentId: string) =>
      (await process.shipping.getShipment({ shipmentId })).shipment?.address?.city;
    assert.deepEqual([await cityOf(old), await cityOf(young)], ["", "City4001x"]);
    const placesOf = async (shipmentId: string) =>
      new Set((await process.shipping.getShipment({ shipmentId })).shipment?.events.map(({ place }) => place));
    assert.deepEqual([await placesOf(old), await placesOf(young)], [new Set([""]), new Set(["left with City4000x"])]);
    await world.admin("update tracking_event set place = ''");
  });

  it("do not open at another parcel, and are empty where their keys are gone", async () => {
    await using process = await startProcess(world);
    await world.admin("delete from personal_key");
    const { shipments } = await process.shipping.listShipments({ pageSize: 200 });
    assert.equal(shipments.length, 14);
    assert.deepEqual(new Set(shipments.map((each) => each.address?.recipient)), new Set([""]));
    const { shipment: first } = await process.shipping.createShipment(createRequest({ address: address(1) }));
    const { shipment: second } = await process.shipping.createShipment(createRequest({ address: address(2) }));
    await world.admin(`update shipment set address = o.address from shipment o
      where o.status = 'preparing' and shipment.status = 'preparing' and o.shipment_id <> shipment.shipment_id`);
    for (const each of [first, second]) {
      await assert.rejects(process.shipping.getShipment({ shipmentId: each?.shipmentId ?? "" }), /internal error/);
    }
  });
});
