import { setTimeout as delay } from "node:timers/promises";
import { SpanKind } from "@opentelemetry/api";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import { endSpan, startSpan, underSpan } from "#platform/trace/spans.ts";
import { orAbort } from "#platform/wait.ts";
import type { Shipment, TrackingEvent } from "../shipment/shipment.ts";
import { addressOf } from "../shipment/shipment-address.ts";
import {
  type BookingState,
  type Carrier,
  CarrierUndecidedError,
  type LabelState,
  type ParcelFacts,
  type TurnBackAnswer,
} from "./carrier.ts";
import { ordinaryParcel } from "./parcel-facts.ts";

/** What is asked of the carrier; `find` only asks. */
export type Question = "book" | "cancel" | "find";

/** What is asked, as it is measured. */
type Call = Question | "track" | "turn back" | "label" | "find label";

/** How a call ended: with the carrier's answer, or without one. */
type Outcome = BookingState["kind"] | TurnBackAnswer["kind"] | LabelState["kind"] | "tracked" | "failed";

/** Notes how long one call took, in seconds. */
export type NoteCarrierCall = (call: Call, outcome: Outcome, seconds: number) => void;

/** What the calls work with. */
export interface CarrierCallOptions {
  readonly carrier: Carrier;
  /** How long one call may take before its outcome counts as unknown, in milliseconds. */
  readonly timeoutMs: number;
  readonly note: NoteCarrierCall | undefined;
  /** Opens addresses; by default all of them are plain. */
  readonly personal?: PersonalData | undefined;
  /** What is known of the parcels of a location; by default what is ordinary. */
  readonly factsOf?: ((locationId: string) => ParcelFacts) | undefined;
}

/** One call. */
interface CarrierWork<T> {
  readonly work: (signal: AbortSignal) => Promise<T>;
  /** By when there has to be an answer, however long one may take. */
  readonly end: AbortSignal;
  readonly outcomeOf: (answer: T) => Outcome;
}

/**
 * So much later than it expires nobody books a parcel any more, in milliseconds: clocks may differ by that, and what was begun in time may take as long.
 */
const expiryMarginMs = 500;

const cannot = { kind: "refused", code: "NOT_SUPPORTED", message: "the carrier does no such thing" } as const;
const noLabel = Promise.resolve<LabelState>({ kind: "unknown" });

/** Calls the carrier about shipments: each call in a span of its own, measured, and no longer than it may take. */
export class CarrierCalls {
  readonly #options: CarrierCallOptions;

  constructor(options: CarrierCallOptions) {
    this.#options = options;
  }

  /**
   * Asks the carrier about a shipment. What became of a booking whose answer is lost is asked for at once.
   *
   * @param end by when all questions of the decision have to be answered
   * @throws when there is no answer: what the carrier did is not known
   */
  async ask(shipment: Shipment, question: Question, end: AbortSignal): Promise<BookingState> {
    const { carrier } = this.#options;
    const { shipmentId: key, orderId, locationId } = shipment;
    const call = (asked: Question, work: (signal: AbortSignal) => Promise<BookingState>) =>
      this.#call(asked, shipment, { work, end, outcomeOf: ({ kind }) => kind });
    if (question === "cancel") return call("cancel", (signal) => carrier.cancel(key, signal));
    if (question === "find") return call("find", (signal) => carrier.find(key, signal));
    const address = await addressOf(this.#options.personal ?? plainPersonalData, shipment);
    if (!address) throw new Error(`shipment ${key} has no address`);
    const parcel = (this.#options.factsOf ?? (() => ordinaryParcel))(locationId);
    const expireTime = new Date(Date.now() + this.#options.timeoutMs);
    const order = { key, orderId, locationId, address, parcel, expireTime };
    try {
      return await call("book", (signal) => carrier.book(order, signal));
    } catch (error) {
      return await this.#afterLostAnswer(error, expireTime, () => call("find", (signal) => carrier.find(key, signal)));
    }
  }

  /**
   * What became of a booking without an answer. While it may still arrive at the carrier nothing else is asked about the parcel: that there is none would be
   * true for a moment only, and it would be called off before it is booked.
   */
  async #afterLostAnswer(error: unknown, expireTime: Date, find: () => Promise<BookingState>): Promise<BookingState> {
    try {
      const found = await find();
      if (found.kind !== "unknown") return found;
    } catch {
      // Nothing is known; the booking's own error says more.
    }
    const leftMs = expireTime.getTime() + expiryMarginMs - Date.now();
    if (!(error instanceof CarrierUndecidedError) && leftMs > 0) await delay(leftMs);
    throw error;
  }

  /**
   * Asks the carrier what it has to tell of a parcel's way; undefined when it has no such parcel.
   *
   * @param end by when there has to be an answer, however long one may take
   * @throws when there is none
   */
  track(shipment: Shipment, end: AbortSignal): Promise<readonly TrackingEvent[] | undefined> {
    return this.#call("track", shipment, {
      work: (signal) => this.#options.carrier.track(shipment.shipmentId, signal),
      end,
      outcomeOf: (events) => (events ? "tracked" : "unknown"),
    });
  }

