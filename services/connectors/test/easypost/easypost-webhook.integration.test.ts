// What happens to parcels on their way: told by webhooks late, twice and in any order, and reported to shipping, which takes each report once.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { PassThrough } from "node:stream";
import { after, before, beforeEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { TrackingEventKind } from "#gen/shop/shipping/v1/shipment_pb.js";
import {
  ReportTrackingEventOutcomeSchema,
  type ReportTrackingEventRequest,
  ReportTrackingEventsResponseSchema,
  ShippingService,
} from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { launch } from "#platform/process/runtime.ts";
import { register, type ServiceDefinition } from "#platform/process/service.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { type ComposedEasypost, easypost } from "../../src/easypost/easypost.ts";
import type { FakeScan, FakeShipment } from "./fake-easypost.ts";
import { callOff, comingBack, openWorld, parcel, said, settingsFor, settle, type World } from "./world.ts";

type Running = Awaited<ReturnType<typeof launch>>;

let world: World;
let connector: ComposedEasypost;
let shipping: Running;
let service: Running;
/** What shipping was told, as `<number> <kind>` by the id of the event. */
const reports = new Map<string, string>();
/** Numbers of parcels that shipping knows; undefined: it is away. */
let known: Set<string> | undefined = new Set();

const [first, second, stranger] = ["the-first-secret-of-ours", "the-second-secret-of-ours", "a-secret-of-a-stranger"];
const bare = { PAGE_TOKEN_SECRET: pageTokenSecret.text, TOKEN_ISSUERS: "none", GRPC_PORT: "0", HTTP_PORT: "0" };

function outcomeOf({ trackingNumber, event }: ReportTrackingEventRequest) {
  if (!known?.has(trackingNumber)) {
    return create(ReportTrackingEventOutcomeSchema, {
      outcome: { case: "failure", value: { code: 5, reason: "SHIPMENT_NOT_FOUND" } },
    });
  }
  if (event) reports.set(event.eventId, `${trackingNumber} ${TrackingEventKind[event.kind]}`);
  return create(ReportTrackingEventOutcomeSchema, { outcome: { case: "response", value: {} } });
}

const fakeShipping: ServiceDefinition<Record<never, never>> = {
  name: "shipping",
  config: {},
  build() {
    const answers: Partial<ServiceImpl<typeof ShippingService>> = {
      reportTrackingEvents({ requests }) {
        if (!known) throw new Error("shipping is away");
        return create(ReportTrackingEventsResponseSchema, { outcomes: requests.map(outcomeOf) });
      },
    };
    return { services: [register(ShippingService, answers)] };
  },
};

before(async () => {
  world = await openWorld();
  connector = world.process();
  shipping = await launch(fakeShipping, bare, new PassThrough().resume());
  const env = {
    ...bare,
    DATABASE_URL: world.test.url,
    ...settingsFor(world.fake.url),
    EASYPOST_SETTLE_MS: "201",
    EASYPOST_WEBHOOK_SECRETS: `${first}, ${second}`,
    SHIPPING_ADDRESS: `127.0.0.1:${shipping.grpcPort}`,
  };
  service = await launch(easypost, env, new PassThrough().resume());
});
beforeEach(() => {
  world.fake.calm();
  reports.clear();
  known = new Set();
});
after(async () => {
  await service?.drain();
  await shipping?.drain();
  await world?.[Symbol.asyncDispose]();
});

async function post(payload: string, signature: string | undefined): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${service.httpPort}/webhooks/easypost`, {
    method: "POST",
    headers: signature === undefined ? {} : { "x-hmac-signature": signature },
    body: payload,
  });
  return response.status;
}

function signed(payload: string, secret = first): string {
  return `hmac-sha256-hex=${createHmac("sha256", secret).update(payload).digest("hex")}`;
}

/** What EasyPost posts when a tracker has changed. Its numbers are written as nobody else writes them. */
function updated(label: FakeShipment, description = "tracker.updated"): string {
  return `{"id": "evt_1", "object": "Event", "description": "${description}", "result": {"object": "Tracker", "weight": 17.0, "shipment_id": "${label.id}"}}`;
}

function scan(status: string, minute: number, detail = "status_update", city: string | null = "Oakland"): FakeScan {
  const datetime = `2026-11-30T10:${String(minute).padStart(2, "0")}:00Z`;
  return { status, status_detail: detail, datetime, tracking_location: { city, state: "CA", country: "US" } };
}

async function booked() {
  const order = parcel();
  const outcome = await settle(connector, order);
  assert.ok(outcome.state === "booked");
  known?.add(outcome.trackingNumber);
  return { order, number: outcome.trackingNumber, label: world.fake.labelOf(order.key) };
}

test("a webhook counts when one of the secrets has signed its bytes", async () => {
  const { label } = await booked();
  const payload = updated(label);
  const cases: [payload: string, signature: string | undefined, status: number][] = [
    [payload, undefined, 400],
    [payload, "", 400],
    [payload, signed(payload, stranger), 400],
    [`${payload} `, signed(payload), 400],
    [payload, signed(payload).replace("hmac-sha256-hex=", ""), 400],
    ["no JSON", signed("no JSON"), 400],
    ["x".repeat(300_000), signed("x"), 413],
    [payload, signed(payload), 200],
    [payload, signed(payload, second), 200],
    ['{"id": "evt_2", "description": "batch.created"}', signed('{"id": "evt_2", "description": "batch.created"}'), 200],
  ];
  for (const [given, signature, status] of cases) assert.equal(await post(given, signature), status, `${signature}`);
  const metrics = await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
  assert.match(metrics, /^easypost_webhooks_total\{[^}]*status="400"[^}]*\} 6$/m);
  assert.match(metrics, /^easypost_request_seconds_count\{[^}]*endpoint="retrieve"[^}]*answer="done"[^}]*\} 2$/m);
});

test("what has happened is reported, each scan once, whatever comes late or twice", async () => {
  const { label, number, order } = await booked();
  const payload = updated(label);
  label.scans = [scan("pre_transit", 1), scan("in_transit", 3), scan("out_for_delivery", 5)];
  assert.equal(await post(payload, signed(payload)), 200);
  label.scans.splice(1, 0, scan("in_transit", 2, "arrived_at_facility"));
  label.scans.push(scan("delivered", 7, "arrived_at_destination"));
  await Promise.all(Array.from({ length: 4 }, () => post(payload, signed(payload))));
  const told = [...reports].toSorted(([one], [other]) => one.localeCompare(other)).map(([, report]) => report);
  const kinds = ["IN_TRANSIT", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"];
  assert.deepEqual(
    told,
    kinds.map((kind) => `${number} ${kind}`),
  );
  const way = await connector.carrier.track(order);
  assert.ok(way.state === "known");
  const { ways } = await connector.api.trackParcels({ keys: [order.key] } as Parameters<
    typeof connector.api.trackParcels
  >[0]);
  assert.ok(ways[0]?.result.case === "known");
  const found = ways[0].result.value.events.map(({ eventId }) => eventId);
  assert.deepEqual(found.toSorted(), [...reports.keys()].toSorted());
  assert.equal(ways[0].result.value.events[0]?.place, "Oakland, CA, US");
});

test("a parcel that is lost is told to be; what says nothing of where it is is not told", async () => {
  const { label, number } = await booked();
  label.scans = [
    scan("failure", 1, "damaged"),
    scan("return_to_sender", 2),
    scan("failure", 3, "lost"),
    scan("cancelled", 4),
    scan("unheard_of", 5),
    { ...scan("in_transit", 6), datetime: "yesterday" },
  ];
  const payload = updated(label);
  assert.equal(await post(payload, signed(payload)), 200);
  assert.deepEqual([...reports.values()], [`${number} IN_TRANSIT`, `${number} LOST`]);
});

test("what shipping does not take, or EasyPost does not say, is to be told again", async () => {
  const { label, number } = await booked();
  label.scans = [scan("in_transit", 1)];
  const payload = updated(label);
  const tell = () => post(payload, signed(payload));
  known = undefined;
  assert.equal(await tell(), 503);
  known = new Set();
  assert.equal(await tell(), 503);
  known.add(number);
  world.fake.fault("retrieve", "limited");
  assert.equal(await tell(), 503);
  assert.equal(reports.size, 0);
  assert.equal(await tell(), 200);
  assert.equal(reports.size, 1);
});

test("nobody hears of what is not ours, of labels of returns, and of what was called off", async () => {
  const other = `{"id": "evt_3", "description": "tracker.updated", "result": {"shipment_id": "shp_of_somebody"}}`;
  assert.equal(await post(other, signed(other)), 200);
  const back = comingBack();
  await settle(connector, back);
  const { label, order } = await booked();
  for (const each of [world.fake.labelOf(back.key), label]) each.scans = [scan("in_transit", 1)];
  world.fake.refundStatus = "refunded";
  await callOff(connector, order.key);
  for (const each of [world.fake.labelOf(back.key), label])
    assert.equal(await post(updated(each), signed(updated(each))), 200);
  assert.equal(reports.size, 0);
});

test("a webhook tells of a label whose purchase was not answered, and of one that was taken back", async () => {
  const order = parcel();
  world.fake.fault("buy", "after");
  assert.equal(said(await connector.carrier.book(order)), "undecided");
  const label = world.fake.labelOf(order.key);
  const created = updated(label, "tracker.created");
  assert.equal(await post(created, signed(created)), 200);
  assert.equal(said(await connector.carrier.find(order)), "booked");
  await connector.carrier.cancel(order.key);
  label.refundStatus = "refunded";
  const refunded = `{"id": "evt_4", "description": "refund.successful", "result": {"object": "Refund", "shipment_id": "${label.id}"}}`;
  assert.equal(await post(refunded, signed(refunded)), 200);
  const asked = world.fake.requests.length;
  assert.equal(said(await connector.carrier.find(order)), "cancelled");
  assert.equal(world.fake.requests.length, asked);
});

test("what may have been bought is asked about again", async () => {
  const order = parcel();
  world.fake.fault("buy", "before");
  await world.process({ EASYPOST_SETTLE_MS: "60000" }).carrier.book(order);
  const label = [...world.fake.shipments.values()].find(({ reference }) => reference === order.key);
  assert.ok(label);
  assert.equal(await post(updated(label), signed(updated(label))), 503);
});
