import type { SagaStage } from "../workflows/order-state.ts";
import type { InputOf, StepName, StepTypes } from "../workflows/step-table.ts";

/** What a step is called in traces and metrics. */
export type StepLabel = (typeof labels)[StepName] | "deliver";

const labels = {
  reserveStock: "reserve",
  releaseStock: "release",
  commitStock: "commit",
  authorizePayment: "authorize",
  voidPayment: "void",
  capturePayment: "capture",
  refundPayment: "refund",
  confirmOrder: "confirm",
  transitionOrder: "transition",
  prepareShipment: "prepare",
  bookShipment: "ship",
  cancelShipment: "cancel",
  lookShipment: "look",
} as const satisfies Record<StepName, string>;

/** All that {@link stepLabel} returns. */
export const stepLabels: readonly StepLabel[] = [...Object.values(labels), "deliver"];

/** The step that an entry of an activity is: the move to DELIVERED has a name of its own. */
export function stepLabel<N extends StepName>(name: N, entry: InputOf<N>): StepLabel {
  return name === "transitionOrder" && "status" in entry && entry.status === "DELIVERED" ? "deliver" : labels[name];
}

const stages = {
  CONFIRMED: "FULFILLMENT",
  SHIPPED: "TRACKING",
  DELIVERED: "DELIVERED",
  REJECTED: "REJECTED",
  CANCELLED: "CANCELLED",
  FAILED: "FAILED",
} as const satisfies Record<StepTypes["transitionOrder"]["input"]["status"], SagaStage>;

/** All stages that orders are counted in: the first one when their saga starts, the others by {@link stageAfter}. */
export const countedStages: readonly SagaStage[] = ["CHECKOUT", ...Object.values(stages)];

/** The stage that an order enters when an entry is done; undefined when it stays where it is. */
export function stageAfter<N extends StepName>(name: N, entry: InputOf<N>): SagaStage | undefined {
  if (name === "confirmOrder") return "FULFILLMENT";
  return name === "transitionOrder" && "status" in entry ? stages[entry.status] : undefined;
}
