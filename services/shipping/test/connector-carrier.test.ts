import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { type BookingOrder, CarrierUndecidedError } from "../src/booking/carrier.ts";
import { ordinaryParcel } from "../src/booking/parcel-facts.ts";
import { ConnectorCarrier } from "../src/connector/connector-carrier.ts";
import { address } from "./examples.ts";

const patient = () => AbortSignal.timeout(5_000);

function carrierOf(implementation: Partial<ServiceImpl<typeof CarrierConnectorService>>): ConnectorCarrier {
  const able = { getCarrierCapabilities: () => ({ turnsBack: true, makesLabels: true, maxEntries: 4 }) };
  const transport = createRouterTransport(({ service }) =>
    service(CarrierConnectorService, { ...able, ...implementation }),
  );
  return new ConnectorCarrier({
    connector: createClient(CarrierConnectorService, transport),
    timeoutMs: 1_000,
    log: quietLogger(),
  });
}

function order(change: Partial<BookingOrder> = {}): BookingOrder {
  const expireTime = new Date(Date.now() + 1_000);
  const ids = { key: newId(), orderId: newId(), locationId: "BER-1" };
  return { ...ids, address, parcel: ordinaryParcel, expireTime, ...change };
}

describe("a carrier behind its connector", () => {
  it("gets parcels that are booked at the same time together, as many as it takes, with all that is known of them", async () => {
    const calls: number[] = [];
    const seen: unknown[] = [];
    const carrier = carrierOf({
      bookParcels: ({ parcels }) => {
        calls.push(parcels.length);
        seen.push(...parcels);
        const booked = ({ key }: { key: string }) => ({ trackingNumber: `T-${key}`, carrier: "dhl" });
        return { outcomes: parcels.map((parcel) => ({ result: { case: "booked", value: booked(parcel) } })) };
      },
    });
    const parcel = { weightGrams: 700, sizeMm: [30, 20, 10] as const, serviceLevel: "express", sender: address };
    const orders = Array.from({ length: 9 }, () => order({ parcel }));
    const states = await Promise.all(orders.map((each) => carrier.book(each, patient())));
    for (const [index, state] of states.entries()) {
      assert.deepEqual(state, { kind: "booked", trackingNumber: `T-${orders[index]?.key}`, carrier: "dhl" });
    }
    assert.ok(Math.max(...calls) <= 4 && calls.length < 9, calls.join());
    assert.partialDeepStrictEqual(seen[0], {
      weightGrams: 700,
      size: { lengthMm: 30, widthMm: 20, heightMm: 10 },
      serviceLevel: "express",
      sender: { city: address.city },
      recipient: { recipient: address.recipient },
    });
  });

  it("is undecided when it says so, says nothing, or has not passed a parcel on", async () => {
    for (const result of [
      { case: "undecided", value: {} },
      { case: undefined },
      { case: "unknown", value: {} },
    ] as const) {
      const carrier = carrierOf({
        bookParcels: ({ parcels }) => ({ outcomes: parcels.map(() => ({ result })) }),
        findParcels: ({ keys }) => ({ outcomes: keys.map(() => ({ result })) }),
      });
      await assert.rejects(carrier.book(order(), patient()), CarrierUndecidedError);
      if (result.case !== "unknown") await assert.rejects(carrier.find(newId(), patient()), CarrierUndecidedError);
    }
  });

  for (const code of [Code.Unavailable, Code.NotFound, Code.FailedPrecondition, Code.PermissionDenied]) {
    it(`refuses nothing by an error: ${Code[code]} leaves open what it did`, async () => {
      const fail = () => {
        throw new ConnectError("no", code);
      };
      const carrier = carrierOf({ bookParcels: fail, findParcels: fail, cancelParcels: fail, turnBackParcels: fail });
      const asked = [
        carrier.book(order(), patient()),
        carrier.find(newId(), patient()),
        carrier.cancel(newId(), patient()),
        carrier.turnBack(newId(), patient()),
      ];
      for (const result of await Promise.allSettled(asked)) {
        assert.equal(result.status, "rejected");
        assert.ok(!(result.reason instanceof CarrierUndecidedError));
        assert.match(String(result.reason), /the carrier's answer is not known: no/);
      }
    });
  }

  it("is not heard where it answers for another number of parcels than it was asked about", async () => {
    const carrier = carrierOf({ findParcels: () => ({ outcomes: [] }) });
    await assert.rejects(carrier.find(newId(), patient()), /0 of 1 entries were answered/);
  });

  it("is not asked for what it cannot", async () => {
    const carrier = carrierOf({
      getCarrierCapabilities: () => ({ turnsBack: false, makesLabels: false, maxEntries: 1 }),
    });
    const refused = { kind: "refused", code: "NOT_SUPPORTED", message: "the carrier does no such thing" };
    assert.deepEqual(await carrier.turnBack(newId(), patient()), refused);
    const label = { key: newId(), orderId: newId(), locationId: "BER-1", address };
    assert.deepEqual(await carrier.makeLabel(label, patient()), refused);
  });

  it("is not called while it is away, whatever it is wanted for, and is called when it is back", async () => {
    let calls = 0;
    let isAway = true;
    const answer = ({ keys }: { keys: string[] }) => {
      calls += 1;
      if (isAway) throw new ConnectError("away", Code.Unavailable);
      return { outcomes: keys.map(() => ({ result: { case: "unknown", value: {} } as const })) };
    };
    const carrier = carrierOf({ findParcels: answer, cancelParcels: answer });
    for (let asked = 0; asked < 5; asked += 1)
      await assert.rejects(carrier.find(newId(), patient()), /not known: away/);
    for (const asked of [carrier.find(newId(), patient()), carrier.cancel(newId(), patient())]) {
      await assert.rejects(asked, /the carrier does not answer, and was not called/);
    }
    assert.equal(calls, 5);
    isAway = false;
    assert.deepEqual(await until(() => carrier.find(newId(), patient()), "it is called"), { kind: "unknown" });
  });

  it("is asked again what it can when it was away", async () => {
    let isAway = true;
    const carrier = carrierOf({
      getCarrierCapabilities: () => {
        if (isAway) throw new ConnectError("away", Code.Unavailable);
        return { turnsBack: true, makesLabels: true, maxEntries: 1_000_000 };
      },
      findParcels: ({ keys }) => ({ outcomes: keys.map(() => ({ result: { case: "unknown", value: {} } })) }),
    });
    await assert.rejects(carrier.find(newId(), patient()), /away/);
    isAway = false;
    assert.deepEqual(await carrier.find(newId(), patient()), { kind: "unknown" });
  });

  it("tells of parcels what it knows, without what is of no kind that is known here", async () => {
    const eventTime = { seconds: 1_000n };
    const events = [
      { eventId: "1", kind: 4, eventTime, place: "At the door" },
      { eventId: "2", kind: 99, eventTime, place: "" },
    ];
    const carrier = carrierOf({
      trackParcels: ({ keys }) => ({ ways: keys.map(() => ({ result: { case: "known", value: { events } } })) }),
    });
    assert.deepEqual(await carrier.track(newId(), patient()), [
      { eventId: "1", kind: "delivered", eventTime: new Date(1_000_000), place: "At the door" },
    ]);
  });
});
