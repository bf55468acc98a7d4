// Where people pack: what they say of shipments, once or again, alone or many at a time.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { ShortReason } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { PackingWords, type ShortReason as Reason } from "../src/packing/packing-words.ts";
import type { Shipment } from "../src/shipment/shipment.ts";
import { createRequest } from "./examples.ts";
import { startProcess } from "./process.ts";
import { request, World } from "./world.ts";

describe("what people say who pack", () => {
  let world: World;
  let words: PackingWords;
  let news = 0;
  before(async () => {
    world = await World.open();
    const onNews = () => {
      news += 1;
    };
    words = new PackingWords({ shipments: world.shipments, packing: world.packing, onNews });
  });
  after(() => world[Symbol.asyncDispose]());

  /** The status after it, with the code of its failure; or why it is refused. */
  async function say({ shipmentId }: Pick<Shipment, "shipmentId">, short?: Reason): Promise<string> {
    try {
      const { status, failure } = await words.say({ shipmentId, short });
      return failure ? `${status} ${failure.by} ${failure.code}` : status;
    } catch (error) {
      return error instanceof Error && "reasonName" in error ? String(error.reasonName) : String(error);
    }
  }

  const unpacked = () => world.create({}, false);

  it("makes a shipment ready, which can be booked then, or failed", async () => {
    const [packed, short] = [await unpacked(), await unpacked()];
    assert.equal(await say(packed), "ready");
    assert.equal(await say(short, "DAMAGED"), "failed warehouse DAMAGED");
    const [booked, refused] = await world.bookings.book([request(packed, "ship"), request(short, "ship")]);
    assert.ok(!(booked instanceof Error));
    assert.ok(refused instanceof Error && "reasonName" in refused);
    assert.equal(refused.reasonName, "PACKING_FAILED");
  });

  it("changes nothing when it is said again, also when the parcel has gone on", async () => {
    const [packed, short] = [await unpacked(), await unpacked()];
    const actions = async ({ shipmentId }: Shipment) => {
      const sql = "select action, actor from audit_event where subject = $1 and action <> 'shipment.created'";
      return world.test.database.query<{ action: string; actor: string }>(sql, [shipmentId]);
    };
    for (let time = 0; time < 2; time += 1) {
      assert.equal(await say(packed), "ready");
      assert.equal(await say(short, "MISSING"), "failed warehouse MISSING");
      assert.equal(await say(short, "DAMAGED"), "failed warehouse MISSING");
    }
    assert.deepEqual(
      [...(await actions(packed)), ...(await actions(short))].map(({ action }) => action),
      ["shipment.packed", "shipment.failed"],
    );
    const away = await world.ship();
    assert.equal(await say(away), "shipped");
  });

  it("is refused when the opposite was said before", async () => {
    const [packed, short] = [await unpacked(), await unpacked()];
    await say(packed);
    await say(short, "UNSHIPPABLE");
    assert.equal(await say(packed, "MISSING"), "ALREADY_PACKED");
    assert.equal(await say(short), "PACKING_FAILED");
  });

  it("is refused of what was called off, and of what there is not", async () => {
    const shipment = await unpacked();
    await world.bookings.cancel([request(shipment, "cancel")]);
    assert.equal(await say(shipment), "SHIPMENT_CANCELLED");
    assert.equal(await say(shipment, "MISSING"), "SHIPMENT_CANCELLED");
    assert.equal(await say({ shipmentId: newId() }), "SHIPMENT_NOT_FOUND");
  });

  it("has one outcome when many say it, and the opposite, at the same moment", async () => {
    for (let time = 0; time < 5; time += 1) {
      const shipment = await unpacked();
      const said = await Promise.all([
        say(shipment),
        say(shipment, "MISSING"),
        say(shipment),
        say(shipment, "DAMAGED"),
      ]);
      const { status } = await world.look(shipment.shipmentId);
      const packed = said.filter((_, index) => index % 2 === 0);
      const short = said.filter((_, index) => index % 2 === 1);
      const isPacked = status === "ready";
      assert.deepEqual([...new Set(packed)], [isPacked ? "ready" : "PACKING_FAILED"]);
      assert.match([...new Set(short)].join(), isPacked ? /^ALREADY_PACKED$/ : /^failed warehouse (MISSING|DAMAGED)$/);
    }
  });

  it("is told to orders, once", async () => {
    const shipment = await world.create({ reported: true }, false);
    const before = news;
    await say(shipment);
    await say(shipment);
    assert.equal(news, before + 1);
  });
});

it("nothing is packed by itself where people pack, and what they say goes to orders and to the carrier", async () => {
  await using world = await World.open();
  await using process = await startProcess(world, { WAREHOUSE: "people", PACKING_MS: "0", SWEEP_MS: "20" });
  const { shipping, fulfillment } = process;
  const [packed, short] = await Promise.all(
    [1, 2].map(
      async () => (await shipping.createShipment(createRequest({ reported: true }))).shipment ?? assert.fail(),
    ),
  );
  assert.ok(packed && short);
  // Many times as long as the simulated warehouse would take.
  await delay(300);
  const { shipments } = await shipping.listShipments({ status: ShipmentStatus.PREPARING });
  assert.deepEqual(
    shipments.map(({ shipmentId }) => shipmentId).toSorted(),
    [packed.shipmentId, short.shipmentId].toSorted(),
  );
  const { shipment } = await shipping.reportPacked({ shipmentId: packed.shipmentId });
  assert.equal(shipment?.status, ShipmentStatus.READY);
  const refused = await shipping.reportShort({ shipmentId: short.shipmentId, reason: ShortReason.MISSING });
  assert.deepEqual(
    [refused.shipment?.status, refused.shipment?.failureReason.includes("less on the shelf")],
    [ShipmentStatus.FAILED, true],
  );
  const news = async () => process.news.map(({ news: each }) => ShipmentNews[each]).toSorted();
  await until(async () => (await news()).length === 2, "orders is told");
  assert.deepEqual(await news(), ["PACKED", "PACKING_FAILED"]);
  const request = { requestId: "ship", orderId: packed.orderId, locationId: packed.locationId };
  const { outcomes } = await fulfillment.batchBookShipments({ requests: [request] });
  assert.equal(outcomes[0]?.outcome.case, "response");
});
