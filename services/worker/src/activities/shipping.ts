import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Context } from "@temporalio/activity";
import {
  BatchBookShipmentsRequestSchema,
  BatchCancelShipmentsRequestSchema,
  BatchRequestReturnLabelsRequestSchema,
  BatchTurnBackShipmentsRequestSchema,
  TurnBackState,
} from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { type Shipment, ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import {
  BatchCreateShipmentsRequestSchema,
  BatchGetShipmentsRequestSchema,
} from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { whole } from "#platform/whole.ts";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import type { ParcelReport, TurnBack } from "../workflows/order/order-types.ts";
import type { Booking, ParcelRef } from "../workflows/step-table.ts";
import { type InputOf, type OutputOf, steps } from "./all-steps.ts";
import { batchCall, bothHalves, done, pending, refused } from "./batch-call.ts";
import { type EntryKey, keyOf, requestId } from "./entry-key.ts";
import { untilDecided } from "./long-batch.ts";
import { moveOrders } from "./orders.ts";
import type { ServiceClients, StepWorks } from "./step-work.ts";

const domain = "shipping.shop";

type Prepared = OutputOf<"prepareShipment">;

const turnBacks: ReadonlyMap<TurnBackState, TurnBack> = new Map([
  [TurnBackState.AGREED, "AGREED"],
  [TurnBackState.REFUSED, "REFUSED"],
]);

/** The shipments of a batch that are being packed. */
interface Begun {
  readonly shipmentIds: Map<string, string>;
  /** When the youngest of them was created, as a time in milliseconds. */
  since: number | undefined;
}

/** What the saga asks of shipping. */
export const shippingWorks = {
  /** Has parcels packed: their orders are moved, their shipments created, and it waits until they are ready. */
  prepareShipment: (clients, entries, long) => {
    const begun: Begun = { shipmentIds: new Map(), since: undefined };
    const { shipmentIds } = begun;
    return untilDecided<InputOf<"prepareShipment">, Prepared>(
      entries,
      async (open) => {
        const fresh = open.filter((entry) => !shipmentIds.has(keyOf(entry)));
        if (fresh.length > 0) return byKey(fresh, await begin(clients, fresh, begun));
        const looks = open.map((entry) => ({ ...refOf(entry), shipmentId: shipmentIds.get(keyOf(entry)) ?? "" }));
        const shipments = await lookAt(clients, looks);
        return byKey(open, shipments.map(refusalStays(toPrepared)));
      },
      long,
      () => begun.since,
    );
  },

  /** Hands packed parcels to the carrier and waits until it has taken or refused them. */
  bookShipment: ({ fulfillment }, entries, long) => {
    const book = (open: ParcelRef[]) =>
      batchCall(
        open,
        (part, options, traceparents) => {
          const requests = part.map((entry) => ({ ...nameOf(entry), requestId: requestId(entry, "ship"), fence: 0 }));
          return fulfillment.batchBookShipments(
            whole(BatchBookShipmentsRequestSchema, { requests, traceparents }),
            options,
          );
        },
        ({ shipment, pending: undecided }) => {
          if (undecided || !shipment) return pending;
          return done({ trackingNumber: shipment.trackingNumber });
        },
      );
    return untilDecided(entries, async (open) => byKey(open, await book(open)), long);
  },

  /** Has parcels packed: shipping tells orders what becomes of them. */
  createShipment: ({ shipping }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "prepare"),
          fence: entry.fence,
          orderId: entry.orderId,
          locationId: entry.locationId,
          lines: entry.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
          address: entry.address,
          sagaId: "",
          reported: true,
          generation: entry.generation ?? 0,
        }));
        const request = whole(BatchCreateShipmentsRequestSchema, { requests, traceparents });
        return shipping.batchCreateShipments(request, options);
      },
      ({ shipment }) => (shipment ? done({ shipmentId: shipment.shipmentId }) : pending),
    ),

  /** Hands packed parcels to the carrier. What it has not decided, shipping tells orders later. */
  requestBooking: ({ fulfillment }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          ...nameOf(entry),
          requestId: requestId(entry, "ship"),
          fence: entry.fence,
        }));
        const request = whole(BatchBookShipmentsRequestSchema, { requests, traceparents });
        return fulfillment.batchBookShipments(request, options);
      },
      ({ shipment, pending: undecided }) =>
        done<Booking>(undecided || !shipment ? "pending" : { trackingNumber: shipment.trackingNumber }),
    ),

  /** Calls off parcels that the carrier does not have. */
  cancelShipment: ({ fulfillment }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          ...nameOf(entry),
          requestId: requestId(entry, "cancel"),
          fence: entry.fence,
          unpackedOnly: false,
        }));
        const request = whole(BatchCancelShipmentsRequestSchema, { requests, traceparents });
        return fulfillment.batchCancelShipments(request, options);
      },
      (response) => (response.pending ? pending : done(null)),
    ),

  /** Calls off parcels that are to be packed otherwise, and are not packed. */
  takeBackShipment: ({ fulfillment }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          ...nameOf(entry),
          requestId: requestId(entry, "take-back"),
          fence: entry.fence,
          unpackedOnly: true,
        }));
        const request = whole(BatchCancelShipmentsRequestSchema, { requests, traceparents });
        return fulfillment.batchCancelShipments(request, options);
      },
      (response) => (response.pending ? pending : done(null)),
    ),

  /** Has the carrier asked to bring parcels back that it has. What it has not decided, shipping tells orders later. */
  turnBackShipment: ({ fulfillment }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          ...nameOf(entry),
          requestId: requestId(entry, "turn-back"),
          fence: entry.fence,
        }));
        const request = whole(BatchTurnBackShipmentsRequestSchema, { requests, traceparents });
        return fulfillment.batchTurnBackShipments(request, options);
      },
      ({ state }) => done<TurnBack>(turnBacks.get(state) ?? "ASKED"),
    ),

  /** Has the carrier asked for labels of returns. */
  requestLabel: ({ fulfillment }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          ...nameOf(entry),
          returnId: entry.returnId,
          requestId: requestId(entry, "label"),
        }));
        const request = whole(BatchRequestReturnLabelsRequestSchema, { requests, traceparents });
        return fulfillment.batchRequestReturnLabels(request, options);
      },
      () => done(null),
    ),

  /** Looks what became of parcels that are on their way. */
  lookShipment: async (clients, entries) => {
    const shipments = await lookAt(clients, entries);
    return shipments.map(
      refusalStays((shipment): Outcome<ParcelReport | null> => {
        if (shipment?.status === ShipmentStatus.DELIVERED) return done("DELIVERED");
        return done(shipment?.status === ShipmentStatus.LOST ? "LOST" : null);
      }),
    );
  },
} satisfies Partial<StepWorks>;

