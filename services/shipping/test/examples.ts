import { create } from "@bufbuild/protobuf";
import { CreateShipmentRequestSchema } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { newId } from "#platform/id.ts";
import { toNewShipment } from "../src/api/shipment-proto.ts";
import type { NewShipment } from "../src/shipment/shipment.repository.ts";
import type { Shipment, ShipmentStatus, TrackingEvent, TrackingKind } from "../src/shipment/shipment.ts";

/** An address; its postal code decides what the simulators do. */
export const address = {
  recipient: "Ada Lovelace",
  lines: ["12 St James's Square"],
  city: "London",
  postalCode: "SW1Y 4LB",
  country: "GB",
};

/** A shipment in a status, as far as the domain looks at it. */
export function shipmentIn(status: ShipmentStatus): Shipment {
  return {
    shipmentId: newId(),
    orderId: newId(),
    generation: 0,
    fence: 0,
    locationId: "BER-1",
    status,
    lines: [{ sku: "MUG", quantity: 1 }],
    address,
    sagaId: "saga",
    carrier: "simulator",
    trackingNumber: "T1",
    failure: status === "failed" ? { by: "carrier", code: "NO", reason: "no" } : undefined,
    cancelRequested: false,
    reported: false,
    awaited: false,
    attempts: 1,
    told: false,
    events: [],
    trace: { traceparent: "", time: new Date(0) },
    createTime: new Date(0),
    updateTime: new Date(0),
  };
}

/** A report `at` milliseconds after the beginning of time. */
export function event(kind: TrackingKind, at: number, eventId = `${kind}-${at}`): TrackingEvent {
  return { eventId, kind, eventTime: new Date(at), place: "Berlin" };
}

/** How a request differs from the ordinary one. */
export interface Change {
  requestId?: string;
  orderId?: string;
  locationId?: string;
  generation?: number;
  fence?: number;
  lines?: { sku: string; quantity: bigint }[];
  address?: typeof address;
  sagaId?: string;
  reported?: boolean;
}

/** A request to create a shipment of a new order. */
export function createRequest(change: Change = {}) {
  const orderId = newId();
  return create(CreateShipmentRequestSchema, {
    requestId: `${orderId}:prepare`,
    orderId,
    locationId: "BER-1",
    lines: [{ sku: "MUG", quantity: 2n }],
    address,
    ...change,
  });
}

/** The same for the repository. */
export function newShipment(change: Change = {}): NewShipment {
  return toNewShipment(createRequest(change));
}

/** The address with another postal code. */
export function at(postalCode: string) {
  return { ...address, postalCode };
}
