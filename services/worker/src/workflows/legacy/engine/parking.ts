import { CancellationScope, condition, upsertSearchAttributes } from "@temporalio/workflow";
import { parkedOrderIdsAttribute } from "../../engine/search-attributes.ts";
import { afterMicrotasks } from "./coalesce.ts";
import type { Decision } from "./saga.ts";

/** Which parked step is meant. */
export interface ParkedStepRef {
  orderId: string;
  step: string;
}

/** A step that waits for an operator. */
export interface ParkedStepView extends ParkedStepRef {
  /** What it failed with last. */
  error: string;
  /** Milliseconds since 1970. */
  parkTime: number;
}

interface ParkedStep extends ParkedStepView {
  decision?: Decision;
}

/** The steps of a workflow that wait for an operator. They are found by the search attribute `ParkedOrderIds`. */
export class Parking {
  readonly #parked = new Set<ParkedStep>();
  #publishing = false;

  /** Waits until somebody decides, or until `parkMs` have passed. */
  async park(orderId: string, step: string, parked: { error: string; parkMs: number | undefined }): Promise<Decision> {
    const { error, parkMs } = parked;
    const entry: ParkedStep = { orderId, step, error, parkTime: Date.now() };
    this.#parked.add(entry);
    this.#publish();
    try {
      const decided = () => entry.decision !== undefined;
      if (parkMs === undefined) await condition(decided);
      else await condition(decided, parkMs);
      return entry.decision ?? "expired";
    } finally {
      this.#parked.delete(entry);
      this.#publish();
    }
  }

  /** Whether the step waits for a decision. */
  waits(ref: ParkedStepRef): boolean {
    return this.#find(ref) !== undefined;
  }

  /** Lets the saga of a parked step go on. */
  decide(ref: ParkedStepRef, decision: Decision): void {
    const entry = this.#find(ref);
    if (entry) entry.decision = decision;
  }

  /** All parked steps, for the query. */
  list(): ParkedStepView[] {
    return [...this.#parked].map(({ orderId, step, error, parkTime }) => ({ orderId, step, error, parkTime }));
  }

  #find(ref: ParkedStepRef): ParkedStep | undefined {
    return [...this.#parked].find(
      (entry) => entry.orderId === ref.orderId && entry.step === ref.step && entry.decision === undefined,
    );
  }

  /** Many steps are often parked in the same activation: one change of the search attribute is enough for all. */
  #publish(): void {
    if (this.#publishing) return;
    this.#publishing = true;
    // Not in the order's scope, which may be cancelled: the attribute belongs to all orders.
    void CancellationScope.nonCancellable(afterMicrotasks).then(() => {
      this.#publishing = false;
      const orderIds = [...new Set([...this.#parked].map((entry) => entry.orderId))];
      upsertSearchAttributes([{ key: parkedOrderIdsAttribute, value: orderIds.length > 0 ? orderIds : null }]);
    });
  }
}
