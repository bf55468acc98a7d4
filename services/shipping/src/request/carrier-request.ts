import type { LabelState, TurnBackAnswer } from "../booking/carrier.ts";
import type { Shipment } from "../shipment/shipment.ts";

/** What a carrier is asked besides booking. */
export type CarrierRequestKind = "turn_back" | "label";

/** What is known of it: nothing yet, that the carrier does it, that it does not, or has not said in time that it does. */
export type CarrierRequestState = "asked" | "agreed" | "refused";

/** Something that the carrier is asked about a shipment. */
export interface CarrierRequest {
  /** What it is asked under: the id of the shipment that is to be turned back, or of the return that a label is for. */
  readonly key: string;
  readonly kind: CarrierRequestKind;
  readonly shipmentId: string;
  readonly state: CarrierRequestState;
  /** Why it is refused, for programs; empty otherwise. */
  readonly code: string;
  /** Of a label that is made; empty otherwise. */
  readonly trackingNumber: string;
  /** Where the customer gets a label that is made; empty otherwise. */
  readonly label: string;
  /** How often the carrier has been asked. */
  readonly attempts: number;
  /** Whether it has been asked for as long as it may be. */
  readonly isLate: boolean;
}

/** A request that is to be asked about now. */
export interface DueRequest extends CarrierRequest {
  readonly shipment: Shipment;
}

/** What becomes of a request that was asked about. */
export type Decision = Pick<CarrierRequest, "code" | "trackingNumber" | "label"> & {
  readonly state: Exclude<CarrierRequestState, "asked">;
};

/** What the carrier has not answered in time counts as refused; what it does nevertheless, it reports. */
export const notAnswered: Decision = { state: "refused", code: "NO_ANSWER", trackingNumber: "", label: "" };

/** What an answer of the carrier comes to; undefined: nothing definite. */
export function decide(answer: TurnBackAnswer | LabelState): Decision | undefined {
  switch (answer.kind) {
    case "unknown":
      return undefined;
    case "agreed":
      return { state: "agreed", code: "", trackingNumber: "", label: "" };
    case "made":
      return { state: "agreed", code: "", trackingNumber: answer.trackingNumber, label: answer.label };
    case "refused":
      return { state: "refused", code: answer.code, trackingNumber: "", label: "" };
  }
}
