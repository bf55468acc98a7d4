import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import pg from "pg";
import {
  OrderEpisodeService,
  type ReportShipmentOutcomeSchema,
  type ReportShipmentRequest,
  ShipmentNews,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { decodeId } from "#platform/id.ts";
import { plainPersonalData } from "#platform/personal/personal-data.ts";
import { keptLog } from "#testing/logger.ts";
import { Life } from "#testing/mortal.ts";
import { toNewShipment, toProto } from "../src/api/shipment-proto.ts";
import type { Carrier } from "../src/booking/carrier.ts";
import { OrderReportRepository } from "../src/report/order-report.repository.ts";
import { OrderReport } from "../src/report/order-report.ts";
import type { Shipment, TrackingKind } from "../src/shipment/shipment.ts";
import { at, type Change, createRequest, event } from "./examples.ts";
import { request, World } from "./world.ts";

const forever = new AbortController().signal;

/** What the service answers for a report: nothing, a refusal's reason, or an error for the whole batch. */
type Answer = (report: ReportShipmentRequest) => string | ConnectError | undefined;

/** An orders service that answers what the test says. */
class Orders {
  readonly heard: ReportShipmentRequest[] = [];
  calls = 0;
  answer: Answer = () => undefined;

  readonly client = createClient(
    OrderEpisodeService,
    createRouterTransport(({ service }) =>
      service(OrderEpisodeService, {
        batchReportShipments: ({ requests }) => {
          this.calls += 1;
          const answers = requests.map((each) => this.answer(each));
          const error = answers.find((each) => each instanceof ConnectError);
          if (error) throw error;
          this.heard.push(...requests);
          return { outcomes: answers.map(toOutcome) };
        },
      }),
    ),
  );

  /** What was heard about a shipment. */
  about({ orderId }: Shipment): string[] {
    return this.heard.filter((report) => report.orderId === orderId).map(({ news }) => ShipmentNews[news]);
  }
}

function toOutcome(reason: string | ConnectError | undefined): MessageInitShape<typeof ReportShipmentOutcomeSchema> {
  if (typeof reason !== "string") return { outcome: { case: "response", value: {} } };
  return { outcome: { case: "failure", value: { code: Code.NotFound, domain: "orders.shop", reason } } };
}

describe("telling orders what becomes of shipments", () => {
  let world: World;
  let orders: Orders;
  before(async () => {
    world = await World.open();
    orders = new Orders();
  });
  after(() => world[Symbol.asyncDispose]());

  const log = keptLog("shipping");
  const outcomes: string[] = [];
  const open = (life = new Life(Number.POSITIVE_INFINITY)) =>
    new OrderReport({
      repository: life.share(new OrderReportRepository(world.test.database)),
      orders: life.share(orders.client),
      log: log.logger,
      timeoutMs: 10_000,
      onOutcome: (news, outcome) => outcomes.push(`${news} ${outcome}`),
    });
  const report = ({ trackingNumber }: Shipment, kind: TrackingKind, when: number) =>
    world.tracking.record([{ trackingNumber, event: event(kind, when) }]);
  /** Leases and pauses are over; what is due is told. */
  const tell = async () => {
    await world.expireLeases();
    for (let count = 1; count > 0; ) count = await open().sweep(forever);
  };
  const create = (change: Change = {}, packed = true) => world.create({ reported: true, ...change }, packed);
  const book = async (shipment: Shipment) => {
    await world.openBooking().book(request(shipment, "ship"));
    return world.look(shipment.shipmentId);
  };
  /** As if a caller had been answered that the carrier has not decided. */
  const bookLater = async (shipment: Shipment) => {
    await world.bookings.book([request(shipment, "ship")]);
    assert.deepEqual(await world.bookings.markAwaited([shipment.shipmentId]), [true]);
    await world.expireLeases();
    const booking = world.openBooking();
    await booking.sweep();
    await booking.settled();
    return world.look(shipment.shipmentId);
  };

  it("tells that it is packed, and that it arrived, each once, many with a call", async () => {
    const shipments = [await create(), await create(), await create()];
    const silent = await world.create({ sagaId: "saga" });
    const calls = orders.calls;
    assert.equal(await open().sweep(forever), 3);
    assert.equal(await open().sweep(forever), 0);
    assert.equal(orders.calls, calls + 1);
    for (const each of shipments) await report(await book(each), "delivered", 5);
    await report(await book(silent), "delivered", 5);
    await tell();
    for (const each of shipments) assert.deepEqual(orders.about(each), ["PACKED", "DELIVERED"]);
    assert.deepEqual(orders.about(silent), []);
    const delivered = orders.heard.find((each) => each.news === ShipmentNews.DELIVERED);
    const { trackingNumber } = await world.look(shipments[0]?.shipmentId ?? "");
    assert.equal(delivered?.trackingNumber, trackingNumber);
  });

  it("tells of what a process of the version before created, which drops the wish, unless it has a saga", async () => {
    const before = [await world.create({ reported: true }), await world.create({ sagaId: "saga" })] as const;
    const owner = new pg.Client({ connectionString: world.test.ownerUrl });
    await owner.connect();
    const ids = before.map(({ orderId }) => decodeId(orderId));
    await owner.query("update shipment set reported = null where order_id = any($1)", [ids]);
    await owner.end();
    await tell();
    assert.deepEqual(
      before.map((each) => orders.about(each)),
      [["PACKED"], []],
    );
    assert.deepEqual(await Promise.all(before.map(async ({ shipmentId }) => (await world.look(shipmentId)).reported)), [
      true,
      false,
    ]);
  });

  it("takes a request for the same one that a process of the version before has seen", () => {
    const request = createRequest({ reported: true });
    const { fingerprint } = toNewShipment(request);
    assert.deepEqual(fingerprint, toNewShipment({ ...request, reported: false }).fingerprint);
  });

  const unpacked = async () => {
    const shipment = await create({}, false);
    const state = { kind: "failed", code: "too large", message: "no box" } as const;
    await world.packing.settle([{ shipment, state }]);
    return shipment;
  };
  const calledOff = async () => {
    const shipment = await create();
    await world.bookings.book([request(shipment, "ship")]);
    await world.bookings.cancel([request(shipment, "cancel")]);
    await world.bookings.markAwaited([shipment.shipmentId]);
    await world.expireLeases();
    const booking = world.openBooking();
    await booking.sweep();
    await booking.settled();
    return shipment;
  };
  const ends = async (kind: TrackingKind) => {
    const shipment = await book(await create());
    await report(shipment, kind, 5);
    return shipment;
  };
  const stories: [string, () => Promise<Shipment>, heard: string[]][] = [
    ["cannot be packed", unpacked, ["PACKING_FAILED"]],
    ["is booked while the caller waits", async () => book(await create()), []],
    ["is booked after the caller was answered", async () => bookLater(await create()), ["BOOKED"]],
    ["is refused while the caller waits", async () => book(await create({ address: at("SIM-REFUSE") })), []],
    ["is refused later", async () => bookLater(await create({ address: at("SIM-REFUSE") })), ["BOOKING_REFUSED"]],
    ["is called off later", calledOff, ["CANCELLED"]],
    ["is lost", () => ends("lost"), ["LOST"]],
  ];
  for (const [what, story, heard] of stories) {
    it(`tells of a parcel that ${what}: ${heard.join() || "nothing"}`, async () => {
      const shipment = await story();
      await tell();
      assert.deepEqual(orders.about(shipment), heard);
      const told = orders.heard.findLast((each) => each.orderId === shipment.orderId);
      if (heard[0] === "PACKING_FAILED") assert.equal(told?.reason, "TOO_LARGE");
      if (heard[0] === "BOOKING_REFUSED") assert.equal(told?.reason, "ADDRESS_NOT_SERVED");
    });
  }

  it("says nothing to whoever called it off at once", async () => {
    const shipment = await create();
    await tell();
    await world.openBooking().cancel(request(shipment, "cancel"));
    await tell();
    assert.deepEqual(orders.about(shipment), ["PACKED"]);
  });

  it("tells the news of one shipment in its order, however late", async () => {
    const shipment = await bookLater(await create());
    await report(shipment, "delivered", 5);
    await tell();
    assert.deepEqual(orders.about(shipment), ["BOOKED", "DELIVERED"]);
  });

  it("tells at once what happens while the news before it is being told", async () => {
    const shipment = await create();
    const repository = new OrderReportRepository(world.test.database);
    const claimed = await repository.claimDue(60_000, 10);
    const shipped = await book(shipment);
    await report(shipped, "delivered", 5);
    await repository.close(claimed.map((each) => ({ shipment: each, refusal: "" })));
    assert.equal(await open().sweep(forever), 1);
    assert.deepEqual(orders.about(shipment), ["DELIVERED"]);
  });

  it("tells again after a pause while orders is away, and when it is there again, it is told", async () => {
    const shipment = await create();
    for (const code of [Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted, Code.Unimplemented]) {
      orders.answer = () => new ConnectError("away", code);
      await assert.rejects(open().sweep(forever), { code });
      assert.equal(await open().sweep(forever), 0);
      await world.expireLeases();
    }
    orders.answer = () => undefined;
    assert.equal(await open().sweep(forever), 1);
    assert.deepEqual(orders.about(shipment), ["PACKED"]);
  });

  it("asks less and less often, up to a bound", async () => {
    const shipment = await create();
    const pause = async () => {
      const [row] = await world.test.database.query<{ ms: number }>(
        "select (extract(epoch from news_due_time - clock_timestamp()) * 1000)::float8 as ms from shipment where order_id = $1",
        [decodeId(shipment.orderId)],
      );
      return row?.ms ?? 0;
    };
    orders.answer = () => new ConnectError("away", Code.Unavailable);
    const pauses: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      await world.expireLeases();
      await assert.rejects(open().sweep(forever));
      pauses.push(await pause());
    }
    orders.answer = () => undefined;
    await tell();
    assert.ok((pauses[0] ?? 0) <= 375, String(pauses));
    assert.ok((pauses[9] ?? 0) > 4_000 && Math.max(...pauses) <= 15_000, String(pauses));
  });

  it("puts aside what orders refuses, says so, and goes on with what comes after it", async () => {
    const [known, unknown] = [await create(), await create()];
    orders.answer = ({ orderId }) => (orderId === unknown.orderId ? "ORDER_NOT_FOUND" : undefined);
    outcomes.length = 0;
    assert.equal(await open().sweep(forever), 2);
    assert.deepEqual(outcomes.toSorted(), ["packed refused", "packed told"]);
    await tell();
    assert.deepEqual(
      [known, unknown].map((each) => orders.about(each)),
      [["PACKED"], ["PACKED"]],
    );
    assert.match(log.text(), /put aside.*ORDER_NOT_FOUND|ORDER_NOT_FOUND.*put aside/s);
    const rows = await world.test.database.query("select from shipment where news_refusal = 'ORDER_NOT_FOUND'");
    assert.equal(rows.length, 1);
    orders.answer = () => undefined;
  });

  for (const [code, becomes] of [
    [Code.InvalidArgument, "refused"],
    [Code.Internal, "failed"],
  ] as const) {
    it(`finds the one report for which orders fails with ${Code[code]}: that one is ${becomes}, the others are told`, async () => {
      const shipments = await Promise.all(Array.from({ length: 33 }, () => create()));
      const poison = shipments[20] as Shipment;
      orders.answer = ({ orderId }) => (orderId === poison.orderId ? new ConnectError("no", code) : undefined);
      outcomes.length = 0;
      const calls = orders.calls;
      await open().sweep(forever);
      assert.ok(orders.calls - calls <= 2 * Math.ceil(Math.log2(33)) + 1);
      assert.equal(outcomes.filter((each) => each === "packed told").length, 32);
      assert.deepEqual(
        outcomes.filter((each) => each !== "packed told"),
        [`packed ${becomes}`],
      );
      orders.answer = () => undefined;
      await tell();
      assert.deepEqual(orders.about(poison), becomes === "failed" ? ["PACKED"] : []);
    });
  }

  it("survives being killed between any two steps", async () => {
    for (let last = 0; ; last += 1) {
      const shipment = await ends("delivered");
      const life = new Life(last);
      await life.through(open(life).sweep(forever));
      await tell();
      const heard = orders.about(shipment);
      assert.ok(heard.length >= 1 && heard.every((news) => news === "DELIVERED"), `killed at step ${last}: ${heard}`);
      if (!life.over) break;
    }
  });

  it("gives a piece of news to one of many replicas", async () => {
    const shipments = await Promise.all(Array.from({ length: 9 }, () => create()));
    await Promise.all([1, 2, 3].map(() => open().sweep(forever)));
    for (const shipment of shipments) assert.deepEqual(orders.about(shipment), ["PACKED"]);
  });

  it("tells the last word how it ended, shows no other, and sticks to it once it began to tell", async () => {
    const shipment = await ends("lost");
    const shown = async () =>
      ShipmentStatus[(await toProto(plainPersonalData, await world.look(shipment.shipmentId))).status];
    const looks = [await shown()];
    await report(shipment, "delivered", 6);
    looks.push(await shown());
    await tell();
    looks.push(await shown());
    await report(shipment, "lost", 7);
    await tell();
    looks.push(await shown());
    assert.deepEqual(looks, ["SHIPPED", "SHIPPED", "DELIVERED", "DELIVERED"]);
    assert.deepEqual(orders.about(shipment), ["DELIVERED"]);
  });

  it("is measured by how long the oldest has waited", async () => {
    const repository = new OrderReportRepository(world.test.database);
    assert.equal(await repository.backlog(), 0);
    await create();
    await world.test.database.query("update shipment set update_time = now() - interval '1 hour' where told_news = ''");
    const seconds = await repository.backlog();
    assert.ok(seconds >= 3_600 && seconds < 3_660, String(seconds));
    await tell();
    assert.equal(await repository.backlog(), 0);
  });

  it("tells of what a pod of the version before packed, that knows nothing of news", async () => {
    const shipment = await create({}, false);
    const pack = "update shipment set status = 'ready', due_time = null where shipment_id = $1";
    await world.test.database.query(pack, [decodeId(shipment.shipmentId)]);
    await tell();
    assert.deepEqual(orders.about(shipment), ["PACKED"]);
  });

  it("waits for news only of what is undecided", async () => {
    const gate = Promise.withResolvers<void>();
    const [slow, quick] = [await create(), await create()];
    const carrier: Carrier = {
      find: (key, signal) => world.carrier.find(key, signal),
      cancel: (key, signal) => world.carrier.cancel(key, signal),
      track: (key, signal) => world.carrier.track(key, signal),
      async book(order, signal) {
        if (order.key === slow.shipmentId) await gate.promise;
        return world.carrier.book(order, signal);
      },
    };
    let nudges = 0;
    const onNews = () => (nudges += 1);
    const booking = world.openBooking({ carrier, answerMs: 20, onNews });
    await booking.book(request(slow, "ship"));
    await world.openBooking({ onNews }).book(request(quick, "ship"));
    const ids = [slow.shipmentId, quick.shipmentId];
    assert.deepEqual(await Promise.all(ids.map((id) => booking.awaitNews(id))), [true, false]);
    gate.resolve();
    await booking.settled();
    assert.equal(nudges, 1);
    await tell();
    assert.deepEqual(
      [slow, quick].map((each) => orders.about(each)),
      [["BOOKED"], []],
    );
  });
});
