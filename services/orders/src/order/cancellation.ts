import type { CancellationOutcome, CancelledParcel, Order, OrderCancellation, OrderShipment } from "./order.ts";

/** What the row of an order knows of its cancellation. */
export interface KnownCancellation extends Pick<Order, "status" | "shipments"> {
  readonly cancelTime: Date;
  /** The locations of parcels that were not with the customer when it was accepted; undefined: nothing had left. */
  readonly recalled: readonly string[] | undefined;
}

/** What becomes of an order that somebody has cancelled, as it stands now. */
export function cancellationOf({ status, shipments, cancelTime, recalled }: KnownCancellation): OrderCancellation {
  const createTime = cancelTime;
  if (!recalled) return { outcome: status === "cancelled" ? "cancelled" : "pending", createTime, parcels: [] };
  const parcels = shipments.map((shipment) => ({
    locationId: shipment.locationId,
    outcome: outcomeOf(shipment, recalled),
    returnId: shipment.returnId,
  }));
  return { outcome: overall(parcels), createTime, parcels };
}

/** Whether it is known what becomes of every parcel. */
export function isSettled({ outcome }: OrderCancellation): boolean {
  return outcome !== "pending";
}

function outcomeOf(shipment: OrderShipment, recalled: readonly string[]): CancellationOutcome {
  const { status, turnBack, returnId, locationId } = shipment;
  switch (status) {
    case "cancelled":
    case "lost":
    case "returned":
      return "cancelled";
    case "planned":
      return "pending";
    case "delivered":
      if (!recalled.includes(locationId)) return "kept";
      return returnId === "" ? "pending" : "return";
    case "shipped":
      if (returnId !== "") return "return";
      return turnBack === "agreed" ? "turning_back" : "pending";
  }
}

/** What is furthest from being over. */
function overall(parcels: readonly CancelledParcel[]): OrderCancellation["outcome"] {
  const outcomes = ["pending", "return", "turning_back"] as const;
  return outcomes.find((outcome) => parcels.some((parcel) => parcel.outcome === outcome)) ?? "cancelled";
}
