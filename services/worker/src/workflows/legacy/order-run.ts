import { CancellationScope, CancelledFailure } from "@temporalio/workflow";
import type { StepStatus } from "../engine/saga.ts";
import type { OrderFailure, ParcelReport, SagaStage } from "../order/order-types.ts";
import type { Parking } from "./engine/parking.ts";
import type { Decision, SagaSubject } from "./engine/saga.ts";
import type { OrderState, OrderStatusView, ParcelState, SagaOrder, StepRecord } from "./order-state.ts";

/** A parcel together with its order. */
export interface Parcel extends ParcelState {
  readonly order: SagaOrder;
}

/** Whether an order can be cancelled now. */
export type Cancellability = "yes" | "already" | "no";

const ended: ReadonlySet<SagaStage> = new Set(["DELIVERED", "REJECTED", "CANCELLED", "FAILED"]);

/** One order while its workflow carries it. */
export class OrderRun implements SagaSubject {
  readonly order: SagaOrder;
  parcels: Parcel[];
  stage: SagaStage;
  failure: OrderFailure | undefined;
  readonly #steps: StepRecord[];
  readonly #parking: Parking;
  readonly #scope = new CancellationScope();
  #cancelReason: string | undefined;
  #leaving = false;
  #running = 0;

  constructor(state: OrderState, parking: Parking) {
    this.order = state.order;
    this.stage = state.stage;
    this.failure = state.failure;
    this.parcels = state.parcels.map((parcel) => ({ ...parcel, order: state.order }));
    this.#steps = state.steps;
    this.#parking = parking;
  }

  /** Whether the saga of this order is over. */
  get ended(): boolean {
    return ended.has(this.stage);
  }

  /** Whether the saga only waits for its parcels to arrive. */
  get waits(): boolean {
    return this.stage === "TRACKING" && this.#running === 0;
  }

  /** Why the order is to be cancelled; undefined when nobody asked for it. */
  get cancelReason(): string | undefined {
    return this.#cancelReason;
  }

  /** Whether a cancellation would be accepted: until the first parcel leaves. */
  get cancellability(): Cancellability {
    if (this.#cancelReason !== undefined) return "already";
    if (this.#leaving || (this.stage !== "CHECKOUT" && this.stage !== "FULFILLMENT")) return "no";
    return "yes";
  }

  /** Accepts a cancellation when that is possible; otherwise nothing happens. */
  cancel(reason: string): void {
    if (this.cancellability !== "yes") return;
    this.#cancelReason = reason;
    this.#scope.cancel();
  }

  /** Runs what a cancellation of the order interrupts. */
  interruptibly<T>(work: () => Promise<T>): Promise<T> {
    return this.#scope.run(work);
  }

  /**
   * From here on the order cannot be cancelled, because a parcel leaves. The one place where a cancellation and a
   * departure meet: nothing is awaited between the look and the decision.
   *
   * @throws CancelledFailure when a cancellation came first
   */
  leaves(): void {
    if (this.#cancelReason !== undefined) throw new CancelledFailure("the order is cancelled");
    this.#leaving = true;
  }

  note(step: string, status: StepStatus): void {
    const last = this.#steps.findLast(({ name }) => name === step);
    if (status === "RUNNING") this.#running++;
    else if (last?.status === "RUNNING") this.#running--;
    if (last && (status !== "RUNNING" || last.status === "PARKED")) last.status = status;
    else this.#steps.push({ name: step, status, startTime: Date.now() });
  }

  async park(step: string, error: string, parkMs: number | undefined): Promise<Decision> {
    this.#running++;
    try {
      return await this.#parking.park(this.order.orderId, step, { error, parkMs });
    } finally {
      this.#running--;
    }
  }

  compensating(): void {
    this.stage = "COMPENSATING";
  }

  /** The subject of a part of the saga: when a part is undone, the order goes on. */
  get part(): SagaSubject {
    return {
      note: (step, status) => this.note(step, status),
      park: (step, error, parkMs) => this.park(step, error, parkMs),
      compensating: () => {},
    };
  }

  /** Takes what the carrier reported about a parcel. The first report counts. */
  report(locationId: string, result: ParcelReport): void {
    const parcel = this.parcels.find((candidate) => candidate.locationId === locationId);
    if (parcel) parcel.report ??= result;
  }

  /** All that a following run of the workflow needs. */
  get state(): OrderState {
    const { order, stage, failure } = this;
    const parcels = this.parcels.map(({ order: _, ...parcel }) => parcel);
    return { order, stage, steps: this.#steps, parcels, ...(failure ? { failure } : {}) };
  }

  /** What the query shows. */
  view(listSize: number): OrderStatusView {
    const { order, stage, failure } = this;
    return { orderId: order.orderId, stage, steps: this.#steps, failureReason: failure?.reason ?? "", listSize };
  }
}
