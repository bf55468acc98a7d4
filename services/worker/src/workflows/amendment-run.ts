import { isCancellation } from "@temporalio/workflow";
import { type AmendmentPlan, isHere, linesAt, planAmendment, type StockChange } from "./amendment-plan.ts";
import { StepRefused } from "./engine/failures.ts";
import type { SagaSubject, StepStatus } from "./engine/saga.ts";
import type { Refusal } from "./engine/step-batch.ts";
import { amendmentFailure, amendmentFailureOf } from "./order/customer-texts.ts";
import type { OrderFailure, OrderLine, SagaStage } from "./order/order-types.ts";
import type { AmendingState, Amendment, CarriedOrder, Charge, ParcelState } from "./order-state.ts";
import type { Parcel } from "./parcel.ts";

/** What an amendment concerns has left, or leaves. */
export class AmendmentTooLate extends Error {
  override readonly name = "AmendmentTooLate";
}

/** It costs more, and no card was named: something has gone missing of the order since it was asked for. */
export class CardNeeded extends Error {
  override readonly name = "CardNeeded";
}

/** An amendment that was begun to be undone in an earlier episode is undone further. */
export class AmendmentUndone extends Error {
  override readonly name = "AmendmentUndone";
}

/** The order that is amended, as its own saga has it. */
export interface AmendedOrder extends Omit<SagaSubject, "compensating"> {
  readonly order: CarriedOrder;
  readonly parcels: Parcel[];
  readonly stage: SagaStage;
  /** Whether it is to be cancelled. */
  readonly isUnwanted: boolean;
  /** Whether it was cancelled when parcels of it had left. */
  readonly isRecalled: boolean;
  /** Whether a first workflow task was lost, in which anything may have been done. */
  readonly isRepeated: boolean;
  /** It is another one from here on. */
  becomes(parcels: ParcelState[], amendment: Amendment): void;
}

/** What is to be voided of one payment of an order. */
export interface VoidedCharge extends Charge {
  readonly change: AmendmentRun;
}

/** An amendment of one order in an episode: a saga of its own, which leaves the order as it was when it is undone. */
export class AmendmentRun implements SagaSubject {
  readonly amendment: Amendment;
  readonly #run: AmendedOrder;
  #failure: OrderFailure | undefined;
  #plan: AmendmentPlan | undefined;
  #begun: boolean;
  #happened: boolean;
  #voids: Charge[];
  #isOver = false;

  constructor(run: AmendedOrder, amendment: Amendment, before: AmendingState | undefined) {
    const mine = before?.number === amendment.number ? before : undefined;
    this.#run = run;
    this.amendment = amendment;
    this.#failure = mine?.failure;
    this.#begun = mine !== undefined;
    this.#happened = mine?.happened ?? false;
    this.#voids = mine?.voids ?? [];
  }

  get order(): CarriedOrder {
    return this.#run.order;
  }

  /** Whether the saga is through with it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the order is as it asks for. */
  get happened(): boolean {
    return this.#happened;
  }

  /** Whether it has happened, which this run does not know the consequences of, or may have by a run that was lost: then it is gone through to its end. */
  get mayHaveHappened(): boolean {
    return this.amendment.accepted || this.#run.isRepeated;
  }

  /** Whether it was begun to be undone, or is not wanted any more because the order is not. */
  get isToBeUndone(): boolean {
    return this.#failure !== undefined || this.#run.isUnwanted || this.#run.isRecalled;
  }

  /** Whether it was begun to be undone. */
  get isFailing(): boolean {
    return this.#failure !== undefined;
  }

