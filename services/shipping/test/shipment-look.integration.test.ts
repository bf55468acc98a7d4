// Reports that never come. Most of these are bugs that others had: a parcel that is asked about no more once it is old, one that
// the carrier does not answer for and that keeps all others from being asked, a late report that undoes what was found out.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { TrackingOutcome } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { withContext } from "#platform/context.ts";
import { decodeId, newId } from "#platform/id.ts";
import { keptLog } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { CarrierClock } from "../../simulators/src/carrier/carrier-clock.ts";
import type { Carrier } from "../src/booking/carrier.ts";
import { CarrierCalls } from "../src/booking/carrier-call.ts";
import { Packing } from "../src/packing/packing.ts";
import type { LookOutcome } from "../src/shipment/metrics.ts";
import type { Shipment } from "../src/shipment/shipment.ts";
import { ShipmentLook } from "../src/tracking/shipment-look.ts";
import { SilentShipmentRepository } from "../src/tracking/silent-shipment.repository.ts";
import { TrackingRepository } from "../src/tracking/tracking.repository.ts";
import { Tracking } from "../src/tracking/tracking.ts";
import { at, createRequest, event } from "./examples.ts";
import { startProcess } from "./process.ts";
import { request, shortTimeoutMs, World } from "./world.ts";

const hour = 3_600_000;
const day = 24 * hour;
const never = new AbortController().signal;
const everybody = { orderId: "", limit: 200 };

