import type { OrderMove, SagaStage } from "../workflows/order/order-types.ts";
import { type InputOf, type StepFacts, type StepName, steps } from "./all-steps.ts";

/** What a step is called in traces and metrics. */
export type StepLabel = (typeof steps)[StepName]["label"] | "deliver";

/** All that {@link stepLabel} returns. */
export const stepLabels: readonly StepLabel[] = [
  ...new Set([...Object.values(steps).map(({ label }) => label), "deliver" as const]),
];

/** The step that an entry of an activity is: the move to DELIVERED has a name of its own. */
export function stepLabel<N extends StepName>(name: N, entry: InputOf<N>): StepLabel {
  return "status" in entry && entry.status === "DELIVERED" ? "deliver" : steps[name].label;
}

const stages = {
  CONFIRMED: "FULFILLMENT",
  PREPARING: undefined,
  SHIPPED: "TRACKING",
  DELIVERED: "DELIVERED",
  REJECTED: "REJECTED",
  CANCELLED: "CANCELLED",
  FAILED: "FAILED",
} as const satisfies Record<OrderMove, SagaStage | undefined>;

/** All stages that orders are counted in: the first one when their saga starts, the others by {@link stageAfter}. */
export const countedStages: readonly SagaStage[] = [
  "CHECKOUT",
  ...Object.values(stages).filter((stage) => stage !== undefined),
];

/** The stage that an order enters when an entry is done; undefined when it stays where it is. */
export function stageAfter<N extends StepName>(name: N, entry: InputOf<N>): SagaStage | undefined {
  const { halves }: StepFacts = steps[name];
  const move = "status" in entry ? entry.status : halves?.find(isMove);
  return move && stages[move];
}

function isMove(half: string): half is OrderMove {
  return half in stages;
}
