import type { AuditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import { detached, remainingMs, withSubject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { resumeTrace } from "#platform/trace/spans.ts";
import { orLate } from "#platform/wait.ts";
import { type Shipment, shipmentKey } from "../shipment/shipment.ts";
import { ownOrigin } from "../shipment/shipment-audit.ts";
import type { BookingRepository, CarrierAnswer, Claim, ShipmentRequest } from "./booking.repository.ts";
import type { Carrier, ParcelFacts } from "./carrier.ts";
import { CarrierCalls, type NoteCarrierCall, type Question } from "./carrier-call.ts";
import type { Asked, Settlement } from "./judgement.ts";

/** What booking works with. Durations are milliseconds. */
export interface BookingOptions {
  readonly repository: BookingRepository;
  readonly carrier: Carrier;
  /** Told what is undecided. */
  readonly log: Pick<Logger, "warn">;
  /** How long one call to the carrier may take before its outcome counts as unknown. */
  readonly timeoutMs: number;
  /** How long a caller waits for the carrier; what is undecided then goes on by itself. */
  readonly answerMs: number;
  /** Decisions that one process works on at a time; what is beyond waits in the table. Default 1,000. */
  readonly maxRunning?: number;
  /** Opens addresses; by default all of them are plain. */
  readonly personal?: PersonalData | undefined;
  /** What is known of the parcels of a location; by default what is ordinary. */
  readonly factsOf?: (locationId: string) => ParcelFacts;
  /** Told how long each call to the carrier took. */
  readonly onCall?: NoteCarrierCall;
  /** Called after the carrier has decided what orders is to be told: it need not wait for the timer. */
  readonly onNews?: () => void;
}

const batchSize = 128;
/** See {@link BookingOptions.maxRunning}. */
const defaultMaxRunning = 1_000;
/** Left of a caller's deadline for reading the shipment and answering, in milliseconds. */
const answerMarginMs = 100;
/** A decision takes at most: to find nothing, to book, to find out that it is not wanted any more, to call it off. */
const maxQuestions = 4;

/** How long the questions of one decision may take together: one call that times out, and asking for its outcome. */
function decisionMs(timeoutMs: number): number {
  return 2 * timeoutMs;
}

/**
 * How long a claim lasts, in milliseconds: longer than a decision, so that replicas do not ask the carrier the same at a
 * time. That they might is no harm, for the key is the same.
 */
export function leaseFor(timeoutMs: number): number {
  return decisionMs(timeoutMs) + 1_000;
}

/**
 * Hands shipments to the carrier and takes them back. The intent is committed before the carrier is called, under a key
 * that stays the same; an answer that is lost is asked for, and what is not answered at all is asked again by the sweep.
 */
export class Booking {
  readonly #options: BookingOptions;
  readonly #calls: CarrierCalls;
  readonly #books: Batcher<ShipmentRequest, Claim>;
  readonly #cancellations: Batcher<ShipmentRequest, Claim>;
  readonly #answers: Batcher<CarrierAnswer, Settlement>;
  readonly #deferred: Batcher<Shipment, undefined>;
  readonly #awaited: Batcher<string, boolean>;
  /** The decisions that this process works on, by shipment. They never fail. */
  readonly #running = new Map<string, Promise<void>>();

  constructor(options: BookingOptions) {
    const { repository, carrier, timeoutMs, personal, factsOf, onCall: note } = options;
    this.#options = options;
    this.#calls = new CarrierCalls({ carrier, timeoutMs, note, personal, factsOf });
    this.#books = new Batcher({ name: "shipment.book", run: repository.book, keyOf: shipmentKey });
    this.#cancellations = new Batcher({ name: "shipment.cancel", run: repository.cancel, keyOf: shipmentKey });
    this.#answers = new Batcher({ name: "shipment.settle", run: (answers) => repository.settle(answers) });
    this.#awaited = new Batcher({ name: "shipment.await", run: (ids) => repository.markAwaited(ids) });
    this.#deferred = new Batcher({
      name: "shipment.defer",
      run: async (shipments) => {
        await repository.defer(shipments);
        return shipments.map(() => undefined);
      },
    });
  }

  /**
   * Books a shipment and waits for the carrier as long as a caller may; returns the shipment's id.
   *
   * @param enough fires when it is to be answered as it stands
   */
  book(request: ShipmentRequest, options?: SubmitOptions, enough?: AbortSignal): Promise<string> {
    return this.#claimAndWait(this.#books.submit(request, options), request.origin, enough);
  }

  /** Calls a shipment off, in the same way. */
  cancel(request: ShipmentRequest, options?: SubmitOptions, enough?: AbortSignal): Promise<string> {
    return this.#claimAndWait(this.#cancellations.submit(request, options), request.origin, enough);
  }

  /**
   * Notes that whoever asked is answered before the carrier has decided about a shipment, so that orders is told what it
   * decides.
   *
   * @returns false when it has decided by now, and nobody is told
   */
  awaitNews(shipmentId: string, options?: SubmitOptions): Promise<boolean> {
    return this.#awaited.submit(shipmentId, options);
  }

  /**
   * Takes up what a crash, a lost answer or a carrier that was away left undecided; returns how much that was. One that is
   * slow does not hold up the others: the sweep does not wait for decisions.
   */
  async sweep(): Promise<number> {
    const room = Math.min(batchSize, this.#room);
    if (room <= 0) return 0;
    const shipments = await this.#options.repository.claimDue(room);
    for (const shipment of shipments) this.#resume(shipment);
    return shipments.length;
  }

  /** Resolves once the decisions that this process works on have come or were put off. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Takes nothing more and resolves once the carrier has answered what it was asked. */
  async drain(): Promise<void> {
    await Promise.all([this.#books.drain(), this.#cancellations.drain(), this.#awaited.drain()]);
    await this.settled();
    await Promise.all([this.#answers.drain(), this.#deferred.drain()]);
  }

  /** How many more decisions this process may work on. */
  get #room(): number {
    return (this.#options.maxRunning ?? defaultMaxRunning) - this.#running.size;
  }

  async #claimAndWait(claimed: Promise<Claim>, origin: AuditOrigin, enough?: AbortSignal): Promise<string> {
    const { shipmentId, leased } = await claimed;
    if (leased && this.#room > 0) this.#start(leased, () => this.#decideOrDefer(leased, origin));
    else if (leased) await this.#defer(leased);
    const running = this.#running.get(shipmentId);
    if (running) await orLate(running, Math.min(this.#options.answerMs, remainingMs() - answerMarginMs), enough);
    return shipmentId;
  }

  /** In the trace of whoever asked for it last. */
  #resume(shipment: Shipment): void {
    const { shipmentId, orderId, trace, attempts } = shipment;
    const attributes = { "shipment.id": shipmentId, "order.id": orderId, "booking.attempts": attempts };
    const decide = () => this.#decideOrDefer(shipment, ownOrigin(trace));
    this.#start(shipment, () => resumeTrace(trace, { name: "resume booking", attributes }, decide));
  }

  /** The caller may go away, the decision goes on: it has neither the caller's deadline nor its cancellation. */
  #start({ shipmentId, orderId }: Shipment, decide: () => Promise<void>): void {
    const running = detached(() => withSubject({ "order.id": orderId }, decide)).finally(() => {
      if (this.#running.get(shipmentId) === running) this.#running.delete(shipmentId);
    });
    this.#running.set(shipmentId, running);
  }

  async #decideOrDefer(shipment: Shipment, origin: AuditOrigin): Promise<void> {
    const fields = { "shipment.id": shipment.shipmentId, "booking.attempts": shipment.attempts };
    try {
      await this.#decide(shipment, origin);
    } catch (error) {
      this.#options.log.warn("a booking is undecided and will be asked for again", { ...fields, err: error });
      await this.#defer(shipment);
    }
  }

  /** Leaves a shipment to the sweep. Never fails. */
  async #defer(shipment: Shipment): Promise<void> {
    try {
      await this.#deferred.submit(shipment);
    } catch (error) {
      const fields = { "shipment.id": shipment.shipmentId, err: error };
      this.#options.log.warn("a booking waits for the end of its lease", fields);
    }
  }

  async #decide(shipment: Shipment, origin: AuditOrigin): Promise<void> {
    const end = AbortSignal.timeout(decisionMs(this.#options.timeoutMs));
    let question = firstQuestion(shipment);
    let asked: Asked = question === "cancel" ? "cancel" : "book";
    for (let count = 0; count < maxQuestions; count += 1) {
      const answer = await this.#calls.ask(shipment, question, end);
      const settlement = await this.#answers.submit({ shipmentId: shipment.shipmentId, asked, answer, origin });
      if (settlement.kind === "decided") return this.#decided(settlement.shipment);
      asked = settlement.kind;
      if (asked === "withdraw")
        this.#options.log.warn("the carrier's tracking number cannot be used", fieldsOf(shipment));
      question = asked === "withdraw" ? "cancel" : asked;
    }
    throw new Error(`the carrier contradicts itself about shipment ${shipment.shipmentId}`);
  }

  #decided(shipment: Shipment): void {
    if (shipment.trackingNumber === shipment.shipmentId) {
      this.#options.log.warn("a parcel is on its way under no tracking number of the carrier", fieldsOf(shipment));
    }
    if (shipment.reported && shipment.awaited) this.#options.onNews?.();
  }
}

function fieldsOf({ shipmentId, orderId }: Shipment) {
  return { "shipment.id": shipmentId, "order.id": orderId };
}

/** What was never sent is sent; what may have been sent is asked for first. */
function firstQuestion(shipment: Shipment): Question {
  if (shipment.cancelRequested) return "cancel";
  return shipment.attempts === 1 ? "book" : "find";
}