describe("parcels of which nobody reports anything", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());
  beforeEach(() => age(0, "delete from tracking_event; delete from shipment"));

  /** Lets time pass for all parcels, after other statements of a superuser. */
  async function age(ms: number, ...statements: string[]): Promise<void> {
    for (const sql of statements) await world.admin(sql);
    await world.admin(`update shipment set update_time = update_time - ${ms} * interval '1 millisecond'`);
  }

  const open = (carrier: Carrier = world.carrier, timeoutMs = 10_000) => {
    const { logger, lines } = keptLog("shipping");
    const outcomes: LookOutcome[] = [];
    const repository = new SilentShipmentRepository(world.test.database, { silentMs: 2 * day, overdueMs: 21 * day });
    const tracking = new Tracking({
      repository: new TrackingRepository(world.test.database),
      onOver: () => undefined,
    });
    const calls = new CarrierCalls({ carrier, timeoutMs, note: undefined });
    const onOutcome = (outcome: LookOutcome) => outcomes.push(outcome);
    const look = new ShipmentLook({ repository, calls, tracking, log: logger, onOutcome });
    return { look, outcomes, lines, repository, tracking };
  };

  /** What came of asking about all that are silent, by shipment. */
  async function lookAtAll(carrier?: Carrier): Promise<Map<string, LookOutcome>> {
    const { look } = open(carrier);
    const found = await look.look(await look.find(everybody), never);
    return new Map(found.map(({ shipment, outcome }) => [shipment.shipmentId, outcome]));
  }

  const shipTo = (postalCode: string) => world.ship({ address: at(postalCode), reported: true });
  const statusOf = async ({ shipmentId }: Shipment) => (await world.look(shipmentId)).status;

  it("are found out about: one has arrived, one is lost, and what was reported of the others stays", async () => {
    const [arrived, going, reported] = [
      await shipTo("SIM-UNREPORTED"),
      await shipTo("SIM-UNREPORTED"),
      await shipTo(""),
    ];
    await world.outside.database.query(
      `update carrier_parcel set transit_ms = 4000000 where key = '${going.shipmentId}'`,
    );
    const lost = await shipTo("SIM-UNREPORTED");
    await world.outside.database.query(`update carrier_parcel set lost = true where key = '${lost.shipmentId}'`);
    world.now += 2_100_000;
    await age(3 * day);
    const clock = { store: world.outside.database, now: () => world.now };
    await new CarrierClock({ ...clock, report: (each) => world.tracking.record([each]) }).sweep();

    const outcomes = await lookAtAll();
    assert.deepEqual(
      [arrived, going, lost, reported].map(({ shipmentId }) => outcomes.get(shipmentId)),
      ["ended", "reported", "ended", undefined],
    );
    assert.deepEqual(await Promise.all([arrived, going, lost, reported].map(statusOf)), [
      "delivered",
      "shipped",
      "lost",
      "delivered",
    ]);
    const { events } = await world.look(arrived.shipmentId);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["picked_up", "in_transit", "out_for_delivery", "delivered"],
    );
    assert.equal((await lookAtAll()).size, 0, "what was found out is as good as reported");
  });

  it("are asked about when nobody has reported anything for long enough, and as long as it takes", async () => {
    const shipment = await shipTo("SIM-UNREPORTED");
    await age(2 * day - hour);
    assert.equal((await lookAtAll()).size, 0);
    // However old: one that is given up after some days is never found.
    await age(400 * day);
    world.now += 60_000;
    assert.equal((await lookAtAll()).get(shipment.shipmentId), "ended");
  });

  it("are not ended by a carrier that has nothing to tell yet, or does not know them", async () => {
    const [fresh, forgotten] = [await shipTo("SIM-UNREPORTED"), await shipTo("SIM-FORGOTTEN")];
    await age(3 * day);
    const outcomes = await lookAtAll();
    assert.equal(outcomes.get(fresh.shipmentId), "unchanged");
    assert.equal(outcomes.get(forgotten.shipmentId), "unknown");
    await age(30 * day);
    assert.equal((await lookAtAll()).get(fresh.shipmentId), "overdue");
    assert.deepEqual(await Promise.all([fresh, forgotten].map(statusOf)), ["shipped", "shipped"]);
    // Some carriers know a parcel only hours after they took it.
    await world.outside.database.query(
      `update carrier_parcel set forgotten = false where key = '${forgotten.shipmentId}'`,
    );
    world.now += 60_000;
    assert.equal((await lookAtAll()).get(forgotten.shipmentId), "ended");
  });

  it("are named in the log when somebody has to find out", async () => {
    const [fresh, forgotten] = [await shipTo("SIM-UNREPORTED"), await shipTo("SIM-FORGOTTEN")];
    await age(30 * day);
    const { look, lines, outcomes } = open();
    await look.look(await look.find(everybody), never);
    assert.deepEqual(outcomes.toSorted(), ["overdue", "unknown"]);
    for (const [shipment, message] of [
      [fresh, /longer than one can be under way/],
      [forgotten, /does not have a parcel that it has taken/],
    ] as const) {
      const line = lines().find((each) => message.test(each.message));
      assert.deepEqual([line?.["shipment.id"], line?.["order.id"]], [shipment.shipmentId, shipment.orderId]);
    }
  });

  it("are found by the carrier's own key, also where its reports name a number that we cannot use", async () => {
    const shipment = await shipTo("SIM-UNREPORTED");
    const id = `'${decodeId(shipment.shipmentId)}'`;
    await world.admin(`update shipment set tracking_number = '${shipment.shipmentId}' where shipment_id = ${id}`);
    await age(3 * day);
    world.now += 60_000;
    assert.equal((await lookAtAll()).get(shipment.shipmentId), "ended");
    assert.equal(await statusOf(shipment), "delivered");
  });

  it("keep nobody from being asked about: one fails, one is never answered, one answers nonsense", async () => {
    const shipments = await Promise.all(Array.from({ length: 5 }, () => shipTo("SIM-UNREPORTED")));
    const [failing, hanging, nonsense, ...others] = shipments as [Shipment, Shipment, Shipment, ...Shipment[]];
    await age(3 * day);
    world.now += 60_000;
    const carrier: Carrier = {
      ...bound(world.carrier),
      async track(key, signal) {
        if (key === failing.shipmentId) throw new Error("503 from the carrier");
        if (key === hanging.shipmentId) return new Promise(() => undefined);
        const events = await world.carrier.track(key, signal);
        const broken = { eventId: "", kind: "teleported" as never, eventTime: new Date(Number.NaN), place: "\u0000" };
        return key === nonsense.shipmentId ? [broken, ...(events ?? []), event("lost", Number.NaN)] : events;
      },
    };
    const { look, lines } = open(carrier, shortTimeoutMs);
    const found = await look.look(await look.find(everybody), never);
    const outcomes = new Map(found.map(({ shipment, outcome }) => [shipment.shipmentId, outcome]));
    assert.deepEqual(
      shipments.map(({ shipmentId }) => outcomes.get(shipmentId)),
      ["unanswered", "unanswered", "ended", "ended", "ended"],
    );
    assert.deepEqual(await Promise.all([nonsense, ...others].map(statusOf)), ["delivered", "delivered", "delivered"]);
    assert.equal(lines().filter(({ message }) => /no answer about a silent parcel/.test(message)).length, 2);
  });

  it("hold up nobody while the carrier is away: after some calls no more are made, and the look does not count", async () => {
    for (let count = 0; count < 60; count += 1) await shipTo("SIM-UNREPORTED");
    await age(3 * day, "update shipment_look set look_time = now() - interval '3 days'");
    let calls = 0;
    const carrier: Carrier = {
      ...bound(world.carrier),
      async track() {
        calls += 1;
        throw new Error("ECONNREFUSED");
      },
    };
    const { look, lines, repository } = open(carrier);
    const found = await look.look(await look.find(everybody), never);
    assert.equal(found.length, 60);
    assert.ok(found.every(({ outcome }) => outcome === "unanswered"));
    assert.ok(calls >= 32 && calls < 48, String(calls));
    assert.ok(lines().length <= 20);
    await look.over(found);
    assert.ok((await repository.lookAge()) > 2 * 86_400);
    await look.over([]);
    assert.ok((await repository.lookAge()) < 60);
  });

  it("take no longer than the caller's time, and are asked about no more when the caller has gone", async () => {
    await shipTo("SIM-UNREPORTED");
    await age(3 * day);
    const { look } = open({ ...bound(world.carrier), track: () => new Promise(() => undefined) });
    const found = await withContext({ deadline: Date.now() + 1_200 }, async () =>
      look.look(await look.find(everybody), never),
    );
    assert.deepEqual(
      found.map(({ outcome }) => outcome),
      ["unanswered"],
    );
    const gone = new AbortController();
    const asking = look.look(await look.find(everybody), gone.signal);
    gone.abort(new Error("the caller has gone"));
    await assert.rejects(asking, /the caller has gone/);
  });

  it("have each thing told once, whether it was found out, is found out twice at a time, or is reported late", async () => {
    const shipment = await shipTo("SIM-UNREPORTED");
    await age(3 * day);
    world.now += 60_000;
    const found = await Promise.all([lookAtAll(), lookAtAll()]);
    assert.deepEqual(
      found.map((each) => each.get(shipment.shipmentId)),
      ["ended", "ended"],
    );
    const { events, updateTime } = await world.look(shipment.shipmentId);
    assert.equal(events.length, 4);
    const reports = events.map((each) => ({ trackingNumber: shipment.trackingNumber, event: each }));
    await world.tracking.record(reports.toReversed());
    const after = await world.look(shipment.shipmentId);
    assert.deepEqual([after.status, after.events, after.updateTime], ["delivered", events, updateTime]);
    const audited = await world.test.database.query<{ action: string }>(
      "select action from audit_event where action = 'shipment.delivered' and subject = $1",
      [shipment.shipmentId],
    );
    assert.equal(audited.length, 1);
  });

  it("are not heard of anew because the carrier's ids cannot be kept as they are", async () => {
    const shipment = await shipTo("SIM-UNREPORTED");
    const track = async () => [event("in_transit", 1, "a\u0000b")];
    const carrier = { ...bound(world.carrier), track };
    await age(30 * day);
    assert.equal((await lookAtAll(carrier)).get(shipment.shipmentId), "reported");
    await age(30 * day);
    assert.equal((await lookAtAll(carrier)).get(shipment.shipmentId), "overdue");
  });

  it("are listed page by page, the oldest first, also when some end meanwhile", async () => {
    const shipments: Shipment[] = [];
    for (let count = 0; count < 5; count += 1) shipments.push(await shipTo("SIM-UNREPORTED"));
    await age(3 * day);
    world.now += 60_000;
    const { look } = open();
    const seen: string[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await look.find({ orderId: "", limit: 2, after });
      if (page.length === 0) break;
      seen.push(...(await look.look(page, never)).map(({ shipment }) => shipment.shipmentId));
      after = seen.at(-1);
    }
    assert.deepEqual(seen, shipments.map(({ shipmentId }) => shipmentId).toSorted());
    assert.deepEqual(new Set(await Promise.all(shipments.map(statusOf))), new Set(["delivered"]));
  });

  it("that are not with the carrier are not its matter", async () => {
    await world.create();
    await world.create({}, false);
    await world.openBooking().cancel(request({ orderId: newId(), locationId: "BER-1" }, "cancel"));
    await age(30 * day);
    assert.equal((await lookAtAll()).size, 0);
  });

  it("are asked about by a call: all that are silent, or those of one order now", async () => {
    // A booking that is answered as pending is told of besides.
    const answered = { CARRIER_ANSWER_MS: "30000" };
    const settings = { PACKING_MS: "1", CARRIER_TRANSIT_MS: "40", BACKLOG_EVERY_MS: "10", ...answered };
    await using process = await startProcess(world, settings);
    const create = async () => {
      const { shipment } = await process.shipping.createShipment(
        createRequest({ reported: true, address: at("SIM-UNREPORTED") }),
      );
      assert.ok(shipment);
      const { shipmentId, orderId, locationId } = shipment;
      const ready = async () =>
        (await process.shipping.getShipment({ shipmentId })).shipment?.status === ShipmentStatus.READY;
      await until(ready, "it is packed");
      const requests = [{ requestId: `${orderId}:ship`, orderId, locationId }];
      await process.fulfillment.batchBookShipments({ requests });
      const delivered =
        "select book_time + transit_ms * interval '1 millisecond' < now() as over from carrier_parcel where key = $1";
      const over = () => world.outside.database.query<{ over: boolean }>(delivered, [shipmentId]);
      await until(async () => (await over())[0]?.over, "it has arrived");
      return { shipmentId, orderId };
    };
    const news = (orderId: string) =>
      process.news.filter((each) => each.orderId === orderId).map((each) => ShipmentNews[each.news]);
    const [one, other] = [await create(), await create()];

    const none = await process.shipping.trackShipments({});
    assert.deepEqual([none.shipments, none.nextPageToken], [[], ""]);
    const { shipments } = await process.shipping.trackShipments({ orderId: one.orderId });
    assert.deepEqual(
      shipments.map(({ shipmentId, orderId, outcome }) => [shipmentId, orderId, outcome]),
      [[one.shipmentId, one.orderId, TrackingOutcome.ENDED]],
    );
    await until(() => news(one.orderId).includes("DELIVERED"), "orders hears of it in the ordinary way");
    // That it was packed is not told any more when it was booked before that.
    assert.ok(!news(other.orderId).includes("DELIVERED"), "nobody asked about the other one");

    await age(3 * day, "update shipment_look set look_time = now() - interval '3 days'");
    const lookAge = async () => Number((await metric(process.registry, "shipping_look_age_seconds"))[0]?.value);
    await until(async () => (await lookAge()) > 2 * 86_400, "it is seen that nobody looked");
    const all = await process.shipping.trackShipments({ pageSize: 200 });
    assert.deepEqual(
      all.shipments.map(({ orderId, outcome }) => [orderId, outcome]),
      [[other.orderId, TrackingOutcome.ENDED]],
    );
    await until(() => news(other.orderId).includes("DELIVERED"), "orders hears of that one");
    await until(async () => (await lookAge()) < 60, "it is seen that somebody did");
    const looks = await metric(process.registry, "shipping_looks_total");
    assert.equal(looks.find(({ labels }) => labels.outcome === "ended")?.value, 2);
    await assert.rejects(process.shipping.trackShipments({ orderId: "nobody" }), /order_id/);
  });
});

