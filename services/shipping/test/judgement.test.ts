import assert from "node:assert/strict";
import { it } from "node:test";
import type { BookingState } from "../src/booking/carrier.ts";
import { type Asked, type JudgedAnswer, judgeBooking, judgeCancellation, settle } from "../src/booking/judgement.ts";
import { type Shipment, type ShipmentStatus, shipmentStatuses } from "../src/shipment/shipment.ts";
import { shipmentIn } from "./examples.ts";

const verdicts: Record<ShipmentStatus, { book: string; cancel: string }> = {
  preparing: { book: "NOT_READY", cancel: "begin" },
  ready: { book: "begin", cancel: "begin" },
  booking: { book: "await", cancel: "await" },
  shipped: { book: "done", cancel: "ALREADY_SHIPPED" },
  delivered: { book: "done", cancel: "ALREADY_SHIPPED" },
  lost: { book: "done", cancel: "ALREADY_SHIPPED" },
  returned: { book: "done", cancel: "ALREADY_SHIPPED" },
  failed: { book: "CARRIER_REFUSED", cancel: "done" },
  cancelled: { book: "SHIPMENT_CANCELLED", cancel: "done" },
};

for (const [status, expected] of Object.entries(verdicts) as [ShipmentStatus, { book: string; cancel: string }][]) {
  it(`judges a booking and a cancellation of what is ${status}`, () => {
    assert.equal(verdict(judgeBooking, shipmentIn(status)), expected.book);
    assert.equal(verdict(judgeCancellation, shipmentIn(status)), expected.cancel);
  });
}

it("tells what the warehouse could not pack from what the carrier refused", () => {
  const failure = { by: "warehouse", code: "TOO_LARGE", reason: "too large" } as const;
  assert.equal(verdict(judgeBooking, { ...shipmentIn("failed"), failure }), "PACKING_FAILED");
});

const booked: BookingState = { kind: "booked", trackingNumber: "T1", carrier: "simulator" };
const refused: BookingState = { kind: "refused", code: "NO", message: "no" };
const unknown: BookingState = { kind: "unknown" };
const cancelled: BookingState = { kind: "cancelled" };
const mistaken: JudgedAnswer = { kind: "mistaken", carrier: "simulator" };
const settlements: [answer: JudgedAnswer, asked: Asked, wanted: boolean, becomes: string][] = [
  [booked, "book", false, "shipped"],
  [booked, "book", true, "ask cancel"],
  [booked, "cancel", true, "shipped"],
  [refused, "book", false, "failed"],
  [refused, "book", true, "failed"],
  [refused, "cancel", true, "failed"],
  [unknown, "book", false, "ask book"],
  [unknown, "book", true, "ask cancel"],
  [unknown, "cancel", true, "cancelled"],
  [cancelled, "book", false, "failed"],
  [cancelled, "book", true, "cancelled"],
  [cancelled, "cancel", true, "cancelled"],
  [mistaken, "book", false, "ask withdraw"],
  [mistaken, "book", true, "ask cancel"],
  [mistaken, "cancel", true, "shipped"],
  [mistaken, "withdraw", false, "shipped"],
  [booked, "withdraw", false, "shipped"],
  [refused, "withdraw", false, "failed"],
  [unknown, "withdraw", false, "failed"],
  [unknown, "withdraw", true, "cancelled"],
  [cancelled, "withdraw", false, "failed"],
  [cancelled, "withdraw", true, "cancelled"],
];

for (const [answer, asked, cancelRequested, becomes] of settlements) {
  const wish = cancelRequested ? "is to be called off" : "is wanted";
  it(`settles what ${wish} by "${answer.kind}" to ${asked}: ${becomes}`, () => {
    const shipment = { ...shipmentIn("booking"), cancelRequested };
    const settlement = settle(shipment, answer, asked);
    const result = settlement.kind === "decided" ? settlement.shipment.status : `ask ${settlement.kind}`;
    assert.equal(result, becomes);
    if (settlement.kind !== "decided" || becomes !== "shipped") return;
    // A parcel whose number cannot be used goes by the shipment's own id.
    const number = answer.kind === "mistaken" ? shipment.shipmentId : "T1";
    assert.equal(settlement.shipment.trackingNumber, number);
  });
}

it("leaves what is decided as it is, whatever a late answer says", () => {
  for (const status of shipmentStatuses.filter((each) => each !== "booking")) {
    const shipment = shipmentIn(status);
    assert.deepEqual(settle(shipment, booked, "book"), { kind: "decided", shipment });
  }
});

function verdict(judge: (shipment: Shipment) => string, shipment: Shipment): string {
  try {
    return judge(shipment);
  } catch (error) {
    assert.ok(error instanceof Error && "reasonName" in error);
    return String(error.reasonName);
  }
}

it("keeps no card number that the carrier writes into its reason", () => {
  const answer: BookingState = { kind: "refused", code: "PAY", message: "card 4111-1111-1111-1111 was declined" };
  const settled = settle(shipmentIn("booking"), answer, "book");
  const failure = { by: "carrier", code: "PAY", reason: "card [card number] was declined" };
  assert.deepEqual(settled.kind === "decided" && settled.shipment.failure, failure);
});
