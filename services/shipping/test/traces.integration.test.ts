import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { SpanKind } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { recordSpans } from "#platform/trace/telemetry.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { until } from "#testing/until.ts";
import { at, createRequest } from "./examples.ts";
import { type Process, startProcess } from "./process.ts";
import { World } from "./world.ts";

const quick = { PACKING_MS: "20", CARRIER_TRANSIT_MS: "40" };
const traceIds = ["a", "b", "c"].map((digit) => digit.repeat(32));
/** The first and the third order are kept. */
const traceparents = [`00-${traceIds[0]}-b7ad6b7169203331-01`, "", `00-${traceIds[2]}-b7ad6b7169203331-01`];

/** The spans of a shipment from its creation to its saga's ear. */
const wholeStory = {
  CreateShipment: SpanKind.SERVER,
  "warehouse pack": SpanKind.CLIENT,
  BookShipment: SpanKind.SERVER,
  "carrier book": SpanKind.CLIENT,
  "tracking report": SpanKind.INTERNAL,
  "report shipment": SpanKind.INTERNAL,
};

describe("the traces of shipments", () => {
  let world: World;
  let spans: KeptSpans;
  before(async () => {
    world = await World.open();
    spans = await keepSpans();
  });
  after(async () => {
    await spans.stop();
    await world[Symbol.asyncDispose]();
  });

  it("go on in each order's own, through a restart, from its creation to its saga's ear", async () => {
    const requests = [1, 2, 3].map(() => createRequest({ sagaId: "saga-1" }));
    const first = await startProcess(world, { PACKING_MS: "100000", SWEEP_MS: "100000" });
    await first.shipping.batchCreateShipments({ requests, traceparents });
    await first[Symbol.asyncDispose]();
    await world.outside.database.query("update warehouse_packing set ready_time = now()");
    await world.expireLeases();
    await using second = await startProcess(world, quick);
    await packed(second, requests);
    const parcels = requests.map(({ orderId, locationId }) => ({ requestId: `${orderId}:ship`, orderId, locationId }));
    await second.fulfillment.batchBookShipments({ requests: parcels, traceparents });
    await until(() => second.heard.length === 3, "the saga hears of all");

    for (const [index, { orderId }] of requests.entries()) {
      const own = spans.all().filter((span) => span.spanContext().traceId === traceIds[index]);
      const heardIn = second.heardIn[second.heard.findIndex((report) => report.orderId === orderId)];
      if (!traceparents[index]) {
        assert.deepEqual([own, heardIn], [[], ""]);
        assert.deepEqual(
          spans.all().filter((span) => span.attributes["order.id"] === orderId),
          [],
        );
        continue;
      }
      const kinds = new Map(own.map((span) => [span.name, span.kind]));
      for (const [name, kind] of Object.entries(wholeStory)) {
        assert.equal(kinds.get(name), kind, `${name}: ${[...kinds.keys()]}`);
      }
      const one = (name: string) => own.find((span) => span.name === name);
      assert.equal(one("carrier book")?.attributes["ordermesh.outcome"], "booked");
      assert.equal(one("carrier book")?.parentSpanContext?.spanId, one("BookShipment")?.spanContext().spanId);
      assert.equal(heardIn, `00-${traceIds[index]}-${one("report shipment")?.spanContext().spanId}-01`);
      assert.equal(one("report shipment")?.attributes["ordermesh.outcome"], "done");
    }
  });

  it("go on to orders when that is told", async () => {
    const request = createRequest({ reported: true });
    const { orderId, locationId } = request;
    const traceId = "e".repeat(32);
    const own = [`00-${traceId}-b7ad6b7169203331-01`];
    await using process = await startProcess(world, quick);
    await process.shipping.batchCreateShipments({ requests: [request], traceparents: own });
    await packed(process, [request]);
    const parcel = { requestId: `${orderId}:ship`, orderId, locationId };
    await process.fulfillment.batchBookShipments({ requests: [parcel], traceparents: own });
    await until(() => process.news.length === 2, "orders hears that it is packed and that it arrived");
    const told = () =>
      spans.all().filter(({ name, attributes }) => name === "report shipment" && attributes["order.id"] === orderId);
    await until(() => told().length === 2, "both spans have ended");
    assert.deepEqual(
      told().map((span) => [span.attributes["shipment.news"], span.attributes["ordermesh.outcome"]]),
      [
        ["packed", "done"],
        ["delivered", "done"],
      ],
    );
    assert.deepEqual(
      process.newsIn,
      told().map((span) => `00-${traceId}-${span.spanContext().spanId}-01`),
    );
  });

  it("go on from the booking when its answer has to be asked for", async () => {
    const request = createRequest({ address: at("SIM-ERROR") });
    const { orderId, locationId } = request;
    const traceId = "d".repeat(32);
    const own = [`00-${traceId}-b7ad6b7169203331-01`];
    await using process = await startProcess(world, quick);
    await process.shipping.batchCreateShipments({ requests: [request], traceparents: own });
    await packed(process, [request]);
    const parcel = { requestId: `${orderId}:ship`, orderId, locationId };
    await process.fulfillment.batchBookShipments({ requests: [parcel], traceparents: own });
    const inTrace = () => spans.all().filter((span) => span.spanContext().traceId === traceId);
    await until(() => inTrace().some(({ name }) => name === "tracking report"), "the parcel is on its way");
    const booking = inTrace().find(({ name }) => name === "BookShipment");
    const resumed = inTrace().find(({ name }) => name === "resume booking");
    assert.ok(booking && resumed);
    assert.equal(resumed.parentSpanContext?.spanId, booking.spanContext().spanId);
    const calls = inTrace().filter(({ name }) => name === "carrier book");
    assert.deepEqual(
      calls.map(({ attributes }) => attributes["ordermesh.outcome"]),
      ["failed", "failed"],
    );
    const finds = inTrace().filter(({ name }) => name === "carrier find");
    assert.deepEqual(new Set(finds.map(({ attributes }) => attributes["order.id"])), new Set([orderId]));
  });

  it("are named by what is written down", async () => {
    const events = await readAuditLog(world.test.database);
    const orders = Map.groupBy(events, (each) => each.orderId);
    const traced = [...orders.values()].map((all) => all.map(({ action, traceId }) => [action, traceId]));
    for (const traceId of [traceIds[0], traceIds[2]]) {
      const actions = ["created", "packed", "booked", "delivered"].map((effect) => [`shipment.${effect}`, traceId]);
      assert.ok(
        traced.some((each) => JSON.stringify(each) === JSON.stringify(actions)),
        JSON.stringify(traced),
      );
    }
  });

  it("link what is done for several at once with each of them", async () => {
    const batches = spans.all().filter(({ name }) => name === "warehouse pack list");
    const packs = spans.all().filter(({ name }) => name === "warehouse pack");
    assert.ok(batches.length > 0 && packs.length > 0);
    for (const pack of packs) {
      const linked = pack.links.map(({ context }) => context.spanId);
      assert.ok(batches.some((span) => linked.includes(span.spanContext().spanId)));
    }
    for (const span of batches.filter(({ attributes }) => attributes["ordermesh.list.size"] === 3)) {
      assert.ok(!traceIds.includes(span.spanContext().traceId));
      assert.deepEqual(span.links.map(({ context }) => context.traceId).sort(), [traceIds[0], traceIds[2]]);
    }
  });
});

describe("the traces of shipments that take long", () => {
  it("are new ones, linked to the order's", async () => {
    const exporter = new InMemorySpanExporter();
    const tracing = await recordSpans("test", [new SimpleSpanProcessor(exporter)], { ratio: 0, maxAgeMs: 0 });
    await using world = await World.open();
    await using process = await startProcess(world, quick);
    try {
      const requests = [createRequest({ sagaId: "saga-2" })];
      await process.shipping.batchCreateShipments({ requests, traceparents: traceparents.slice(0, 1) });
      await packed(process, requests);
      const packs = exporter.getFinishedSpans().filter(({ name }) => name === "warehouse pack");
      assert.ok(packs.length > 0);
      for (const pack of packs) {
        assert.notEqual(pack.spanContext().traceId, traceIds[0]);
        assert.ok(pack.links.some(({ context }) => context.traceId === traceIds[0]));
      }
    } finally {
      await tracing.shutdown();
    }
  });
});

async function packed({ shipping }: Process, requests: { orderId: string }[]): Promise<void> {
  for (const { orderId } of requests) {
    await until(async () => {
      const { shipments } = await shipping.listShipments({ orderId });
      return shipments[0]?.status === ShipmentStatus.READY;
    }, `${orderId} is packed`);
  }
}
