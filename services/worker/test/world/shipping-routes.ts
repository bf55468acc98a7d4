import type { ConnectRouter } from "@connectrpc/connect";
import { FulfillmentService, TurnBackState } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import type { World } from "./world.ts";

const byId = { id: (request: { requestId: string }) => request.requestId };
const of = (request: { orderId: string; locationId: string }) => request;

interface ParcelRef {
  readonly orderId: string;
  readonly locationId: string;
  readonly generation: number;
}

/** What a shipment is called among those of its order. */
function nameOf({ locationId, generation }: ParcelRef): string {
  return generation > 0 ? `${locationId}~${generation}` : locationId;
}

/** The fake names a shipment by its order, location and generation, in 26 characters. */
function shipmentIdOf({ orderId, locationId, generation }: ParcelRef): string {
  return `${orderId.slice(0, 22)}${generation}${locationId.slice(0, 3)}`;
}

/** What the carrier or the warehouse tells about a shipment, by what the fake knows of it. */
const statuses: Record<string, ShipmentStatus> = {
  packing: ShipmentStatus.PREPARING,
  ready: ShipmentStatus.READY,
  shipped: ShipmentStatus.DELIVERED,
  lost: ShipmentStatus.LOST,
};

/** The fake of the shipping service. Shipments are ready at once, and delivered when they are looked at. */
export function shippingRoutes(router: ConnectRouter, world: World): void {
  const { byShipment } = world;
  const pack = (ref: ParcelRef & { requestId: string }, state: string) => {
    const shipmentId = shipmentIdOf(ref);
    if (!byShipment.has(shipmentId)) world.took(ref.orderId, `prepare:${nameOf(ref)}`, ref.requestId);
    byShipment.set(shipmentId, ref);
    world.order(ref.orderId).shipments.set(nameOf(ref), state);
    return { shipment: { shipmentId, status: statuses[state] ?? ShipmentStatus.UNSPECIFIED } };
  };
  router.service(ShippingService, {
    trackShipments: ({ pageToken }) => world.track(pageToken),
    batchCreateShipments: ({ requests }) =>
      world.batch(requests, {
        step: "prepare",
        of,
        ...byId,
        undecided: (request) => pack(request, "packing"),
        apply: (request) => {
          if (world.order(request.orderId).calledOff.has(nameOf(request))) return { refuse: "SHIPMENT_CANCELLED" };
          const packed = { response: pack(request, request.reported ? "packing" : "ready") };
          const { orderId, locationId, generation } = request;
          const news = request.reported && world.packs(orderId, locationId);
          if (news) world.tell(orderId, locationId, { news, generation });
          return packed;
        },
      }),
    batchGetShipments: ({ requests }) =>
      world.batch(requests, {
        step: "look",
        of: ({ shipmentId }) => byShipment.get(shipmentId) ?? { orderId: "", locationId: "" },
        id: ({ shipmentId }) => `${shipmentId}:${Math.random()}`,
        undecided: ({ shipmentId }) => ({ shipment: { shipmentId, status: ShipmentStatus.PREPARING } }),
        apply: ({ shipmentId }) => {
          const { orderId = "", locationId = "" } = byShipment.get(shipmentId) ?? {};
          const state = world.order(orderId).shipments.get(locationId) ?? "";
          if (state === "packing") world.order(orderId).shipments.set(locationId, "ready");
          return { response: { shipment: { shipmentId, status: statuses[state] ?? ShipmentStatus.UNSPECIFIED } } };
        },
      }),
  });
  fulfillmentRoutes(router, world);
}

const hasLeft: ReadonlySet<string> = new Set(["shipped", "lost"]);

function fulfillmentRoutes(router: ConnectRouter, world: World): void {
  router.service(FulfillmentService, {
    batchBookShipments: ({ requests }) =>
      world.batch(requests, {
        step: "ship",
        of,
        ...byId,
        undecided: () => ({ pending: true }),
        apply: (request) => {
          const { orderId, locationId, generation, requestId } = request;
          const order = world.order(orderId);
          const name = nameOf(request);
          if (order.calledOff.has(name)) return { refuse: "SHIPMENT_CANCELLED" };
          order.shipments.set(name, world.loses(orderId, locationId) ? "lost" : "shipped");
          world.took(orderId, `ship:${name}`, requestId);
          const news = world.arrives(orderId, locationId);
          if (news) world.tell(orderId, locationId, { news, trackingNumber: `T-${locationId}`, generation });
          return { response: { shipment: { trackingNumber: `T-${locationId}` } } };
        },
      }),
    batchRequestReturnLabels: ({ requests }) =>
      world.batch(requests, {
        step: "label",
        of,
        ...byId,
        apply: (request) => {
          const { orderId, returnId, requestId } = request;
          if (!hasLeft.has(world.order(orderId).shipments.get(nameOf(request)) ?? "")) return { refuse: "NOT_SHIPPED" };
          world.took(orderId, `label:${returnId}`, requestId);
          return { response: {} };
        },
      }),
    batchTurnBackShipments: ({ requests }) =>
      world.batch(requests, {
        step: "turn-back",
        of,
        ...byId,
        apply: (request) => {
          const { orderId, locationId, requestId } = request;
          if (!hasLeft.has(world.order(orderId).shipments.get(nameOf(request)) ?? "")) return { refuse: "NOT_SHIPPED" };
          world.took(orderId, `turn-back:${nameOf(request)}`, requestId);
          return { response: { state: TurnBackState[world.turnsBack(orderId, locationId)] } };
        },
      }),
    batchCancelShipments: ({ requests }) =>
      world.batch(requests, {
        step: requests[0]?.unpackedOnly ? "take-back" : "cancel",
        of,
        ...byId,
        undecided: () => ({ pending: true }),
        apply: (request) => {
          const { orderId, unpackedOnly, requestId } = request;
          const order = world.order(orderId);
          const name = nameOf(request);
          const state = order.shipments.get(name) ?? "packing";
          if (state === "shipped") return { refuse: "ALREADY_SHIPPED" };
          if (unpackedOnly && state !== "packing" && !order.calledOff.has(name)) return { refuse: "ALREADY_PACKED" };
          order.calledOff.add(name);
          world.took(orderId, `${unpackedOnly ? "take-back" : "cancel"}:${name}`, requestId);
          return { response: {} };
        },
      }),
  });
}
