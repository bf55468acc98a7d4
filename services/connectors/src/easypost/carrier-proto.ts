import {
  type LabelOrder as LabelOrderMessage,
  type LabelOutcome,
  LabelOutcomeSchema,
  type ParcelOrder as ParcelOrderMessage,
  type ParcelOutcome,
  ParcelOutcomeSchema,
  type ParcelWay,
  ParcelWaySchema,
  type TurnBackOutcome,
  TurnBackOutcomeSchema,
} from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { wholeMs } from "#platform/timestamp.ts";
import { whole } from "#platform/whole.ts";
import type { Way } from "./easypost-carrier.ts";
import type { Outcome } from "./parcel.ts";
import type { Address, ParcelOrder } from "./parcel-fields.ts";
import type { ReturnParcel } from "./settings.ts";
import { eventsOf } from "./tracking.ts";

const nowhere: Address = { recipient: "", lines: [], city: "", postalCode: "", country: "" };
const never = new Date(8.64e15);

export function toBooking(parcel: ParcelOrderMessage): ParcelOrder {
  const { key, locationId, sender, recipient, weightGrams, size, serviceLevel, expireTime } = parcel;
  return {
    kind: "parcel",
    key,
    locationId,
    sender,
    customer: recipient ?? nowhere,
    weightGrams,
    sizeMm: [size?.lengthMm ?? 1, size?.widthMm ?? 1, size?.heightMm ?? 1],
    serviceLevel,
    expireTime: new Date(wholeMs(expireTime) ?? 0),
  };
}

/** Undefined when nobody knows any more where it comes from. */
export function toReturn(
  { key, locationId, sender }: LabelOrderMessage,
  parcel: ReturnParcel,
): ParcelOrder | undefined {
  if (!sender) return undefined;
  return { kind: "label", key, locationId, sender: undefined, customer: sender, expireTime: never, ...parcel };
}

export function toParcelOutcome(outcome: Outcome): ParcelOutcome {
  switch (outcome.state) {
    case "booked": {
      const { trackingNumber, carrier } = outcome;
      return whole(ParcelOutcomeSchema, { result: { case: "booked", value: { trackingNumber, carrier } } });
    }
    case "refused":
      return whole(ParcelOutcomeSchema, { result: { case: "refused", value: refusal(outcome.code) } });
    default:
      return whole(ParcelOutcomeSchema, { result: { case: outcome.state, value: {} } });
  }
}

/** A label is not called off. */
export function toLabelOutcome(outcome: Outcome): LabelOutcome {
  switch (outcome.state) {
    case "booked": {
      const { trackingNumber, label } = outcome;
      return whole(LabelOutcomeSchema, { result: { case: "made", value: { trackingNumber, label } } });
    }
    case "refused":
      return whole(LabelOutcomeSchema, { result: { case: "refused", value: refusal(outcome.code) } });
    case "unknown":
      return whole(LabelOutcomeSchema, { result: { case: "unknown", value: {} } });
    default:
      return whole(LabelOutcomeSchema, { result: { case: "undecided", value: {} } });
  }
}

export function toTurnBackRefused(): TurnBackOutcome {
  const value = { code: "NOT_SUPPORTED", message: "EasyPost turns no parcel back" };
  return whole(TurnBackOutcomeSchema, { result: { case: "refused", value } });
}

export function toWay(way: Way): ParcelWay {
  if (way.state !== "known") return whole(ParcelWaySchema, { result: { case: way.state, value: {} } });
  const events = way.tracker ? eventsOf(way.tracker) : [];
  return whole(ParcelWaySchema, { result: { case: "known", value: { events } } });
}

/** EasyPost's own words may have the address in them. */
function refusal(code: string) {
  return { code, message: "no label is sold for it" };
}
