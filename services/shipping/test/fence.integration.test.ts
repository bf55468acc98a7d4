// A workflow that was taken for lost may wake: what it asks then is refused, and the parcel stays with whoever has it packed.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { CarrierRequestRepository } from "../src/request/carrier-request.repository.ts";
import { newShipment } from "./examples.ts";
import { request, World } from "./world.ts";

type Kind = "create" | "pack" | "book" | "cancel" | "take-back";

/** What was done before, the last of it in the later episode; what an earlier one asks then; and how the shipment stands when the later one asks for it. */
const cases: { name: string; before: Kind[]; late: Kind; done: string }[] = [
  { name: "create of what was called off before", before: ["cancel"], late: "create", done: "SHIPMENT_CANCELLED" },
  { name: "create of what there is", before: ["create"], late: "create", done: "preparing" },
  { name: "cancel", before: ["create"], late: "cancel", done: "cancelled" },
  { name: "cancel of what is called off", before: ["create", "cancel"], late: "cancel", done: "cancelled" },
  { name: "take back", before: ["create"], late: "take-back", done: "cancelled" },
  { name: "cancel of what is packed", before: ["pack", "create"], late: "cancel", done: "cancelled" },
  { name: "book", before: ["pack", "create"], late: "book", done: "shipped" },
  { name: "book of what the carrier has", before: ["pack", "book"], late: "book", done: "shipped" },
];

