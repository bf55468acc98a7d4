import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Registry } from "prom-client";
import { runInContext } from "#platform/context.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { BookingRepository } from "../src/booking/booking.repository.ts";
import { PackingRepository } from "../src/packing/packing.repository.ts";
import { type OnMoved, ShippingMetrics } from "../src/shipment/metrics.ts";
import { ShipmentRepository } from "../src/shipment/shipment.repository.ts";
import type { TrackingKind } from "../src/shipment/shipment.ts";
import { TrackingRepository } from "../src/tracking/tracking.repository.ts";
import { at, event, newShipment } from "./examples.ts";
import { request, World } from "./world.ts";

const effectOfStatus: Readonly<Record<string, string>> = {
  preparing: "created",
  ready: "packed",
  shipped: "booked",
};

describe("the audit log of shipments", () => {
  let world: World;
  before(async () => {
    world = await World.open();
  });
  after(() => world[Symbol.asyncDispose]());

  it("has each effect once, whatever was repeated, refused or raced, and the metrics say the same", async () => {
    const { database } = world.test;
    const registry = new Registry();
    const { moved } = new ShippingMetrics(registry);
    await live(world, [openReplica(world, moved), openReplica(world, moved)]);

    const rows = await database.query<{ id: string; status: string; history: string[]; times: bigint }>(
      `select s.shipment_id as id, s.status, array_agg(a.action order by a.transaction, a.event_id) as history
       from shipment s left join audit_event a on a.order_id = s.order_id group by s.shipment_id, s.status`,
    );
    assert.equal(rows.length, 24);
    for (const { status, history } of rows) {
      assert.equal(history.at(-1), `shipment.${effectOfStatus[status] ?? status}`, `${status}: ${history}`);
      assert.equal(new Set(history).size, history.length, `twice: ${history}`);
    }
    const whole = ["shipment.created", "shipment.packed", "shipment.booked", "shipment.delivered"];
    assert.ok(rows.some(({ history }) => history.join() === whole.join()));
    assert.ok(rows.some(({ history }) => history.join() === "shipment.cancelled"));

    const counts = await database.query<{ action: string; events: bigint }>(
      "select action, count(*) as events from audit_event group by action",
    );
    assert.deepEqual(
      await countedEffects(registry),
      Object.fromEntries(counts.map(({ action, events }) => [action, Number(events)])),
    );
  });

  it("says who asked, and that the service packs and reports by itself", async () => {
    const traceId = "cd".repeat(16);
    const shipment = await runInContext({ actor: "user-7", traceId }, () => world.create());
    await runInContext({ actor: "service:worker" }, () => world.openBooking().book(request(shipment, "ship")));
    const events = (await readAuditLog(world.test.database)).filter(({ orderId }) => orderId === shipment.orderId);
    assert.deepEqual(
      events.map(({ action, actor, requestId, subject, details }) => [action, actor, requestId, subject, details]),
      [
        ["shipment.created", "user-7", `${shipment.orderId}:prepare`, { to: "preparing" }],
        ["shipment.packed", "service:shipping", "", { from: "preparing", to: "ready" }],
        ["shipment.booked", "service:worker", `${shipment.orderId}:ship:BER-1`, { from: "booking", to: "shipped" }],
      ].map(([action, actor, requestId, details]) => [
        action,
        actor,
        requestId,
        shipment.shipmentId,
        { ...(details as object), location: "BER-1" },
      ]),
    );
    assert.equal(events[0]?.traceId, traceId);
  });
});

/** The repositories as one process has them. */
function openReplica(world: World, onMoved: OnMoved) {
  const { database } = world.test;
  const repository = new BookingRepository({ database, leaseMs: 60_000, onMoved });
  return {
    shipments: new ShipmentRepository(database, onMoved),
    packing: new PackingRepository(database, onMoved),
    booking: world.openBooking({ repository }),
    tracking: new TrackingRepository(database, onMoved),
  };
}

type Replica = ReturnType<typeof openReplica>;

/** Takes 24 shipments through all that may happen to them, everything asked twice of each replica at the same time. */
async function live(world: World, replicas: readonly Replica[]): Promise<void> {
  const both = <T>(work: (replica: Replica) => Promise<T>) => Promise.allSettled([...replicas, ...replicas].map(work));
  const inputs = Array.from({ length: 24 }, (_, index) =>
    newShipment({ address: at(index % 8 === 7 ? "SIM-REFUSE" : "ANY"), sagaId: index % 2 === 0 ? "saga" : "" }),
  );
  const late = inputs.slice(22);
  await both(({ booking }) => Promise.allSettled(late.map((each) => booking.cancel(request(each, "cancel")))));
  await both(({ shipments }) => shipments.create(inputs));
  const created = (await world.shipments.list({ limit: 100 })).filter(({ status }) => status === "preparing");
  assert.equal(created.length, 22);
  const called = created.slice(0, 4);
  await Promise.all([
    both(({ packing }) => packing.settle(created.map((shipment) => ({ shipment, state: { kind: "packed" } })))),
    both(({ booking }) => Promise.allSettled(called.map((each) => booking.cancel(request(each, "cancel"))))),
  ]);
  await both(({ booking }) => Promise.allSettled(created.map((each) => booking.book(request(each, "ship")))));
  await Promise.all(replicas.map(({ booking }) => booking.settled()));
  const shipped = (await world.shipments.list({ limit: 100, status: "shipped" })).entries();
  const origin = { actor: "carrier:simulator", requestId: "", traceId: "" };
  for (const [index, { trackingNumber }] of shipped) {
    const kind: TrackingKind = index % 3 === 0 ? "lost" : "delivered";
    await both(({ tracking }) => tracking.record([{ trackingNumber, event: event(kind, 5), origin }]));
  }
}

/** What the metrics say, by the name of the effect. */
async function countedEffects(registry: Registry): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric("shipping_shipments_total")?.get();
  const counted = (metric?.values ?? []).flatMap(({ labels, value }) => {
    const status = String(labels.status).toLowerCase();
    return status === "booking" || value === 0 ? [] : [[`shipment.${effectOfStatus[status] ?? status}`, value]];
  });
  return Object.fromEntries(counted);
}