  /**
   * Asks the carrier to turn a parcel back; one that cannot refuses.
   *
   * @param end by when there has to be an answer, however long one may take
   * @throws when there is none: what the carrier does is not known
   */
  turnBack(shipment: Shipment, end: AbortSignal): Promise<TurnBackAnswer> {
    const { carrier } = this.#options;
    if (!carrier.turnBack) return Promise.resolve(cannot);
    const work = (signal: AbortSignal) => carrier.turnBack?.(shipment.shipmentId, signal) ?? Promise.resolve(cannot);
    return this.#call("turn back", shipment, { work, end, outcomeOf: ({ kind }) => kind });
  }

  /**
   * Has the carrier make a label, with which what a shipment held is sent back to where it left from. What became of one whose answer is
   * lost is asked for at once.
   *
   * @param key names the label
   * @throws when there is no answer: whether there is a label is not known
   */
  async label(shipment: Shipment, key: string, end: AbortSignal): Promise<LabelState> {
    const { carrier } = this.#options;
    const { locationId, orderId } = shipment;
    const address = await addressOf(this.#options.personal ?? plainPersonalData, shipment);
    if (!address) return { kind: "refused", code: "ADDRESS_FORGOTTEN", message: "where the parcel went is forgotten" };
    if (!carrier.makeLabel) return cannot;
    const call = (asked: Call, work: (signal: AbortSignal) => Promise<LabelState>) =>
      this.#call(asked, shipment, { work, end, outcomeOf: ({ kind }) => kind });
    try {
      const order = { key, orderId, address, locationId };
      return await call("label", (signal) => carrier.makeLabel?.(order, signal) ?? noLabel);
    } catch (error) {
      const found = await call("find label", (signal) => carrier.findLabel?.(key, signal) ?? noLabel);
      if (found.kind !== "unknown") return found;
      throw error;
    }
  }

  async #call<T>(
    question: Call,
    { shipmentId, orderId }: Shipment,
    { work, end: limit, outcomeOf }: CarrierWork<T>,
  ): Promise<T> {
    const signal = AbortSignal.any([limit, AbortSignal.timeout(this.#options.timeoutMs)]);
    const attributes = { "peer.service": "carrier", "shipment.id": shipmentId, "order.id": orderId };
    const span = startSpan(`carrier ${question}`, { kind: SpanKind.CLIENT, attributes });
    const begin = performance.now();
    const end = (outcome: Outcome, error?: unknown) => {
      this.#options.note?.(question, outcome, (performance.now() - begin) / 1_000);
      span?.setAttribute("ordermesh.outcome", outcome);
      endSpan(span, error);
    };
    try {
      const answer = await underSpan(span, () => orAbort(work, signal));
      end(outcomeOf(answer));
      return answer;
    } catch (error) {
      end("failed", error);
      throw error;
    }
  }
}