function begin(
  clients: ServiceClients,
  fresh: InputOf<"prepareShipment">[],
  begun: Begun,
): Promise<Outcome<Prepared>[]> {
  const [first, second] = steps.prepareShipment.halves;
  const calls = {
    PREPARING: (entries: typeof fresh) => moveOrders(clients, entries, "PREPARING"),
    createShipment: (entries: typeof fresh) => createShipments(clients, entries, begun),
  };
  return bothHalves(fresh, calls[first], calls[second]);
}

function createShipments(
  { shipping }: ServiceClients,
  entries: InputOf<"prepareShipment">[],
  begun: Begun,
): Promise<Outcome<Prepared>[]> {
  const sagaId = Context.current().info.workflowExecution?.workflowId ?? "";
  return batchCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({
        requestId: requestId(entry, "prepare"),
        orderId: entry.orderId,
        locationId: entry.locationId,
        lines: entry.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
        address: entry.address,
        sagaId,
        reported: false,
        generation: 0,
        fence: 0,
      }));
      return shipping.batchCreateShipments(
        whole(BatchCreateShipmentsRequestSchema, { requests, traceparents }),
        options,
      );
    },
    ({ shipment }, entry) => {
      if (shipment) note(begun, entry, shipment);
      return toPrepared(shipment);
    },
  );
}

function note(begun: Begun, entry: ParcelRef, { shipmentId, createTime }: Shipment): void {
  begun.shipmentIds.set(keyOf(entry), shipmentId);
  if (createTime) begun.since = Math.max(begun.since ?? 0, timestampMs(createTime));
}

function toPrepared(shipment: Shipment | undefined): Outcome<Prepared> {
  if (!shipment) return pending;
  switch (shipment.status) {
    case ShipmentStatus.UNSPECIFIED:
    case ShipmentStatus.PREPARING:
      return pending;
    case ShipmentStatus.FAILED:
      return refused("PACKING_FAILED", shipment.failureReason, domain);
    case ShipmentStatus.CANCELLED:
      return refused("SHIPMENT_CANCELLED", "the shipment was called off", domain);
    default:
      return done({ shipmentId: shipment.shipmentId });
  }
}

function lookAt(
  { shipping }: ServiceClients,
  entries: (EntryKey & { shipmentId: string })[],
): Promise<Outcome<Shipment | undefined>[]> {
  return batchCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map(({ shipmentId }) => ({ shipmentId }));
      return shipping.batchGetShipments(whole(BatchGetShipmentsRequestSchema, { requests, traceparents }), options);
    },
    ({ shipment }) => done(shipment),
  );
}

function refusalStays<O>(map: (shipment: Shipment | undefined) => Outcome<O>) {
  return (outcome: Outcome<Shipment | undefined>): Outcome<O> =>
    outcome.kind === "done" ? map(outcome.value) : outcome;
}

function byKey<O>(entries: ParcelRef[], outcomes: Outcome<O>[]): Map<string, Outcome<O>> {
  return new Map(entries.map((entry, index) => [keyOf(entry), outcomes[index] ?? pending]));
}

function refOf({ orderId, locationId }: ParcelRef): ParcelRef {
  return { orderId, locationId };
}

function nameOf({ orderId, locationId, generation = 0 }: ParcelRef): Required<ParcelRef> {
  return { orderId, locationId, generation };
}
