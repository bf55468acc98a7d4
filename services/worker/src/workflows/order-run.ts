import { CancellationScope, CancelledFailure, isCancellation } from "@temporalio/workflow";
import { AmendmentRun } from "./amendment-run.ts";
import { charge, type Spread, spread } from "./charges.ts";
import { approval, StepRefused } from "./engine/failures.ts";
import type { EpisodeOptions } from "./engine/options.ts";
import type { SagaSubject, StepStatus } from "./engine/saga.ts";
import type { Refusal } from "./engine/step-batch.ts";
import { cancellation, failureFor, failureOf } from "./order/customer-texts.ts";
import type { Allocation, OrderFailure, OrderMove, SagaStage } from "./order/order-types.ts";
import { planParcels } from "./order/parcel-plan.ts";
import {
  type Amendment,
  type CameBack,
  type CarriedOrder,
  type Charge,
  firstCredit,
  holdBeside,
  type OrderEvent,
  type ParcelEvent,
  type ParcelState,
  type SagaState,
} from "./order-state.ts";
import { chargesOf, hear, type Parcel, toOrderParcel } from "./parcel.ts";
import { divide, divideLoss, remembered } from "./repayments.ts";
import type { CutOrder, Reserved, SettleInput } from "./step-table.ts";

/** What has come back, together with its order. */
export interface TakenBack extends CameBack {
  readonly order: CarriedOrder;
  /** From which payments it is paid back, or credited to what is sent for it. */
  readonly charges: readonly Charge[];
  /** What of these is paid back; known once it is decided what is credited. */
  refunds: readonly Charge[];
  /** Whether it is paid back. */
  isRepaid: boolean;
  /** Whether nobody has approved that it is. */
  isRefused: boolean;
  /** Whether orders knows that stock and money are back. */
  isComplete: boolean;
}

/** Whether an order can be cancelled now; "resting": its row decides. */
export type Cancellability = "yes" | "already" | "no" | "resting";

/** The checkout took longer than it may. */
export class CheckoutLate extends Error {
  override readonly name = "CheckoutLate";
}

/** What was begun to be undone in an earlier episode is undone further. */
export class Undone extends Error {
  override readonly name = "Undone";
}

const ended: ReadonlySet<SagaStage> = new Set(["DELIVERED", "REJECTED", "CANCELLED", "FAILED"]);
/** Parcels that are still here: their shipments can be called off. */
const here: ReadonlySet<string> = new Set(["PLANNED", "PACKING", "DROPPING", "CANCELLED"]);
/** Where an order goes, step by step, when all goes well. */
const path: readonly (OrderMove | undefined)[] = [undefined, "CONFIRMED", "PREPARING", "SHIPPED", "DELIVERED"];
/** The most records of steps that are kept: an order of many parcels has hundreds. */
const maxSteps = 100;
/** Longest error that is kept. */
const maxError = 300;
/** Why it is cancelled is no matter of the saga: orders keeps it, and shows it. */
const saidNothing = "on request";

/** What a run is besides its order. */
export interface RunFacts {
  readonly options: EpisodeOptions;
  /** Whether a first workflow task was lost: what it did is not in the history, but it may have come as far as it could. */
  readonly repeated: boolean;
  readonly batchSize: number;
}

/** One order in an episode: what its saga remembers, and what becomes of it now. */
export class OrderRun implements SagaSubject {
  order: CarriedOrder;
  /** The amendment with which the saga is not through. */
  readonly amendment: AmendmentRun | undefined;
  parcels: Parcel[] = [];
  /** What has come back, and is to be put back. */
  readonly returns: readonly TakenBack[];
  stage: SagaStage;
  /** The reservation was refused: nothing was asked for after it. */
  nothingReserved: boolean;
  /** Whether what is missing of it follows in an order of its own, which is made when this one is confirmed. */
  isFollowed = false;
  readonly #facts: RunFacts;
  readonly #before: SagaState;
  readonly #scope = new CancellationScope();
  readonly #steps: SagaState["steps"];
  readonly #early: ParcelEvent[];
  readonly #again: Record<string, number>;
  readonly #resolved: Set<string>;
  #status: OrderMove | undefined;
  #failure: OrderFailure | undefined;
  #cancelReason: string | undefined;
  /** Whether it was told that the cancellation was accepted, though it may have come too late. */
  #cancellationHeard = false;
  /** The parked step that nobody has decided about. */
  #undecided: SagaState["parked"];
  #parked: SagaState["parked"];
  #waitsFor: string | undefined;
  readonly #invalid: Record<string, number> = {};
  #awaitsStock: boolean;
  #setAside: readonly Allocation[] = [];
  #settling = false;
  #settlesFirst = false;

