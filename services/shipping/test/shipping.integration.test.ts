import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { ShipmentResult } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { ShipmentStatus, TrackingEventKind } from "#gen/shop/shipping/v1/shipment_pb.js";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { address, at, createRequest } from "./examples.ts";
import { type Process, startProcess } from "./process.ts";
import { World } from "./world.ts";

describe("the shipping service", () => {
  let world: World;
  let process: Process;
  before(async () => {
    world = await World.open();
    process = await startProcess(world, {
      PACKING_MS: "20",
      CARRIER_TRANSIT_MS: "40",
      CARRIER_ANSWER_MS: "1000",
      CARRIER_TIMEOUT_MS: "1500",
      CARRIER_SLOW_MS: "60000",
      CARRIER_SIMULATOR_REFUSED_LOCATIONS: "NOWHERE, NOWHERE-2",
    });
  });
  after(async () => {
    await process[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  const statusOf = async (shipmentId: string) => (await process.shipping.getShipment({ shipmentId })).shipment?.status;
  const reaches = (shipmentId: string, ...statuses: ShipmentStatus[]) =>
    until(async () => statuses.includes((await statusOf(shipmentId)) ?? 0), `${shipmentId} in ${statuses}`);
  const create = async (change: Parameters<typeof createRequest>[0]) => {
    const { shipment } = await process.shipping.createShipment(createRequest(change));
    assert.ok(shipment);
    return shipment;
  };
  const entry = ({ orderId, locationId }: { orderId: string; locationId: string }, step: string) => ({
    requestId: `${orderId}:${step}:${locationId}`,
    orderId,
    locationId,
  });
  const book = async (...parcels: { orderId: string; locationId: string }[]) => {
    const requests = parcels.map((parcel) => entry(parcel, "ship"));
    return (await process.fulfillment.batchBookShipments({ requests })).outcomes.map(({ outcome }) => outcome);
  };

  it("carries a parcel from its creation to its saga's ear", async () => {
    const created = await create({ sagaId: "saga-7" });
    assert.partialDeepStrictEqual(created, { status: ShipmentStatus.PREPARING, carrier: "", trackingNumber: "" });
    assert.partialDeepStrictEqual(created, { address, lines: [{ sku: "MUG", quantity: 2n }] });
    await reaches(created.shipmentId, ShipmentStatus.READY);
    const [booked] = await book(created);
    assert.equal(booked?.case, "response");
    assert.equal(booked.case === "response" && booked.value.pending, false);
    await reaches(created.shipmentId, ShipmentStatus.DELIVERED);
    const report = await until(() => process.heard.find(({ orderId }) => orderId === created.orderId), "a report");
    assert.deepEqual([report.sagaId, report.result], ["saga-7", ShipmentResult.DELIVERED]);
    const { shipment } = await process.shipping.getShipment({ shipmentId: created.shipmentId });
    assert.deepEqual(
      shipment?.events.map(({ kind }) => TrackingEventKind[kind]),
      ["PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"],
    );
  });

  const heard = ({ orderId }: { orderId: string }) =>
    process.news.filter((each) => each.orderId === orderId).map(({ news }) => ShipmentNews[news]);

  it("tells orders what becomes of a parcel that it has reported, and answers the booking itself", async () => {
    const created = await create({ reported: true });
    await until(() => heard(created).length === 1, "it is packed");
    const [booked] = await book(created);
    assert.ok(booked?.case === "response");
    const { trackingNumber } = booked.value.shipment ?? {};
    assert.ok(trackingNumber);
    await until(() => heard(created).length === 2, "it arrived");
    assert.deepEqual(heard(created), ["PACKED", "DELIVERED"]);
    const [again] = await book(created);
    assert.equal(again?.case === "response" && again.value.shipment?.trackingNumber, trackingNumber);
    assert.equal(process.heard.filter(({ orderId }) => orderId === created.orderId).length, 0);
  });

  it("tells orders what the carrier decided after the booking was answered", async () => {
    const created = await create({ reported: true, address: at("SIM-ERROR") });
    await until(() => heard(created).length === 1, "it is packed");
    const [pending] = await book(created);
    assert.ok(pending?.case === "response" && pending.value.pending);
    await until(() => heard(created).length === 3, "it is booked and arrived");
    assert.deepEqual(heard(created), ["PACKED", "BOOKED", "DELIVERED"]);
    assert.ok(process.news.find((each) => each.news === ShipmentNews.BOOKED)?.trackingNumber);
  });

  it("gives each entry of a batch its own outcome", async () => {
    const codes = ["", "SIM-UNPACKABLE", "SIM-REFUSE", "SIM-TIMEOUT", "SIM-ERROR", "SIM-SLOW"];
    const requests = [
      ...codes.map((code) => createRequest({ address: at(code) })),
      createRequest({ locationId: "NOWHERE" }),
    ];
    const created = (await process.shipping.batchCreateShipments({ requests })).outcomes.map(({ outcome }) => outcome);
    for (const outcome of created) {
      assert.ok(outcome.case === "response" && outcome.value.shipment);
      await reaches(outcome.value.shipment.shipmentId, ShipmentStatus.READY, ShipmentStatus.FAILED);
    }
    const outcomes = await book(...requests);
    const seen = outcomes.map((each) => (each.case === "response" ? each.value.pending : each.value?.reason));
    assert.deepEqual(seen.slice(0, 3), [false, "PACKING_FAILED", "CARRIER_REFUSED"]);
    assert.deepEqual(seen.slice(3), [false, true, true, "CARRIER_REFUSED"]);
    const undecided = requests.slice(3, 5);
    const decided = async () =>
      (await book(...undecided)).every((each) => each.case === "response" && !each.value.pending);
    await until(decided, "what was ambiguous is decided");
  });

  it("reads many at once and refuses alone what is not there", async () => {
    const { shipmentId } = await create({});
    const missing = newId();
    const requests = [{ shipmentId }, { shipmentId: missing }];
    const { outcomes } = await process.shipping.batchGetShipments({ requests });
    assert.equal(outcomes[0]?.outcome.case, "response");
    const failure = outcomes[1]?.outcome.value;
    assert.partialDeepStrictEqual(failure, {
      code: Code.NotFound,
      domain: "shipping.shop",
      reason: "SHIPMENT_NOT_FOUND",
      metadata: { shipment_id: missing },
    });
    await refuses(process.shipping.getShipment({ shipmentId: missing }), Code.NotFound, "SHIPMENT_NOT_FOUND");
  });

  it("leaves a mark for what is called off before it is there, and shows it to nobody", async () => {
    const request = createRequest();
    const cancel = async () => {
      const requests = [entry(request, "cancel")];
      return (await process.fulfillment.batchCancelShipments({ requests })).outcomes[0]?.outcome;
    };
    for (const outcome of [await cancel(), await cancel()]) {
      assert.ok(outcome?.case === "response");
      assert.equal(outcome.value.shipment, undefined);
      assert.equal(outcome.value.pending, false);
    }
    await refuses(process.shipping.createShipment(request), Code.FailedPrecondition, "SHIPMENT_CANCELLED");
    const { shipments } = await process.shipping.listShipments({ orderId: request.orderId });
    assert.deepEqual(shipments, []);
    const rows = await world.test.database.query<{ id: string }>(
      "select shipment_id as id from shipment where address is null",
    );
    assert.equal(rows.length, 1);
  });

  it("calls off what is not booked, and not what is", async () => {
    const [off, shipped] = [await create({}), await create({})];
    await reaches(shipped.shipmentId, ShipmentStatus.READY);
    await book(shipped);
    const requests = [entry(off, "cancel"), entry(shipped, "cancel")];
    const { outcomes } = await process.fulfillment.batchCancelShipments({ requests });
    const [one, other] = outcomes.map(({ outcome }) => outcome);
    assert.ok(one?.case === "response");
    assert.equal(one.value.shipment?.status, ShipmentStatus.CANCELLED);
    assert.ok(other?.case === "failure");
    assert.equal(other.value.reason, "ALREADY_SHIPPED");
  });

  it("takes reports by the carrier's number, once by their id", async () => {
    const { shipmentId, orderId, locationId } = await create({ address: at("SIM-LOST") });
    await reaches(shipmentId, ShipmentStatus.READY);
    await book({ orderId, locationId });
    const lost = await until(async () => {
      const { shipment } = await process.shipping.getShipment({ shipmentId });
      return shipment?.status === ShipmentStatus.LOST ? shipment : undefined;
    }, "the loss");
    assert.match(lost.failureReason, /^lost by the carrier/);
    const eventTime = timestampFromMs(Date.now() + 60_000);
    const event = { eventId: "found", kind: TrackingEventKind.DELIVERED, eventTime, place: "Berlin" };
    for (let count = 0; count < 2; count += 1) {
      const { shipment } = await process.shipping.reportTrackingEvent({ trackingNumber: lost.trackingNumber, event });
      assert.equal(shipment?.status, ShipmentStatus.DELIVERED);
      assert.equal(shipment.events.length, 4);
    }
    const unknown = process.shipping.reportTrackingEvent({ trackingNumber: "NOBODY", event });
    await refuses(unknown, Code.NotFound, "SHIPMENT_NOT_FOUND");

    const late = { ...event, eventId: "found again", eventTime: { seconds: -99_999_999_999n, nanos: 0 } };
    const requests = [
      { trackingNumber: lost.trackingNumber, event },
      { trackingNumber: "NOBODY", event },
      { trackingNumber: lost.trackingNumber, event: late },
      { trackingNumber: lost.trackingNumber, event: { ...event, eventId: "and again" } },
    ];
    const { outcomes } = await process.shipping.reportTrackingEvents({ requests });
    assert.deepEqual(
      outcomes.map(({ outcome }) =>
        outcome.case === "failure" ? outcome.value.reason || outcome.value.code : outcome.case,
      ),
      ["response", "SHIPMENT_NOT_FOUND", Code.InvalidArgument, "response"],
    );
    assert.equal((await process.shipping.getShipment({ shipmentId })).shipment?.events.length, 5);
  });

  it("pages through the shipments of an order, and only with its own tokens", async () => {
    const orderId = newId();
    for (const locationId of ["A", "B", "C"])
      await create({ orderId, locationId, requestId: `${orderId}${locationId}` });
    const first = await process.shipping.listShipments({ orderId, pageSize: 2 });
    assert.deepEqual(
      first.shipments.map((each) => each.locationId),
      ["C", "B"],
    );
    const pageToken = first.nextPageToken;
    const second = await process.shipping.listShipments({ orderId, pageSize: 2, pageToken });
    assert.deepEqual([second.shipments.map((each) => each.locationId), second.nextPageToken], [["A"], ""]);
    const foreign = process.shipping.listShipments({ orderId: newId(), pageToken });
    await refuses(foreign, Code.InvalidArgument, "INVALID_PAGE_TOKEN");
  });

  it("refuses a request id with another body, and what breaks the rules of the proto", async () => {
    const request = createRequest();
    await process.shipping.createShipment(request);
    const { requestId, orderId } = request;
    const other = createRequest({ requestId, orderId, lines: [{ sku: "OTHER", quantity: 1n }] });
    await refuses(process.shipping.createShipment(other), Code.AlreadyExists, "REQUEST_ID_REUSED");
    await refuses(process.shipping.createShipment({ ...request, lines: [] }), Code.InvalidArgument, undefined);
  });

  it("measures, and logs no address", async () => {
    const metrics = await process.registry.metrics();
    for (const sample of [
      /shipping_seconds_count\{outcome="DELIVERED"\} [1-9]/,
      /shipping_carrier_duration_seconds_count\{call="book",outcome="booked"\} [1-9]/,
      /shipping_carrier_duration_seconds_count\{call="book",outcome="failed"\} [1-9]/,
      /shipping_carrier_duration_seconds_count\{call="find",outcome="booked"\} [1-9]/,
      /shipping_shipments_total\{status="LOST"\} 1/,
      /shipping_relay_lag_seconds\{relay="shipment.report"\} \d/,
      /shipping_relay_lag_seconds\{relay="shipment.news"\} \d/,
      /shipping_news_total\{news="BOOKED",outcome="told"\} 1/,
    ]) {
      assert.match(metrics, sample);
    }
    assert.match(process.log(), /undecided/);
    for (const secret of [address.recipient, address.city, address.lines[0] ?? ""]) {
      assert.ok(!process.log().includes(secret));
    }
  });
});

async function refuses(call: Promise<unknown>, code: Code, reason: string | undefined): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, code);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, reason);
    return true;
  });
}
