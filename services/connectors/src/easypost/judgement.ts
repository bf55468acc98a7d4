// What EasyPost's objects say of parcels.
import type { Rate, Shipment } from "./easypost-messages.ts";
import type { ParcelState } from "./parcel.ts";

/** What prices say: which one to take, that there is none for good, or that a carrier could not be asked. */
export type PriceJudgement =
  | { readonly is: "priced"; readonly rate: Rate }
  | { readonly is: "refused"; readonly code: string }
  | { readonly is: "open" };

/** What a carrier that names no price says when it may be because it could not be asked. */
const carrierError = "rate_error";

/** The cheapest price of those that are wanted. @param mayPass whether a carrier that could not be asked may be asked again */
export function judgePrices(
  { rates, messages }: Shipment,
  isWanted: (rate: Rate) => boolean,
  mayPass: boolean,
): PriceJudgement {
  const [rate] = rates.filter(isWanted).toSorted((one, other) => one.rate - other.rate);
  if (rate) return { is: "priced", rate };
  if (mayPass && messages.some(({ type }) => type === carrierError)) return { is: "open" };
  return { is: "refused", code: "NO_RATE" };
}

/**
 * What became of a label that was to be taken back; undefined while EasyPost shows nothing. `not_applicable`: its carrier asks for money only once a label
 * is used, so nothing is to be paid back.
 */
export function judgeRefund(status: string): Extract<ParcelState, "void_asked" | "cancelled" | "booked"> | undefined {
  switch (status) {
    case "submitted":
      return "void_asked";
    case "refunded":
    case "not_applicable":
      return "cancelled";
    case "rejected":
      return "booked";
    default:
      return undefined;
  }
}
