import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { TrackingEventKind } from "#gen/shop/shipping/v1/shipment_pb.js";
import { ReportTrackingEventRequestSchema } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { toReport } from "../src/api/shipment-proto.ts";
import type { Shipment, TrackingEvent } from "../src/shipment/shipment.ts";
import { applyEvents, decisiveEvent, isOver, newEvents, withFinalStatus } from "../src/tracking/tracking-events.ts";
import { event, shipmentIn } from "./examples.ts";

const shipped = shipmentIn("shipped");
const journeys: { name: string; events: TrackingEvent[]; ends: string }[] = [
  {
    name: "a delivery",
    events: [event("picked_up", 1), event("in_transit", 2), event("out_for_delivery", 3), event("delivered", 4)],
    ends: "delivered",
  },
  { name: "a loss", events: [event("picked_up", 1), event("in_transit", 2), event("lost", 3)], ends: "lost" },
  { name: "a find", events: [event("picked_up", 1), event("lost", 2), event("delivered", 3)], ends: "delivered" },
  { name: "a mistake", events: [event("delivered", 2), event("lost", 3), event("in_transit", 1)], ends: "lost" },
  { name: "a mistake at once", events: [event("delivered", 2, "a"), event("lost", 2, "b")], ends: "lost" },
  { name: "half a way", events: [event("picked_up", 1), event("in_transit", 2)], ends: "shipped" },
];

describe("the time of a report", () => {
  const first = Date.parse("0001-01-01T00:00:00Z") / 1_000;
  const last = Date.parse("9999-12-31T23:59:59Z") / 1_000;
  const report = (seconds: number) =>
    toReport(
      create(ReportTrackingEventRequestSchema, {
        trackingNumber: "T1",
        event: { eventId: "1", kind: TrackingEventKind.DELIVERED, eventTime: { seconds: BigInt(seconds) } },
      }),
    );

  it("is one that the format knows, or its report is refused before it meets others", () => {
    for (const seconds of [first, 0, last]) assert.equal(report(seconds).event.eventTime.getTime(), seconds * 1_000);
    for (const seconds of [first - 1, last + 1, 1e15, -1e15])
      assert.throws(() => report(seconds), { code: Code.InvalidArgument }, String(seconds));
  });
});

describe("reports in any order, repeated, alone or together", () => {
  for (const { name, events, ends } of journeys) {
    it(`end ${name} as ${ends}`, () => {
      for (const order of permutations(events)) {
        const oneByOne = order.reduce((so: Shipment, each) => applyEvents(so, [each]), shipped);
        const together = applyEvents(shipped, order);
        const repeated = [...order, ...order].reduce((so: Shipment, each) => applyEvents(so, [each, each]), shipped);
        assert.equal(together.status, ends);
        assert.deepEqual(oneByOne, together);
        assert.deepEqual(repeated, together);
        assert.deepEqual(newEvents(together, order), []);
      }
    });
  }
});

it("keeps the first report that came under an id", () => {
  const changed = { ...event("lost", 9), eventId: "delivered-4" };
  const after = applyEvents(applyEvents(shipped, [event("delivered", 4)]), [changed]);
  assert.equal(after.status, "delivered");
  assert.equal(applyEvents(shipped, [event("delivered", 4), changed]).status, "delivered");
  assert.deepEqual(newEvents(shipped, [event("delivered", 4), changed]), [event("delivered", 4)]);
});

it("keeps but does not act on what contradicts what a saga was told", () => {
  const told = { ...applyEvents(shipped, [event("lost", 2)]), told: true };
  const after = applyEvents(told, [event("delivered", 3)]);
  assert.equal(after.status, "lost");
  assert.equal(after.events.length, 2);
});

it("is over when delivered or lost", () => {
  const over = (["preparing", "booking", "shipped", "failed", "cancelled", "delivered", "lost"] as const).filter(
    (status) => isOver(shipmentIn(status)),
  );
  assert.deepEqual(over, ["delivered", "lost"]);
});

function permutations<T>(items: T[]): T[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}

describe("how a shipment is shown", () => {
  const over = applyEvents(shipped, [event("delivered", 2)]);

  it("says how it ended once no report can change that any more", () => {
    assert.equal(withFinalStatus(shipped).status, "shipped");
    assert.equal(withFinalStatus(over).status, "shipped");
    assert.equal(withFinalStatus({ ...over, told: true }).status, "delivered");
    assert.equal(withFinalStatus({ ...over, sagaId: "" }).status, "delivered");
    assert.equal(withFinalStatus(shipmentIn("failed")).status, "failed");
  });

  it("follows from the last report that is an end", () => {
    assert.equal(decisiveEvent(shipped), undefined);
    const corrected = applyEvents(over, [event("lost", 3), event("in_transit", 9)]);
    assert.equal(decisiveEvent(corrected)?.eventId, "lost-3");
  });
});
