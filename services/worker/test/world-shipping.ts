import type { ConnectRouter } from "@connectrpc/connect";
import { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import type { World } from "./world.ts";

const byId = { id: (request: { requestId: string }) => request.requestId };
const of = (request: { orderId: string; locationId: string }) => request;

/** The fake names a shipment by its order and location, in 26 characters. */
function shipmentIdOf({ orderId, locationId }: { orderId: string; locationId: string }): string {
  return `${orderId.slice(0, 23)}${locationId.slice(0, 3)}`;
}

/** The fake of the shipping service. Shipments are ready at once, and delivered when they are looked at. */
export function shippingRoutes(router: ConnectRouter, world: World): void {
  const byShipment = new Map<string, { orderId: string; locationId: string }>();
  router.service(ShippingService, {
    batchCreateShipments: ({ requests }) =>
      world.list(requests, {
        ...{ step: "prepare", of, ...byId },
        undecided: { shipment: { status: ShipmentStatus.PREPARING } },
        apply: ({ orderId, locationId, requestId }) => {
          const order = world.order(orderId);
          if (order.calledOff.has(locationId)) return { refuse: "SHIPMENT_CANCELLED" };
          order.shipments.set(locationId, "ready");
          world.took(orderId, `prepare:${locationId}`, requestId);
          const shipmentId = shipmentIdOf({ orderId, locationId });
          byShipment.set(shipmentId, { orderId, locationId });
          return { response: { shipment: { shipmentId, status: ShipmentStatus.READY } } };
        },
      }),
    batchGetShipments: ({ requests }) =>
      world.list(requests, {
        step: "look",
        of: ({ shipmentId }) => byShipment.get(shipmentId) ?? { orderId: "", locationId: "" },
        id: ({ shipmentId }) => `${shipmentId}:${Math.random()}`,
        undecided: { shipment: { shipmentId: "", status: ShipmentStatus.SHIPPED } },
        apply: ({ shipmentId }) => {
          const { orderId = "", locationId = "" } = byShipment.get(shipmentId) ?? {};
          const lost = world.order(orderId).shipments.get(locationId) === "lost";
          const status = lost ? ShipmentStatus.LOST : ShipmentStatus.DELIVERED;
          return { response: { shipment: { shipmentId, status } } };
        },
      }),
  });
  router.service(FulfillmentService, {
    batchBookShipments: ({ requests }) =>
      world.list(requests, {
        ...{ step: "ship", of, ...byId, undecided: { pending: true } },
        apply: ({ orderId, locationId, requestId }) => {
          const order = world.order(orderId);
          if (order.calledOff.has(locationId)) return { refuse: "SHIPMENT_CANCELLED" };
          order.shipments.set(locationId, "shipped");
          world.took(orderId, `ship:${locationId}`, requestId);
          return { response: { shipment: { trackingNumber: `T-${locationId}` } } };
        },
      }),
    batchCancelShipments: ({ requests }) =>
      world.list(requests, {
        ...{ step: "cancel", of, ...byId, undecided: { pending: true } },
        apply: ({ orderId, locationId, requestId }) => {
          const order = world.order(orderId);
          if (order.shipments.get(locationId) === "shipped") return { refuse: "ALREADY_SHIPPED" };
          order.calledOff.add(locationId);
          world.took(orderId, `cancel:${locationId}`, requestId);
          return { response: {} };
        },
      }),
  });
}
