import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { keptLog } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import type { BookingState, Carrier } from "../src/booking/carrier.ts";
import { isTombstone, type Shipment } from "../src/shipment/shipment.ts";
import { at } from "./examples.ts";
import { request, shortTimeoutMs, World } from "./world.ts";

describe("booking with the simulated carrier", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  it("ships what is ready, once, however often it is asked", async () => {
    const shipment = await world.create();
    const booking = world.openBooking();
    const all = await Promise.all([1, 2, 3].map(() => booking.book(request(shipment, "ship"))));
    assert.deepEqual(new Set(all), new Set([shipment.shipmentId]));
    const shipped = await world.look(shipment.shipmentId);
    assert.partialDeepStrictEqual(shipped, { status: "shipped", carrier: "simulator" });
    assert.equal((await parcelOf(shipment))?.tracking_number, shipped.trackingNumber);
    assert.equal((await parcelOf(shipment))?.calls, 1);
  });

  it("books a batch together, in few statements, each with its own outcome", async () => {
    const shipments = await Promise.all(
      ["", "SIM-REFUSE", "SIM-TIMEOUT", "SIM-ERROR", ""].map((code) => world.create({ address: at(code) })),
    );
    const booking = world.openBooking({ timeoutMs: shortTimeoutMs });
    await Promise.all(shipments.map((shipment) => booking.book(request(shipment, "ship"))));
    await decide(shipments);
    const statuses = (await Promise.all(shipments.map(({ shipmentId }) => world.look(shipmentId)))).map(
      (s) => s.status,
    );
    assert.deepEqual(statuses, ["shipped", "failed", "shipped", "shipped", "shipped"]);
  });

  it("says why the carrier refuses, also for a location that it does not serve", async () => {
    const address = await world.create({ address: at("SIM-REFUSE") });
    const location = await world.create({ locationId: "NOWHERE" });
    await Promise.all([address, location].map((each) => world.openBooking().book(request(each, "ship"))));
    const failures = await Promise.all(
      [address, location].map(async (each) => (await world.look(each.shipmentId)).failure),
    );
    assert.deepEqual(
      failures.map((failure) => [failure?.by, failure?.code]),
      [
        ["carrier", "ADDRESS_NOT_SERVED"],
        ["carrier", "LOCATION_NOT_SERVED"],
      ],
    );
    await assert.rejects(world.openBooking().book(request(address, "again")), { reasonName: "CARRIER_REFUSED" });
  });

  it("asks for an answer that was lost instead of booking again", async () => {
    const shipment = await world.create({ address: at("SIM-TIMEOUT") });
    await world.openBooking({ timeoutMs: shortTimeoutMs }).book(request(shipment, "ship"));
    const shipped = await world.look(shipment.shipmentId);
    assert.equal(shipped.trackingNumber, (await parcelOf(shipment))?.tracking_number);
    assert.equal((await parcelOf(shipment))?.calls, 1);
  });

  it("books again only what the carrier says it never saw", async () => {
    const shipment = await world.create({ address: at("SIM-ERROR") });
    const booking = world.openBooking();
    await booking.book(request(shipment, "ship"));
    assert.equal((await world.look(shipment.shipmentId)).status, "booking");
    assert.equal((await parcelOf(shipment))?.state, "unknown");
    await world.expireLeases();
    await booking.sweep();
    await booking.settled();
    assert.equal((await world.look(shipment.shipmentId)).status, "shipped");
    assert.equal((await parcelOf(shipment))?.calls, 2);
  });

  /** The simulated carrier, which writes `number` where the tracking number belongs. */
  const numbering = (number: () => string): Carrier => {
    const { carrier } = world;
    const renumbered = async (answer: Promise<BookingState>): Promise<BookingState> => {
      const state = await answer;
      return state.kind === "booked" ? { ...state, trackingNumber: number() } : state;
    };
    return {
      book: (order, signal) => renumbered(carrier.book(order, signal)),
      find: (key, signal) => renumbered(carrier.find(key, signal)),
      cancel: (key, signal) => renumbered(carrier.cancel(key, signal)),
      track: (key, signal) => carrier.track(key, signal),
    };
  };

  for (const number of ["", "T\u0000", "\ud800", "T".repeat(129), "line\nline"]) {
    it(`calls off what the carrier books under ${JSON.stringify(number.slice(0, 9))}, which is no number`, async () => {
      const shipment = await world.create();
      await world.openBooking({ carrier: numbering(() => number) }).book(request(shipment, "ship"));
      const { status, failure } = await world.look(shipment.shipmentId);
      assert.deepEqual([status, failure?.code], ["failed", "TRACKING_NUMBER_UNUSABLE"]);
      assert.equal((await parcelOf(shipment))?.state, "cancelled");
    });
  }

  it("takes a tracking number once, whether it comes again later or in the same batch, and goes on with the others", async () => {
    const first = await world.ship();
    const { logger, text } = keptLog("shipping");
    let count = 0;
    const numbers = [first.trackingNumber, "TWICE", "TWICE", "ONCE"];
    const carrier = numbering(() => numbers[count++ % numbers.length] ?? "");
    const shipments = await Promise.all(numbers.map(() => world.create()));
    const booking = world.openBooking({ carrier, log: logger });
    await Promise.all(shipments.map((each) => booking.book(request(each, "ship"))));
    const seen = await Promise.all(shipments.map(({ shipmentId }) => world.look(shipmentId)));
    assert.deepEqual(seen.map(({ status }) => status).toSorted(), ["failed", "failed", "shipped", "shipped"]);
    const failures = seen.flatMap(({ failure }) => (failure ? [failure.code] : []));
    assert.deepEqual(failures, ["TRACKING_NUMBER_UNUSABLE", "TRACKING_NUMBER_UNUSABLE"]);
    assert.match(text(), /tracking number cannot be used/);
    assert.equal(await booking.sweep(), 0);
  });

  it("takes a number once also when two processes book at the same time", async () => {
    const shipments = await Promise.all(Array.from({ length: 8 }, () => world.create()));
    const carrier = numbering(() => "RACE");
    await Promise.all(shipments.map((each) => world.openBooking({ carrier }).book(request(each, "ship"))));
    for (let round = 0; round < 5; round += 1) {
      await world.expireLeases();
      const booking = world.openBooking({ carrier });
      await booking.sweep();
      await booking.settled();
    }
    const seen = await Promise.all(shipments.map(({ shipmentId }) => world.look(shipmentId)));
    assert.deepEqual(seen.map(({ status }) => status).toSorted(), [
      ...Array.from({ length: 7 }, () => "failed"),
      "shipped",
    ]);
  });

  it("lets a parcel go under the shipment's own id when the carrier does not give it back", async () => {
    const shipment = await world.create();
    const keeping = numbering(() => "T\u0000");
    const carrier = { ...keeping, cancel: keeping.find };
    const { logger, text } = keptLog("shipping");
    await world.openBooking({ carrier, log: logger }).book(request(shipment, "ship"));
    const { status, trackingNumber } = await world.look(shipment.shipmentId);
    assert.deepEqual([status, trackingNumber], ["shipped", shipment.shipmentId]);
    assert.match(text(), /under no tracking number/);
  });

  it("keeps what can be kept of a refusal, whatever the carrier writes", async () => {
    const shipment = await world.create();
    const refuse = async (): Promise<BookingState> => ({
      kind: "refused",
      code: `BAD\u0000${"X".repeat(200)}`,
      message: `\ud800${"no ".repeat(1_000)}`,
    });
    const carrier: Carrier = {
      book: refuse,
      find: refuse,
      cancel: refuse,
      track: async () => undefined,
    };
    await world.openBooking({ carrier }).book(request(shipment, "ship"));
    const { status, failure } = await world.look(shipment.shipmentId);
    assert.deepEqual([status, failure?.code.slice(0, 5), failure?.code.length], ["failed", "BAD?X", 64]);
    assert.equal(failure?.reason.length, 500);
  });

  it("answers a booking that is done with its number, however it is asked", async () => {
    const shipment = await world.ship();
    for (const step of ["ship", "ship again"]) {
      assert.equal(await world.openBooking().book(request(shipment, step)), shipment.shipmentId);
    }
    assert.equal((await world.look(shipment.shipmentId)).trackingNumber, shipment.trackingNumber);
    assert.equal((await parcelOf(shipment))?.calls, 1);
  });

  it("is pending while the carrier is slow, and goes on by itself", async () => {
    const gate = Promise.withResolvers<void>();
    const carrier = slowed(world.carrier, gate.promise);
    const [slow, quick] = await Promise.all([world.create({ locationId: "SLOW" }), world.create()]);
    const booking = world.openBooking({ carrier, timeoutMs: 60_000, answerMs: 20 });
    await Promise.all([slow, quick].map((each) => booking.book(request(each, "ship"))));
    assert.equal((await world.look(slow.shipmentId)).status, "booking");
    await until(async () => (await world.look(quick.shipmentId)).status === "shipped", "the quick one ships");
    await booking.book(request(slow, "ship"));
    assert.equal((await world.look(slow.shipmentId)).status, "booking");
    gate.resolve();
    await booking.drain();
    assert.equal((await world.look(slow.shipmentId)).status, "shipped");
  });

  it("is answered as it stands when the others of its batch have waited long enough", async () => {
    const gate = Promise.withResolvers<void>();
    const slow = await world.create({ locationId: "SLOW" });
    const booking = world.openBooking({ carrier: slowed(world.carrier, gate.promise), timeoutMs: 60_000 });
    const enough = new AbortController();
    const answered = booking.book(request(slow, "ship"), {}, enough.signal);
    enough.abort();
    await answered;
    assert.equal((await world.look(slow.shipmentId)).status, "booking");
    gate.resolve();
    await booking.drain();
  });

  it("asks the carrier about so many at a time, and the sweep takes the others", async () => {
    const gate = Promise.withResolvers<void>();
    const shipments = await Promise.all(Array.from({ length: 6 }, () => world.create({ locationId: "SLOW" })));
    let asked = 0;
    const patient = slowed(world.carrier, gate.promise);
    const book: Carrier["book"] = (booking, signal) => {
      asked += 1;
      return patient.book(booking, signal);
    };
    const carrier = { ...patient, book };
    const booking = world.openBooking({ carrier, timeoutMs: 60_000, answerMs: 20, maxRunning: 2 });
    await Promise.all(shipments.map((each) => booking.book(request(each, "ship"))));
    assert.equal(asked, 2);
    gate.resolve();
    await booking.settled();
    await decide(shipments);
    const seen = await Promise.all(shipments.map(({ shipmentId }) => world.look(shipmentId)));
    assert.deepEqual(new Set(seen.map(({ status }) => status)), new Set(["shipped"]));
  });

  it("leaves alone what another process is asking about", async () => {
    const gate = Promise.withResolvers<void>();
    const shipment = await world.create({ locationId: "SLOW" });
    const one = world.openBooking({ carrier: slowed(world.carrier, gate.promise), timeoutMs: 60_000, answerMs: 20 });
    await one.book(request(shipment, "ship"));
    const other = world.openBooking();
    assert.equal(await other.sweep(), 0);
    await other.book(request(shipment, "another id"));
    assert.equal((await world.look(shipment.shipmentId)).status, "booking");
    gate.resolve();
    await one.drain();
    assert.equal((await parcelOf(shipment))?.calls, 1);
  });

  it("lets many processes sweep without asking twice", async () => {
    const shipments = await Promise.all(Array.from({ length: 20 }, () => world.create()));
    await world.bookings.book(shipments.map((each) => request(each, "ship")));
    await world.expireLeases();
    const processes = Array.from({ length: 4 }, () => world.openBooking());
    const taken = await Promise.all(processes.map((each) => each.sweep()));
    await Promise.all(processes.map((each) => each.settled()));
    assert.equal(
      taken.reduce((sum, count) => sum + count),
      20,
    );
    for (const shipment of shipments) {
      assert.equal((await world.look(shipment.shipmentId)).status, "shipped");
      assert.equal((await parcelOf(shipment))?.calls, 1);
    }
  });

  it("refuses what is not there, not packed or called off", async () => {
    const booking = world.openBooking();
    const unpacked = await world.create({}, false);
    const called = await world.create();
    await booking.cancel(request(called, "cancel"));
    const cases: [{ orderId: string; locationId: string }, string][] = [
      [{ orderId: called.orderId, locationId: "ELSEWHERE" }, "SHIPMENT_NOT_FOUND"],
      [unpacked, "NOT_READY"],
      [called, "SHIPMENT_CANCELLED"],
    ];
    for (const [parcel, reasonName] of cases) {
      await assert.rejects(booking.book(request(parcel, "ship")), { reasonName });
    }
  });

  it("refuses a request id that was used for another shipment of the order", async () => {
    const one = await world.create();
    const other = await world.create({ orderId: one.orderId, locationId: "HAM-1" });
    const booking = world.openBooking();
    await booking.book(request(one, "ship"));
    const reused = { ...request(other, "ship"), requestId: request(one, "ship").requestId };
    await assert.rejects(booking.book(reused), { reasonName: "REQUEST_ID_REUSED" });
    assert.equal((await world.look(other.shipmentId)).status, "ready");
  });

  it("calls off what the carrier has not heard of, without asking it", async () => {
    const booking = world.openBooking();
    for (const packed of [true, false]) {
      const shipment = await world.create({}, packed);
      await booking.cancel(request(shipment, "cancel"));
      await booking.cancel(request(shipment, "cancel"));
      assert.equal((await world.look(shipment.shipmentId)).status, "cancelled");
      assert.equal(await parcelOf(shipment), undefined);
    }
  });

  it("does not call off what the carrier has", async () => {
    const shipment = await world.ship();
    await assert.rejects(world.openBooking().cancel(request(shipment, "cancel")), { reasonName: "ALREADY_SHIPPED" });
    assert.equal((await parcelOf(shipment))?.state, "booked");
  });

  it("leaves a mark where nothing is", async () => {
    const parcel = { orderId: (await world.create()).orderId, locationId: "LATER" };
    const id = await world.openBooking().cancel(request(parcel, "cancel"));
    assert.ok(isTombstone(await world.look(id)));
    assert.equal(await world.openBooking().cancel(request(parcel, "again")), id);
  });

  async function decide(shipments: Shipment[]): Promise<void> {
    const booking = world.openBooking();
    for (let round = 0; round < 5; round += 1) {
      await world.expireLeases();
      if ((await booking.sweep()) === 0) return;
      await booking.settled();
    }
    assert.fail(`not decided: ${shipments.map((shipment) => shipment.shipmentId)}`);
  }

  async function parcelOf(shipment: Shipment) {
    const [row] = await world.outside.database.query<{ state: string; calls: number; tracking_number: string }>(
      "select state, calls, tracking_number from carrier_parcel where key = $1",
      [shipment.shipmentId],
    );
    return row;
  }
});

/** A carrier that answers for the location SLOW only when the gate opens. */
function slowed(carrier: Carrier, gate: Promise<void>): Carrier {
  return {
    find: (key, signal) => carrier.find(key, signal),
    cancel: (key, signal) => carrier.cancel(key, signal),
    track: (key, signal) => carrier.track(key, signal),
    async book(booking, signal) {
      if (booking.locationId === "SLOW") await gate;
      return carrier.book(booking, signal);
    },
  };
}
