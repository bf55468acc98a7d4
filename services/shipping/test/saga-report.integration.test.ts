import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  SagaCallbackService,
  type ShipmentReport,
  ShipmentResult,
} from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { plainPersonalData } from "#platform/personal/personal-data.ts";
import { Life } from "#testing/mortal.ts";
import { toProto } from "../src/api/shipment-proto.ts";
import { SagaReportRepository } from "../src/report/saga-report.repository.ts";
import { SagaReport } from "../src/report/saga-report.ts";
import type { Shipment, TrackingKind } from "../src/shipment/shipment.ts";
import { event } from "./examples.ts";
import { World } from "./world.ts";

const forever = new AbortController().signal;

/** A worker that takes what `take` says; undefined: it is away. */
class Worker {
  readonly heard: ShipmentReport[] = [];
  take: ((report: ShipmentReport) => boolean) | undefined = () => true;

  readonly client = createClient(
    SagaCallbackService,
    createRouterTransport(({ service }) =>
      service(SagaCallbackService, {
        batchReportShipments: ({ reports }) => {
          const { take } = this;
          if (!take) throw new ConnectError("away", Code.Unavailable);
          this.heard.push(...reports);
          return { taken: reports.map(take) };
        },
      }),
    ),
  );

  /** What was heard about a shipment. */
  about({ orderId }: Shipment): string[] {
    return this.heard.filter((report) => report.orderId === orderId).map(({ result }) => ShipmentResult[result]);
  }
}

describe("telling sagas how shipments ended", () => {
  let world: World;
  let worker: Worker;
  before(async () => {
    world = await World.open();
    worker = new Worker();
  });
  after(() => world[Symbol.asyncDispose]());

  const open = (life = new Life(Number.POSITIVE_INFINITY)) =>
    new SagaReport({
      repository: life.share(new SagaReportRepository(world.test.database)),
      sagas: life.share(worker.client),
      timeoutMs: 10_000,
    });
  const ended = async (kind: TrackingKind, sagaId = "saga") => {
    const shipment = await world.ship({ sagaId });
    await report(shipment, kind, 5);
    return shipment;
  };
  const report = ({ trackingNumber }: Shipment, kind: TrackingKind, when: number) =>
    world.tracking.record([{ trackingNumber, event: event(kind, when) }]);
  const untold = async () => {
    const rows = await world.test.database.query("select from shipment where report_due_time is not null");
    return rows.length;
  };

  it("tells each once, many with a call, and nobody who did not ask", async () => {
    const [delivered, lost, silent] = [await ended("delivered"), await ended("lost"), await ended("delivered", "")];
    await world.ship({ sagaId: "saga" });
    assert.equal(await open().sweep(forever), 2);
    assert.equal(await open().sweep(forever), 0);
    assert.deepEqual(
      [delivered, lost, silent].map((each) => worker.about(each)),
      [["DELIVERED"], ["LOST"], []],
    );
    assert.equal(worker.heard[0]?.sagaId, "saga");
    assert.equal(await untold(), 0);
  });

  it("tells again after a pause when the worker is away, and when it is there again, it is told", async () => {
    const shipment = await ended("delivered");
    worker.take = undefined;
    for (let round = 0; round < 3; round += 1) {
      await assert.rejects(open().sweep(forever), { code: Code.Unavailable });
      assert.equal(await open().sweep(forever), 0);
      await world.expireLeases();
    }
    worker.take = () => true;
    assert.equal(await open().sweep(forever), 1);
    assert.deepEqual(worker.about(shipment), ["DELIVERED"]);
  });

  it("tells again only what was not taken", async () => {
    const shipments = [await ended("delivered"), await ended("delivered"), await ended("lost")];
    worker.take = ({ orderId }) => orderId !== shipments[1]?.orderId;
    assert.equal(await open().sweep(forever), 2);
    worker.take = () => true;
    await world.expireLeases();
    assert.equal(await open().sweep(forever), 1);
    assert.deepEqual(
      shipments.map((each) => worker.about(each)),
      [["DELIVERED"], ["DELIVERED", "DELIVERED"], ["LOST"]],
    );
  });

  it("survives being killed between any two steps", async () => {
    for (let last = 0; ; last += 1) {
      const shipment = await ended("delivered");
      const life = new Life(last);
      await life.through(open(life).sweep(forever));
      await world.expireLeases();
      await open().sweep(forever);
      assert.ok(worker.about(shipment).length >= 1, `killed at step ${last}`);
      assert.equal(await untold(), 0);
      if (!life.over) break;
    }
  });

  it("gives a report to one of many replicas", async () => {
    const shipments = await Promise.all([1, 2, 3, 4, 5].map(() => ended("delivered")));
    await Promise.all([1, 2, 3].map(() => open().sweep(forever)));
    for (const shipment of shipments) assert.deepEqual(worker.about(shipment), ["DELIVERED"]);
  });

  it("tells the last word, and sticks to it once it began to tell", async () => {
    const shipment = await ended("lost");
    await report(shipment, "delivered", 6);
    await open().sweep(forever);
    await report(shipment, "lost", 7);
    await world.expireLeases();
    await open().sweep(forever);
    assert.deepEqual(worker.about(shipment), ["DELIVERED"]);
    assert.equal((await world.look(shipment.shipmentId)).status, "delivered");
    assert.equal((await world.look(shipment.shipmentId)).events.length, 3);
  });

  it("shows whoever looks no other end than the one that is told, whatever is reported meanwhile", async () => {
    const shipment = await ended("lost");
    const shown = async () => (await toProto(plainPersonalData, await world.look(shipment.shipmentId))).status;
    const looks: unknown[] = [await shown()];
    await report(shipment, "delivered", 6);
    looks.push(await shown());
    await open().sweep(forever);
    looks.push(await shown());
    await report(shipment, "lost", 7);
    looks.push(await shown());
    assert.deepEqual(looks, [
      ShipmentStatus.SHIPPED,
      ShipmentStatus.SHIPPED,
      ShipmentStatus.DELIVERED,
      ShipmentStatus.DELIVERED,
    ]);
    assert.deepEqual(worker.about(shipment), ["DELIVERED"]);
  });
});