describe("what an episode asks that is over", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world?.[Symbol.asyncDispose]());

  interface Given {
    readonly fence: number;
    readonly locationId?: string;
    readonly requestId?: string;
  }

  /** Asks for something; how the shipment stands then, or why not. */
  async function ask(
    orderId: string,
    kind: Kind,
    { fence, locationId = "BER-1", requestId = newId() }: Given,
  ): Promise<string> {
    const parcel = { orderId, locationId, fence };
    try {
      if (kind === "pack") return (await world.create({ ...parcel, requestId })).status;
      if (kind === "create") {
        const [created] = await world.shipments.create([newShipment({ ...parcel, requestId })]);
        if (created instanceof Error) throw created;
        return (await world.look(created?.shipmentId ?? "")).status;
      }
      const asked = { ...request(parcel, kind), requestId, unpackedOnly: kind === "take-back" };
      const booking = world.openBooking();
      return (await world.look(kind === "book" ? await booking.book(asked) : await booking.cancel(asked))).status;
    } catch (error) {
      return (error as { reasonName?: string }).reasonName ?? String(error);
    }
  }
  const fences = async (orderId: string) => {
    const sql = "select fence from shipment where order_id = $1 order by location_id";
    return (await world.test.database.query<{ fence: number }>(sql, [decodeId(orderId)])).map(({ fence }) => fence);
  };
  const everything = async (orderId: string) => [
    await world.test.database.query("select * from shipment where order_id = $1", [decodeId(orderId)]),
    await world.test.database.query("select * from idempotency_key where method like '%' || $1", [orderId]),
    (await readAuditLog(world.test.database)).filter((entry) => entry.orderId === orderId),
  ];
  const prepared = async (steps: Kind[], last: number) => {
    const orderId = newId();
    for (const [index, step] of steps.entries())
      await ask(orderId, step, { fence: index === steps.length - 1 ? last : 1 });
    return orderId;
  };

  for (const { name, before: steps, late, done } of cases) {
    it(`is refused and changes nothing, and is done for the later one: ${name}`, async () => {
      const orderId = await prepared(steps, 5);
      const standing = await everything(orderId);
      assert.equal(await ask(orderId, late, { fence: 4 }), "EPISODE_OVER");
      assert.deepEqual(await everything(orderId), standing);
      assert.equal(await ask(orderId, late, { fence: 5 }), done);
    });

    it(`is done for an episode after it, and for whoever says none: ${name}`, async () => {
      const [later, none] = [await prepared(steps, 5), await prepared(steps, 5)];
      assert.equal(await ask(later, late, { fence: 6 }), done);
      assert.equal(await ask(none, late, { fence: 0 }), done);
      assert.deepEqual([await fences(later), await fences(none)], [[6], [5]]);
    });
  }

  it("is refused also when the later one was answered with what this one had done", async () => {
    const orderId = newId();
    const requestId = `${orderId}:prepare`;
    for (const fence of [1, 2]) assert.equal(await ask(orderId, "create", { fence, requestId }), "preparing");
    assert.deepEqual(await fences(orderId), [2]);
    for (const kind of ["cancel", "take-back"] as const)
      assert.equal(await ask(orderId, kind, { fence: 1 }), "EPISODE_OVER");
    assert.equal(await ask(orderId, "create", { fence: 1, requestId }), "EPISODE_OVER", "its own repetition");
    assert.equal(await ask(orderId, "cancel", { fence: 2, requestId: `${orderId}:cancel` }), "cancelled");
    assert.equal(await ask(orderId, "cancel", { fence: 3, requestId: `${orderId}:cancel` }), "cancelled");
    assert.deepEqual(await fences(orderId), [3]);
  });

  it("is refused also of another parcel of the order: of one that it has, and of one that it would get", async () => {
    const orderId = newId();
    await ask(orderId, "pack", { fence: 1 });
    await ask(orderId, "create", { fence: 2, locationId: "CGN-1" });
    for (const kind of ["cancel", "book"] as const)
      assert.equal(await ask(orderId, kind, { fence: 1 }), "EPISODE_OVER");
    const standing = await everything(orderId);
    for (const kind of ["create", "cancel"] as const) {
      assert.equal(await ask(orderId, kind, { fence: 1, locationId: "HAM-1" }), "EPISODE_OVER");
    }
    assert.deepEqual(await everything(orderId), standing, "nor does it leave a mark");
    assert.equal(await ask(orderId, "create", { fence: 2, locationId: "HAM-1" }), "preparing");
    assert.equal(await ask(orderId, "book", { fence: 2 }), "shipped");
    assert.deepEqual(await fences(orderId), [2, 2, 2]);
  });

  it("is refused also when a parcel is to be turned back, however often that is asked", async () => {
    const requests = new CarrierRequestRepository(world.test.database, 60_000);
    const orderId = newId();
    const turnBack = async (fence: number, requestId: string) => {
      const [outcome] = await requests.turnBack([
        { ...request({ orderId, locationId: "BER-1", fence }, "turn-back"), requestId },
      ]);
      return outcome instanceof Error ? (outcome as { reasonName?: string }).reasonName : "asked";
    };
    const asks = () =>
      world.test.database.query(
        "select from carrier_request r join shipment s using (shipment_id) where s.order_id = $1",
        [decodeId(orderId)],
      );
    await ask(orderId, "pack", { fence: 1 });
    await ask(orderId, "book", { fence: 3 });
    assert.equal(await turnBack(2, "late"), "EPISODE_OVER");
    assert.equal((await asks()).length, 0);
    assert.equal(await turnBack(4, "wanted"), "asked");
    assert.deepEqual(await fences(orderId), [4]);
    assert.equal(await turnBack(5, "wanted"), "asked");
    assert.deepEqual(await fences(orderId), [5]);
    assert.equal(await turnBack(4, "wanted"), "EPISODE_OVER");
    assert.equal(await turnBack(0, "by hand"), "asked");
    assert.equal((await asks()).length, 1);
  });

  it("is not taken back by what warehouse and carrier say later", async () => {
    const orderId = newId();
    await ask(orderId, "create", { fence: 1 });
    const [stale] = await world.shipments.list({ orderId, limit: 1 });
    assert.ok(stale);
    await ask(orderId, "create", { fence: 3 });
    await world.packing.settle([{ shipment: stale, state: { kind: "packed" } }]);
    assert.deepEqual(await fences(orderId), [3]);
    assert.equal(await ask(orderId, "cancel", { fence: 2 }), "EPISODE_OVER");
  });

  it("never calls off what the other one has booked, in whichever order both come", async () => {
    for (let round = 0; round < 20; round += 1) {
      const orderId = newId();
      const requestId = `${orderId}:prepare`;
      await ask(orderId, "pack", { fence: 1, requestId });
      const [late, booked] = await Promise.all([
        ask(orderId, "cancel", { fence: 1 }),
        ask(orderId, "create", { fence: 2, requestId }).then(() => ask(orderId, "book", { fence: 2 })),
      ]);
      if (late === "cancelled") assert.equal(booked, "SHIPMENT_CANCELLED");
      else assert.deepEqual([late, booked], ["EPISODE_OVER", "shipped"]);
    }
  });
});