  constructor(order: CarriedOrder, facts: RunFacts) {
    const before: SagaState = order.saga ?? { stage: "CHECKOUT", steps: [], parcels: [] };
    this.order = order;
    this.#facts = facts;
    this.#before = before;
    this.stage = before.stage;
    this.nothingReserved = before.nothingReserved ?? false;
    this.#steps = before.steps;
    this.#early = before.early ?? [];
    this.#again = { ...before.again };
    this.#resolved = new Set(before.resolved);
    this.#status = before.status ?? (order.confirmed ? "CONFIRMED" : undefined);
    this.#failure = before.failure;
    this.#undecided = before.parked;
    this.#awaitsStock = before.awaitsStock ?? false;
    const repaid = new Set(before.repaid);
    const divided = divide(order.returns ?? [], { parcels: before.parcels, before: before.repayments });
    this.returns = (order.returns ?? []).map((each) => ({
      ...each,
      order,
      charges: divided.get(each.returnId) ?? [],
      refunds: divided.get(each.returnId) ?? [],
      isRepaid: repaid.has(each.returnId),
      isRefused: false,
      isComplete: false,
    }));
    this.#plan(before.parcels);
    for (const { parcelLocationId } of order.returns ?? []) this.#cameBack(parcelLocationId);
    this.amendment = order.amendment && new AmendmentRun(this, order.amendment, before.amending);
    for (const event of order.events) this.#take(event);
    // Accepted: it counts whatever else was told.
    if (before.cancelReason !== undefined) this.#cancel(before.cancelReason);
  }

