import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Context } from "@temporalio/activity";
import { type Shipment, ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import type { Outcome, ParcelReport } from "../workflows/order-state.ts";
import type { InputOf, OutputOf, ParcelRef } from "../workflows/step-table.ts";
import { done, listCall, pending, refused, requestId } from "./batch-call.ts";
import type { ServiceClients } from "./clients.ts";
import { keyOf, type LongListPolicy, untilDecided } from "./long-batch.ts";
import { transitionOrder } from "./orders.ts";
import type { EntryKey } from "./step-spans.ts";

const domain = "shipping.shop";

type Prepared = OutputOf<"prepareShipment">;
type Booked = OutputOf<"bookShipment">;

/** The shipments of a list that are being packed. */
interface Begun {
  readonly shipmentIds: Map<string, string>;
  /** When the youngest of them was created, as a time in milliseconds. */
  since: number | undefined;
}

/** Has parcels packed: their orders go to PREPARING, their shipments are created, and it waits until they are ready. */
export function prepareShipment(
  clients: ServiceClients,
  entries: InputOf<"prepareShipment">[],
  policy: LongListPolicy,
): Promise<Outcome<Prepared>[]> {
  const begun: Begun = { shipmentIds: new Map(), since: undefined };
  const { shipmentIds } = begun;
  return untilDecided<InputOf<"prepareShipment">, Prepared>(
    entries,
    async (open) => {
      const fresh = open.filter((entry) => !shipmentIds.has(keyOf(entry)));
      if (fresh.length > 0) return begin(clients, fresh, begun);
      const looks = open.map((entry) => ({ ...refOf(entry), shipmentId: shipmentIds.get(keyOf(entry)) ?? "" }));
      const shipments = await lookAt(clients, looks);
      return byKey(open, shipments.map(refusalStays(toPrepared)));
    },
    policy,
    () => begun.since,
  );
}

async function begin(
  clients: ServiceClients,
  fresh: InputOf<"prepareShipment">[],
  begun: Begun,
): Promise<Map<string, Outcome<Prepared>>> {
  const orderIds = [...new Set(fresh.map((entry) => entry.orderId))];
  const moved = await transitionOrder(
    clients,
    orderIds.map((orderId) => ({ orderId, status: "PREPARING" })),
  );
  const refusals = new Map(orderIds.map((orderId, index) => [orderId, moved[index]]));
  const stopped = fresh.filter((entry) => refusals.get(entry.orderId)?.kind === "refused");
  const going = fresh.filter((entry) => refusals.get(entry.orderId)?.kind === "done");
  const created = going.length > 0 ? await create(clients, going, begun) : [];
  const outcomes = new Map(going.map((entry, index) => [keyOf(entry), created[index] ?? pending]));
  for (const entry of stopped) {
    const outcome = refusals.get(entry.orderId);
    if (outcome?.kind === "refused") outcomes.set(keyOf(entry), outcome);
  }
  return outcomes;
}

function create(
  { shipping }: ServiceClients,
  entries: InputOf<"prepareShipment">[],
  begun: Begun,
): Promise<Outcome<Prepared>[]> {
  const sagaId = Context.current().info.workflowExecution?.workflowId ?? "";
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({
        requestId: requestId(entry, "prepare"),
        orderId: entry.orderId,
        locationId: entry.locationId,
        lines: entry.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
        address: entry.address,
        sagaId,
      }));
      return shipping.batchCreateShipments({ requests, traceparents }, options);
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

/** Hands packed parcels to the carrier and waits until it has taken or refused them. */
export function bookShipment(
  { fulfillment }: ServiceClients,
  entries: InputOf<"bookShipment">[],
  policy: LongListPolicy,
): Promise<Outcome<Booked>[]> {
  const book = (open: ParcelRef[]) =>
    listCall(
      open,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({ ...refOf(entry), requestId: requestId(entry, "ship") }));
        return fulfillment.batchBookShipments({ requests, traceparents }, options);
      },
      ({ shipment, pending: undecided }) => {
        if (undecided || !shipment) return pending;
        return done({ trackingNumber: shipment.trackingNumber });
      },
    );
  return untilDecided<ParcelRef, Booked>(entries, async (open) => byKey(open, await book(open)), policy);
}

/** Calls off parcels that the carrier does not have. */
export function cancelShipment(
  { fulfillment }: ServiceClients,
  entries: InputOf<"cancelShipment">[],
): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({ ...refOf(entry), requestId: requestId(entry, "cancel") }));
      return fulfillment.batchCancelShipments({ requests, traceparents }, options);
    },
    (response) => (response.pending ? pending : done(null)),
  );
}

/** Looks what became of parcels that are on their way. */
export async function lookShipment(
  clients: ServiceClients,
  entries: InputOf<"lookShipment">[],
): Promise<Outcome<ParcelReport | null>[]> {
  const shipments = await lookAt(clients, entries);
  return shipments.map(
    refusalStays((shipment): Outcome<ParcelReport | null> => {
      if (shipment?.status === ShipmentStatus.DELIVERED) return done("DELIVERED");
      return done(shipment?.status === ShipmentStatus.LOST ? "LOST" : null);
    }),
  );
}

function lookAt(
  { shipping }: ServiceClients,
  entries: (EntryKey & { shipmentId: string })[],
): Promise<Outcome<Shipment | undefined>[]> {
  return listCall(
    entries,
    (part, options, traceparents) =>
      shipping.batchGetShipments({ requests: part.map(({ shipmentId }) => ({ shipmentId })), traceparents }, options),
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
