import type { OrderParcel } from "./order/order-types.ts";
import type { CarriedOrder, Charge, ParcelNews, ParcelState } from "./order-state.ts";

/** A parcel together with its order. */
export interface Parcel extends ParcelState {
  readonly order: CarriedOrder;
}

/** How far each news is; of two that are equally far, the first counts. */
const ranks: Readonly<Record<ParcelNews, number>> = {
  PACKED: 1,
  PACKING_FAILED: 1,
  BOOKED: 2,
  BOOKING_REFUSED: 2,
  CANCELLED: 2,
};

/**
 * Takes what was told of a parcel, in whatever order and however often: what is further counts, and of how it ended what came
 * first. What nobody knows is ignored.
 */
export function hear(parcel: ParcelState, news: string, trackingNumber: string): void {
  if (parcel.trackingNumber === "") parcel.trackingNumber = trackingNumber;
  if (news === "TURNING_BACK" || news === "TURN_BACK_REFUSED") {
    parcel.turnBack = news === "TURNING_BACK" ? "AGREED" : "REFUSED";
    return;
  }
  if (news === "DELIVERED" || news === "LOST" || news === "RETURNED") {
    parcel.report ??= news;
    // Only what the carrier has can arrive.
    parcel.news = "BOOKED";
    return;
  }
  if (!isNews(news)) return;
  if (parcel.news === undefined || ranks[news] > ranks[parcel.news]) parcel.news = news;
}

function isNews(news: string): news is ParcelNews {
  return Object.hasOwn(ranks, news);
}

/** Which payments a parcel is charged to. */
export function chargesOf({ amount, charges }: Pick<ParcelState, "amount" | "charges">): Charge[] {
  return charges ?? [{ payment: 0, amount }];
}

/** A parcel as the order shows it. */
export function toOrderParcel(parcel: ParcelState, currency: string): OrderParcel {
  const { locationId, shipmentId, trackingNumber, stage, amount, lines, turnBack, returnId, refunds } = parcel;
  return {
    locationId,
    shipmentId,
    trackingNumber,
    status: shownAs(stage),
    amount: { currency, amount },
    ...(lines && { lines: lines.map(({ sku, quantity }) => ({ sku, quantity })) }),
    ...(turnBack && { turnBack }),
    ...(returnId && { returnId }),
    ...(refunds && { refunded: refunds.reduce((sum, charge) => sum + charge.amount, 0) }),
  };
}

function shownAs(stage: ParcelState["stage"]): OrderParcel["status"] {
  switch (stage) {
    case "SHIPPED":
    case "CANCELLED":
    case "DELIVERED":
    case "LOST":
    case "RETURNED":
      return stage;
    default:
      return "PLANNED";
  }
}