  /** The warehouse has received a parcel, whatever the carrier says of it. */
  #cameBack(locationId: string | undefined): void {
    const parcel = this.parcels.find((each) => each.locationId === locationId && each.stage === "SHIPPED");
    if (parcel) parcel.report ??= "RETURNED";
  }

  /**
   * Whether it was cancelled when parcels of it had left, or were about to. Then each parcel is looked at for itself, also when this run knows
   * of none that left: one that was lost may have gone further.
   */
  get isRecalled(): boolean {
    return this.order.recalled !== undefined && this.#cancelReason === undefined && this.stage !== "COMPENSATING";
  }

  /** Whether a parcel was not with the customer when the order was cancelled. */
  wasRecalled({ locationId }: Parcel): boolean {
    return this.order.recalled?.includes(locationId) === true;
  }

  /** Nothing of it stays with the customer, as he wanted. */
  endsCancelled(): void {
    this.stage = "CANCELLED";
    this.#failure = cancellation(saidNothing);
  }

  /** From which payments a lost parcel is paid back. */
  lossOf(parcel: Parcel, refund: number): Charge[] {
    const underWay = this.returns.filter(({ isComplete }) => !isComplete);
    const known = new Set(Object.keys(this.#before.repayments?.underWay ?? {}));
    const fresh = underWay.filter(({ returnId }) => !known.has(returnId)).map(({ charges }) => charges);
    return divideLoss({ parcel, refund }, { parcels: this.parcels, before: this.#before.repayments, underWay: fresh });
  }

  /** Whether the saga of this order is over. */
  get ended(): boolean {
    return ended.has(this.stage);
  }

  /** Whether it cannot be amended any more: nothing of it is to be packed. */
  get isPastAmending(): boolean {
    return this.ended || this.stage === "TRACKING";
  }

  /**
   * Whether it is to be amended, and only its row knows that it is confirmed. Its checkout is gone through again by whoever carries it after this
   * run is lost, with what it asked for then; once it is amended, it asks for something else.
   */
  get isToBeAmendedLater(): boolean {
    const { stage } = this.#before;
    return stage === "CHECKOUT" && this.stage === "FULFILLMENT" && this.amendment !== undefined;
  }

  /** Comes to rest, and goes on at once. */
  settlesFirst(): void {
    this.#settlesFirst = true;
  }

  /** Whether it is to be cancelled. */
  get isUnwanted(): boolean {
    return this.#cancelReason !== undefined;
  }

  /** Whether a first workflow task was lost, in which anything may have been done. */
  get isRepeated(): boolean {
    return this.#facts.repeated;
  }

  /** The amendments for which something was authorized that is not captured. */
  get furtherPayments(): number[] {
    const open = this.parcels.filter(({ stage }) => here.has(stage) && stage !== "CANCELLED");
    return [...new Set(open.flatMap(chargesOf).map(({ payment }) => payment))].filter((payment) => payment > 0);
  }

  /** What pays it besides a card, because it is sent in exchange. */
  get credits(): Charge[] {
    return (this.order.credits ?? []).map((amount, index) => ({ payment: firstCredit + index, amount }));
  }

  /** What a card is to pay. */
  get due(): number {
    return this.order.total.amount - this.credits.reduce((sum, { amount }) => sum + amount, 0);
  }

  /** What is set aside where, if it is known. */
  setsAside(reserved: Reserved): void {
    if (reserved !== "waiting") this.#setAside = Array.isArray(reserved) ? reserved : (reserved.allocations ?? []);
  }

  /** What of {@link due} each parcel is charged that is planned from what is set aside; those that a card pays nothing of left out. */
  get shares(): { locationId: string; amount: number }[] {
    const lines = this.order.checkout?.lines ?? [];
    const planned = planParcels({ lines, total: this.order.total }, [...this.#setAside]);
    return this.charged(planned.map(({ status: stage, ...parcel }) => ({ ...parcel, stage }))).flatMap((parcel) => {
      const amount = chargesOf(parcel).reduce((sum, each) => (each.payment === 0 ? sum + each.amount : sum), 0);
      return amount > 0 ? [{ locationId: parcel.locationId, amount }] : [];
    });
  }

  /** What parcels are charged to, where payments are captured in parts. */
  charged(parcels: ParcelState[]): ParcelState[] {
    const { credits, due } = this;
    return credits.length > 0 ? charge(parcels, [...credits, { payment: 0, amount: due }]) : parcels;
  }

  /** The same where they are captured once, and so much is held by each. */
  spread(parcels: ParcelState[], held: readonly number[]): Spread {
    const { shares } = this;
    const holds = held.map((amount, index) => ({
      payment: holdBeside(0, index),
      held: amount,
      locationId: shares[index]?.locationId ?? "",
    }));
    return spread(parcels, { credits: this.credits, holds }, (index) => holdBeside(0, held.length + index));
  }

  /** Whether there is money to move. */
  get paid(): boolean {
    return this.order.total.amount > 0;
  }

  /** Whether orders is to be asked if the order may go on. One that has waited for too long is given up in any case. */
  get toBeScreened(): boolean {
    return this.order.checkout?.screen === true && !this.late;
  }

  /**
   * Whether the checkout may have been finished already by a run that was lost. Then it is gone through to its end, so that
   * it is known again what was confirmed, before anything else is decided.
   */
  get mayBeConfirmed(): boolean {
    return this.order.confirmed || this.#facts.repeated;
  }

  /** Whether the checkout has taken longer than it may. Nobody promised how long it takes until stock arrives. */
  get late(): boolean {
    return !this.mayBeConfirmed && !this.#awaitsStock && Date.now() >= this.#deadline;
  }

  /** Whether it waits in turn when there is less than it wants. */
  get waitsInTurn(): boolean {
    return this.order.checkout?.backOrder === true;
  }

  /** Whether it gets what is there when there is less than it wants. */
  get takesPart(): boolean {
    return this.order.checkout?.shipAvailable === true;
  }

  /** It waits for stock: the step goes on. */
  queues(step: string): void {
    this.#awaitsStock = true;
    this.note(step, "RUNNING");
  }

  /** It waits for stock no more. */
  hasStock(): void {
    this.#awaitsStock = false;
  }

  get #deadline(): number {
    return this.order.createTime + this.#facts.options.checkoutPatienceMs;
  }

  /** Whether a cancellation would be accepted: until the first parcel leaves. */
  get cancellability(): Cancellability {
    if (this.#settling) return "resting";
    if (this.#cancelReason !== undefined || this.order.recalled) return "already";
    return this.#cancellable && !this.#departs ? "yes" : "no";
  }

  /** Whether a parcel leaves as soon as this run comes to it, or has left already in a run that was lost. */
  get #departs(): boolean {
    const known = [...this.parcels.filter(({ stage }) => stage === "PACKING"), ...this.#early];
    return known.some(({ news }) => news === "PACKED" || news === "BOOKED");
  }

  get #cancellable(): boolean {
    const open = this.stage === "CHECKOUT" || this.stage === "FULFILLMENT";
    return open && this.parcels.every(({ stage }) => here.has(stage));
  }

  /** Accepts a cancellation when that is possible; otherwise nothing happens. */
  cancel(reason: string): void {
    if (this.cancellability === "yes") this.#cancel(reason);
  }

  #cancel(reason: string): void {
    this.#cancelReason ??= reason;
    this.#cancellationHeard = true;
    this.#scope.cancel();
  }

  /** @throws CancelledFailure when the order is to be cancelled */
  mustBeWanted(): void {
    if (this.#cancelReason !== undefined) throw new CancelledFailure("the order is cancelled");
  }

  /** Runs what a cancellation of the order interrupts. */
  interruptibly<T>(work: () => Promise<T>): Promise<T> {
    return this.#scope.run(work);
  }

  /**
   * From here on the order cannot be cancelled, because the parcel leaves. The one place where a cancellation and a departure
   * meet: nothing is awaited between the look and the decision.
   *
   * @throws CancelledFailure when a cancellation came first
   */
  leaves(parcel: Parcel, stage: "LEAVING" | "TAKEN"): void {
    this.mustBeWanted();
    parcel.stage = stage;
  }

  /** The order is confirmed, and this is what it consists of. What was told of its parcels before is heard now. */
  confirmedAs(parcels: ParcelState[]): void {
    this.#status ??= "CONFIRMED";
    this.#plan(parcels);
    this.stage = "FULFILLMENT";
    this.hearsEarly();
  }

  #plan(parcels: ParcelState[]): void {
    this.parcels = parcels.map((parcel) => ({ ...parcel, order: this.order }));
  }

  /** The order is without what was missing of it from here on. */
  becomesLess({ lines, total, followed = false }: CutOrder): void {
    this.isFollowed = followed;
    const { checkout } = this.order;
    this.order = { ...this.order, total, ...(checkout && { checkout: { ...checkout, lines } }) };
  }

  /** The order is another one from here on: it consists of these parcels. */
  becomes(parcels: ParcelState[], { lines, total, address }: Amendment): void {
    const { checkout } = this.order;
    const amended = checkout && { ...checkout, ...(lines && { lines }), ...(address && { address }) };
    this.order = { ...this.order, total, ...(amended && { checkout: amended }) };
    this.#plan(parcels);
  }

  /** The saga of this order is over. */
  ends(stage: "DELIVERED" | "FAILED", failure?: OrderFailure): void {
    this.stage = stage;
    if (failure) this.#failure = failure;
  }

  /** All that was done is undone. A cancellation that was accepted is kept, whatever else went wrong. */
  undone(): void {
    for (const parcel of this.parcels) parcel.stage = "CANCELLED";
    if (this.#cancelReason !== undefined) this.stage = "CANCELLED";
    else this.stage = this.#status === undefined ? "REJECTED" : "FAILED";
  }

  /** The order was confirmed, which only its row knew: it cannot be rejected any more. */
  wasConfirmed(): void {
    this.#status = "CONFIRMED";
    this.stage = "FAILED";
  }

  /** The row does not take the order's next status. */
  stuck(refusal: Refusal): void {
    this.#parked = undefined;
    this.park((this.#nextMove ?? "settle").toLowerCase(), refusal);
  }

  note(step: string, status: StepStatus, error?: string): void {
    const known = this.#steps.findLast(({ name }) => name === step);
    const record = known ?? { name: step, status, startTime: Date.now() };
    if (!known) this.#steps.push(record);
    record.status = status;
    delete record.error;
    if (error !== undefined) record.error = told(error);
  }

  again(step: string): number {
    return this.#again[step] ?? 0;
  }

  isResolved(step: string): boolean {
    return this.#resolved.has(step);
  }

  staysParked(step: string): boolean {
    if (this.#undecided?.step !== step) return false;
    this.#parked = this.#undecided;
    return true;
  }

  park(step: string, { reason, message }: Refusal, isOpen = false): void {
    this.#parked ??= { step, reason, error: told(`${reason}: ${message}`), ...(isOpen && { isOpen }) };
  }

  calledInvalid(step: string): number {
    const times = (this.#before.invalid?.[step] ?? 0) + 1;
    this.#invalid[step] = times;
    return times;
  }

  awaits(whom: string): void {
    this.#waitsFor ??= whom;
  }

  compensating(cause: unknown): void {
    this.#failure = this.#whyUndone(cause);
    this.stage = "COMPENSATING";
  }

  #whyUndone(cause: unknown): OrderFailure | undefined {
    if (cause instanceof Undone) return this.#failure;
    const known = isCancellation(cause) || cause instanceof StepRefused || cause instanceof CheckoutLate;
    if (!known) throw cause;
    if (this.#cancelReason !== undefined) return cancellation(this.#cancelReason);
    return cause instanceof StepRefused ? failureOf(cause.refusal) : failureFor("SERVICE_UNAVAILABLE");
  }

  #take(event: OrderEvent): void {
    switch (event.kind) {
      case "cancellation":
        this.#cancellationHeard = true;
        if (this.#cancellable && !this.order.recalled) this.#cancel(event.reason);
        break;
      case "shipment":
        this.#hear(event);
        break;
      case "decision":
        this.#decide(event);
        break;
      default:
    }
  }

  /** What is told of a parcel that another one has taken the place of is not heard; of one that is not known yet, later. */
  #hear({ locationId, news, trackingNumber, generation = 0 }: ParcelEvent): void {
    const parcel = this.parcels.find((candidate) => candidate.locationId === locationId);
    const known = parcel ? (parcel.generation ?? 0) : -1;
    if (parcel && known === generation) hear(parcel, news, trackingNumber);
    else if (this.stage === "CHECKOUT" || (generation > known && this.#isBeingAmended)) {
      this.#early.push({ locationId, news, trackingNumber, ...(generation > 0 && { generation }) });
    }
  }

  /** Whether parcels may come about of which only a run that was lost knew. */
  get #isBeingAmended(): boolean {
    return this.amendment !== undefined && !this.amendment.isOver;
  }

  /** Whether something was told of parcels that were not known. */
  get hasEarly(): boolean {
    return this.#early.length > 0;
  }

  /** Hears what was told of parcels that were not known before. */
  hearsEarly(): void {
    for (const event of this.#early.splice(0)) this.#hear(event);
  }

  #decide({ step, resolved }: { step: string; resolved: boolean }): void {
    const parked = this.#undecided;
    if (parked?.step !== step) return;
    this.#undecided = undefined;
    if (resolved) this.#resolved.add(step);
    else if (!parked.isOpen) this.#again[step] = this.again(step) + 1;
  }

  /** Where the order is on its way to, as its saga stands. */
  get #target(): OrderMove | undefined {
    switch (this.stage) {
      case "CHECKOUT":
      case "COMPENSATING":
        return this.#status;
      case "FULFILLMENT":
        return this.parcels.some(({ stage }) => stage === "PLANNED") ? "CONFIRMED" : "PREPARING";
      case "TRACKING":
        return "SHIPPED";
      default:
        return this.stage;
    }
  }

  /** The next status of the order; undefined when it is where it should be. */
  get #nextMove(): OrderMove | undefined {
    const target = this.#target;
    const at = path.indexOf(this.#status);
    if (target === undefined || at < 0) return undefined;
    if (!path.includes(target)) return target;
    return path.indexOf(target) > at ? path[at + 1] : undefined;
  }

  /** Whether it is to go on at once: its row takes one status at a time. */
  #goesOn(next: OrderMove | undefined): boolean {
    return next !== undefined && next !== this.#target;
  }

  /**
   * How the order rests now. From here on a cancellation is its row's to decide. Calling it again, after the row refused
   * a move, makes another settlement.
   */
  settlement(): SettleInput {
    const { order, parcels } = this;
    const move = this.#nextMove;
    const next = move && this.#isStuckAt(move) ? undefined : move;
    const cancellable = this.#cancellable && this.#cancelReason === undefined && !order.recalled;
    this.#settling = true;
    const retryAfterMs = this.#retryAfterMs(next);
    const shown = parcels.map((parcel) => toOrderParcel(parcel, order.total.currency));
    return {
      orderId: order.orderId,
      saga: this.#stateAt(next),
      ...(next && { status: next }),
      ...(this.#failure && next && !path.includes(next) && { failure: this.#failure }),
      ...(shown.length > 0 && { parcels: shown }),
      cancellable,
      cancellationHeard: this.#cancellationHeard,
      needsCard: this.stage === "CHECKOUT",
      ...(this.#isQueued && { awaitsStock: true }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(this.#waitsFor && { waitsFor: this.#waitsFor }),
      ...(this.#parked && { parked: this.#parked }),
      ...(this.amendment?.isOver && { amended: this.amendment.amendment.number }),
    };
  }

  get #isQueued(): boolean {
    return this.stage === "CHECKOUT" && this.#awaitsStock;
  }

  /** Whether an operator has to decide before the row is asked again to take a status. */
  #isStuckAt(move: OrderMove): boolean {
    const step = move.toLowerCase();
    return this.#parked?.step === step || this.staysParked(step);
  }

  #retryAfterMs(next: OrderMove | undefined): number | undefined {
    if (this.#waitsFor !== undefined) return this.#pauseMs();
    return this.#parked === undefined && (this.#goesOn(next) || this.#isToBeUndone || this.#settlesFirst)
      ? 0
      : undefined;
  }

  /** Whether its cancellation was accepted, and came to rest all the same, where nothing may interrupt it: for stock, or for a person. */
  get #isToBeUndone(): boolean {
    return this.isUnwanted && (this.stage === "CHECKOUT" || this.stage === "FULFILLMENT");
  }

  /** Spread, so that nobody who comes back is trampled; a checkout is not carried later than its deadline. */
  #pauseMs(): number {
    const { awayFirstMs, awayMaxMs, approvalPauseMs = awayMaxMs } = this.#facts.options;
    if (this.#waitsFor === approval) return approvalPauseMs;
    const pauseMs = Math.min(awayMaxMs, awayFirstMs * 2 ** Math.min(this.#tries - 1, 30));
    // biome-ignore lint/plugin/random: Temporal's own in workflows; spreads pauses
    const spreadMs = Math.round(pauseMs * (0.5 + Math.random()));
    if (this.stage !== "CHECKOUT" || this.mayBeConfirmed || this.#awaitsStock) return spreadMs;
    return Math.max(0, Math.min(spreadMs, this.#deadline - Date.now()));
  }

  /** How many episodes in a row have ended like this one; one that came further begins anew. */
  get #tries(): number {
    const { stage, waitsFor, tries = 0 } = this.#before;
    return stage === this.stage && waitsFor === this.#waitsFor ? tries + 1 : 1;
  }

  #stateAt(next: OrderMove | undefined): SagaState {
    const status = next ?? this.#status;
    const repaid = this.returns.filter(({ isRepaid, isComplete }) => isRepaid && !isComplete);
    const amending = this.amendment?.state;
    const repayments = remembered(this.returns, { parcels: this.parcels, before: this.#before.repayments });
    return {
      stage: this.stage,
      ...(status && { status }),
      steps: this.#steps.slice(-maxSteps),
      parcels: this.parcels.map(toState),
      ...(this.#early.length > 0 && { early: this.#early }),
      ...(this.#cancelReason !== undefined && { cancelReason: this.#cancelReason }),
      ...(this.#failure && { failure: this.#failure }),
      ...(this.nothingReserved && { nothingReserved: true }),
      ...(this.#parked && { parked: this.#parked }),
      ...(Object.keys(this.#again).length > 0 && { again: this.#again }),
      ...(this.#resolved.size > 0 && { resolved: [...this.#resolved] }),
      ...(this.#isQueued && { awaitsStock: true }),
      ...(this.#waitsFor && { waitsFor: this.#waitsFor, tries: this.#tries }),
      ...(Object.keys(this.#invalid).length > 0 && { invalid: this.#invalid }),
      ...(repaid.length > 0 && { repaid: repaid.map(({ returnId }) => returnId) }),
      ...(repayments && { repayments }),
      batchSize: this.#facts.batchSize,
      ...(amending && { amending }),
    };
  }
}

/** What somebody else said, as it can be kept: PostgreSQL takes no NUL. */
export function told(text: string): string {
  return text.replaceAll("\u0000", "").slice(0, maxError);
}

function toState({ order: _, ...parcel }: Parcel): ParcelState {
  return parcel;
}