describe("a warehouse that puts off a shipment for ever", () => {
  it("is asked again within a day", async () => {
    await using world = await World.open();
    const shipments = await Promise.all([1, 2].map(() => world.create({}, false)));
    const answers = [Number.POSITIVE_INFINITY, Number.NaN];
    const warehouse = {
      pack: async () => answers.map((askAgainMs) => ({ kind: "packing", askAgainMs }) as const),
    };
    const { logger: log } = keptLog("shipping");
    await new Packing({ repository: world.packing, warehouse, log, timeoutMs: 10_000 }).sweep(never);
    const rows = await world.test.database.query<{ soon: boolean | null }>(
      "select due_time <= now() + interval '1 day' as soon from shipment",
    );
    assert.deepEqual(
      rows,
      shipments.map(() => ({ soon: true })),
    );
  });
});

/** A carrier whose methods can be taken apart. */
function bound(carrier: Carrier): Carrier {
  return {
    book: (order, signal) => carrier.book(order, signal),
    find: (key, signal) => carrier.find(key, signal),
    cancel: (key, signal) => carrier.cancel(key, signal),
    track: (key, signal) => carrier.track(key, signal),
  };
}

type Registry = Awaited<ReturnType<typeof startProcess>>["registry"];

async function metric(registry: Registry, name: string) {
  return (await registry.getSingleMetric(name)?.get())?.values ?? [];
}
