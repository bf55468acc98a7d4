import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Life } from "#testing/mortal.ts";
import type { Carrier } from "../src/booking/carrier.ts";
import type { Shipment } from "../src/shipment/shipment.ts";
import { at } from "./examples.ts";
import { request, shortTimeoutMs, World } from "./world.ts";

/** More steps than any of the stories has. */
const mostSteps = 40;

describe("a process that is killed between any two steps", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  for (const code of ["", "SIM-REFUSE", "SIM-ERROR", "SIM-TIMEOUT"]) {
    it(`leaves a booking (${code || "ordinary"}) that the next one finishes`, async () => {
      const ends = code === "SIM-REFUSE" ? "failed" : "shipped";
      for (let last = 0; ; last += 1) {
        assert.ok(last < mostSteps);
        const life = new Life(last);
        const shipment = await world.create({ address: at(code) });
        await life.through(open(life).book(request(shipment, "ship")));
        await recover();
        await outcome(open().book(request(shipment, "ship")));
        await recover();
        const { status } = await consistent(shipment);
        assert.equal(status, ends, `killed at step ${last}`);
        if (!life.over) {
          assert.ok(last >= 6, `only ${last} steps`);
          break;
        }
      }
    });
  }

  for (const code of ["", "SIM-REFUSE", "SIM-ERROR"]) {
    for (const when of ["before", "after"] as const) {
      const story = `a cancellation that comes ${when} the carrier's answer (${code || "ordinary"})`;
      it(`leaves ${story}, which the next one finishes`, async () => {
        for (let last = 0; ; last += 1) {
          assert.ok(last < mostSteps);
          const life = new Life(last);
          const shipment = await world.create({ address: at(code) });
          let stillWanted = true;
          const cancel = async () => {
            await world.bookings.cancel([request(shipment, "cancel")]);
            stillWanted = false;
          };
          const interrupted = cancelling(world.openCarrier(), cancel, when);
          await open(life, interrupted).book(request(shipment, "ship")).catch(String);
          await recover();
          await outcome(open().cancel(request(shipment, "cancel")));
          await recover();
          const { status } = await consistent(shipment);
          const ends = [
            code === "SIM-REFUSE" ? "failed" : "cancelled",
            "cancelled",
            stillWanted ? "shipped" : "cancelled",
          ];
          assert.ok(ends.includes(status), `${status} when killed at step ${last}`);
          if (!life.over) {
            assert.ok(last >= 6, `only ${last} steps`);
            break;
          }
        }
      });
    }
  }

  it("decides a cancellation by what the carrier did before it heard of it", async () => {
    const unheard = await world.create();
    const heard = await world.create();
    const collected = await world.create();
    const refused = await world.create({ address: at("SIM-REFUSE") });
    const all = [unheard, heard, collected, refused];
    await world.bookings.book(all.map((each) => request(each, "ship")));
    for (const each of [collected, refused]) await bookAtCarrier(each);
    world.now += 10_000;
    await bookAtCarrier(heard);
    await world.bookings.cancel(all.map((each) => request(each, "cancel")));
    for (const each of all) assert.equal((await world.look(each.shipmentId)).status, "booking");
    await recover();
    const statuses = await Promise.all(all.map(async (each) => (await consistent(each)).status));
    assert.deepEqual(statuses, ["cancelled", "cancelled", "shipped", "failed"]);
  });

  it("takes back what the carrier books while a cancellation waits", async () => {
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const shipment = await world.create();
    const carrier: Carrier = {
      find: (key, signal) => world.carrier.find(key, signal),
      cancel: (key, signal) => world.carrier.cancel(key, signal),
      track: (key, signal) => world.carrier.track(key, signal),
      async book(booking, signal) {
        asked.resolve();
        await gate.promise;
        return world.carrier.book(booking, signal);
      },
    };
    const booking = world.openBooking({ carrier, answerMs: 20 });
    const booked = booking.book(request(shipment, "ship"));
    await asked.promise;
    await booking.cancel(request(shipment, "cancel"));
    assert.partialDeepStrictEqual(await world.look(shipment.shipmentId), { status: "booking", cancelRequested: true });
    gate.resolve();
    await booked;
    await booking.settled();
    assert.equal((await consistent(shipment)).status, "cancelled");
  });

  it("is not booked any more when its booking arrives after the cancellation", async () => {
    const shipment = await world.create();
    await world.bookings.book([request(shipment, "ship")]);
    await world.bookings.cancel([request(shipment, "cancel")]);
    await recover();
    const late = world.order(shipment, new Date(world.now));
    await assert.rejects(world.carrier.book(late, AbortSignal.timeout(10_000)), /has not passed the parcel on/);
    assert.equal((await consistent(shipment)).status, "cancelled");
  });

  it("is not called off while a booking that nobody answered may still arrive", async () => {
    const shipment = await world.create();
    let expireTime = new Date(0);
    const carrier: Carrier = {
      ...bound(world.carrier),
      book: async (order) => {
        expireTime = order.expireTime;
        throw new Error("the connection broke");
      },
    };
    const booking = world.openBooking({ carrier, timeoutMs: shortTimeoutMs, answerMs: 20 });
    await booking.book(request(shipment, "ship"));
    await booking.cancel(request(shipment, "cancel"));
    await booking.settled();
    assert.equal((await world.look(shipment.shipmentId)).status, "booking");
    assert.ok(Date.now() > expireTime.getTime(), "nobody else could ask before it expired");
    await recover();
    assert.equal((await consistent(shipment)).status, "cancelled");
  });

  it("keeps asking a carrier that is away, less and less often", async () => {
    const shipment = await world.create();
    const away = async () => {
      throw new Error("ECONNREFUSED");
    };
    const booking = world.openBooking({
      carrier: { book: away, find: away, cancel: away, track: away },
      timeoutMs: shortTimeoutMs,
    });
    await booking.book(request(shipment, "ship"));
    const pauses: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const [row] = await world.test.database.query<{ pause: string }>(
        "select extract(epoch from due_time - update_time) as pause from shipment where status = 'booking'",
      );
      pauses.push(Number(row?.pause));
      await world.test.database.query(
        "update shipment set due_time = now(), update_time = now() where status = 'booking'",
      );
      await booking.sweep();
      await booking.settled();
    }
    // Before the first one it was waited until the booking could not arrive any more.
    const [, ...later] = pauses;
    for (const [index, pause] of later.slice(1).entries()) assert.ok(pause > (later[index] ?? 0), `${pauses}`);
    await recover();
    assert.equal((await consistent(shipment)).status, "shipped");
  });

  function open(life?: Life, carrier: Carrier = world.openCarrier()) {
    if (!life) return world.openBooking({ carrier, timeoutMs: shortTimeoutMs });
    const repository = life.share(world.bookings);
    return world.openBooking({ carrier: life.share(carrier), repository, timeoutMs: shortTimeoutMs });
  }

  /** What the next process does: the sweep, until there is nothing to decide. */
  async function recover(): Promise<void> {
    const booking = open();
    for (let round = 0; round < 6; round += 1) {
      await world.expireLeases();
      if ((await booking.sweep()) === 0) return;
      await booking.settled();
    }
    assert.fail("there is still something undecided");
  }

  async function bookAtCarrier(shipment: Shipment): Promise<void> {
    await world.carrier.book(world.order(shipment), AbortSignal.timeout(10_000));
  }

  /** The shipment, after comparing it with what the carrier has. */
  async function consistent({ shipmentId }: Shipment): Promise<Shipment> {
    const shipment = await world.look(shipmentId);
    const parcel = await world.carrier.find(shipmentId, AbortSignal.timeout(10_000));
    const expected: Record<string, string[]> = {
      shipped: ["booked"],
      failed: ["refused"],
      cancelled: ["cancelled", "unknown"],
    };
    assert.ok(expected[shipment.status]?.includes(parcel.kind), `${shipment.status}, but the carrier: ${parcel.kind}`);
    if (parcel.kind === "booked") assert.equal(shipment.trackingNumber, parcel.trackingNumber);
    return shipment;
  }
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

/** A refusal is an outcome too. */
async function outcome(call: Promise<string>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof Error && "reasonName" in error)) throw error;
  });
}

/** A carrier during whose booking somebody calls the shipment off. */
function cancelling(carrier: Carrier, cancel: () => Promise<void>, when: "before" | "after"): Carrier {
  return {
    find: (key, signal) => carrier.find(key, signal),
    cancel: (key, signal) => carrier.cancel(key, signal),
    track: (key, signal) => carrier.track(key, signal),
    async book(booking, signal) {
      if (when === "before") await cancel();
      const answer = await carrier.book(booking, signal);
      if (when === "after") await cancel();
      return answer;
    },
  };
}