  /** Whether something may have been authorized for it. */
  get costsMore(): boolean {
    return this.amendment.cardToken !== "" || (this.#plan?.more ?? 0) > 0;
  }

  /** All lines of the order from then on. */
  get lines(): readonly OrderLine[] {
    return this.amendment.lines ?? this.order.checkout?.lines ?? [];
  }

  /** Locations where nothing is to be changed: what is packed may not have been told yet, so this is a hint, and shipping decides. */
  get fixedLocations(): string[] {
    const fixed = this.#run.parcels.filter((parcel) => !isHere(parcel) || (parcel.news && parcel.news !== "CANCELLED"));
    return fixed.map(({ locationId }) => locationId);
  }

  /** Parcels that have to be taken back. */
  get concerned(): Parcel[] {
    const concerned = this.#plan?.concerned ?? [];
    return this.#run.parcels.filter((parcel) => concerned.some(({ locationId }) => locationId === parcel.locationId));
  }

  /** Parcels that may have been taken back by a run that is over. */
  get maybeTaken(): Parcel[] {
    const { number } = this.amendment;
    return this.#run.parcels.filter((parcel) => isHere(parcel) && parcel.lines && (parcel.generation ?? 0) < number);
  }

  get plan(): AmendmentPlan {
    if (!this.#plan) throw new TypeError(`amendment ${this.amendment.number} of ${this.order.orderId} is not planned`);
    return this.#plan;
  }

  /** What is to be voided, once it has happened. */
  get voids(): VoidedCharge[] {
    return this.#voids.map((charge) => ({ ...charge, change: this }));
  }

  get failure(): OrderFailure {
    const { stage } = this.#run;
    const left = stage === "TRACKING" || stage === "DELIVERED";
    return this.#failure ?? amendmentFailure(left ? "AMENDMENT_TOO_LATE" : "ORDER_ENDED");
  }

  /** @throws AmendmentTooLate when what has left, or leaves, would have to go elsewhere */
  mustBeInTime(): void {
    this.#begun = true;
    const leaves = ({ stage }: Parcel) => !isHere({ stage }) && stage !== "CANCELLED" && stage !== "DROPPING";
    if (this.amendment.address && this.#run.parcels.some(leaves)) throw new AmendmentTooLate();
  }

  /** What stays, goes and comes is known. @throws AmendmentTooLate when it would cost less than what has left */
  plannedAs(stock: StockChange): void {
    const { number, total, address } = this.amendment;
    const wish = { number, lines: this.lines, total, readdressed: address !== undefined };
    this.#plan = planAmendment(this.#run.parcels, stock, wish);
    if (!this.#plan) throw new AmendmentTooLate();
    for (const parcel of this.#run.parcels) {
      if (isHere(parcel)) parcel.lines = linesAt(stock.before, parcel.locationId);
    }
  }

  /** The order is as it asks for, from here on. */
  happen(): void {
    const { parcels, voids } = this.plan;
    // Also where an earlier run, which is lost, has begun it: planned once more from the parcels that there are now, nothing would be given back.
    this.#begun = true;
    this.#happened = true;
    this.#voids = voids;
    this.#failure = undefined;
    this.#run.becomes(parcels, this.amendment);
  }

  /** All that was done for it is undone: the order is as before. */
  undone(): void {
    this.#isOver = true;
  }

  /** All that follows from it is done. */
  finished(): void {
    this.#isOver = true;
  }

  /** What is remembered of it while the saga is not through with it. */
  get state(): AmendingState | undefined {
    if (this.#isOver || !this.#begun) return undefined;
    return {
      number: this.amendment.number,
      ...(this.#failure && { failure: this.#failure }),
      ...(this.#happened && { happened: true }),
      ...(this.#voids.length > 0 && { voids: this.#voids }),
    };
  }

  note(step: string, status: StepStatus, error?: string): void {
    this.#run.note(step, status, error);
  }

  again(step: string): number {
    return this.#run.again(step);
  }

  isResolved(step: string): boolean {
    return this.#run.isResolved(step);
  }

  staysParked(step: string): boolean {
    return this.#run.staysParked(step);
  }

  park(step: string, refusal: Refusal, isOpen?: boolean): void {
    this.#run.park(step, refusal, isOpen);
  }

  awaits(whom: string): void {
    this.#run.awaits(whom);
  }

  calledInvalid(step: string): number {
    return this.#run.calledInvalid(step);
  }

  compensating(cause: unknown): void {
    if (cause instanceof AmendmentUndone) return;
    if (cause instanceof AmendmentTooLate) this.#failure = amendmentFailure("AMENDMENT_TOO_LATE");
    else if (cause instanceof CardNeeded) this.#failure = amendmentFailure("CARD_NEEDED");
    else if (cause instanceof StepRefused) this.#failure = amendmentFailureOf(cause.refusal);
    else if (isCancellation(cause)) this.#failure ??= amendmentFailure("ORDER_ENDED");
    else throw cause;
  }
}
