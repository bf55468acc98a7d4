import { SpanKind } from "@opentelemetry/api";
import { endSpan, startSpan, underSpan } from "#platform/trace/spans.ts";
import { orAbort } from "#platform/wait.ts";
import type { Shipment } from "../shipment/shipment.ts";
import type { BookingState, Carrier } from "./carrier.ts";

/** What is asked of the carrier; `find` only asks. */
export type Question = "book" | "cancel" | "find";

/** How a call ended: with the carrier's answer, or without one. */
type Outcome = BookingState["kind"] | "failed";

/** Notes how long one call took, in seconds. */
export type NoteCarrierCall = (call: Question, outcome: Outcome, seconds: number) => void;

/** What the calls work with. */
export interface CarrierCallOptions {
  readonly carrier: Carrier;
  /** How long one call may take before its outcome counts as unknown, in milliseconds. */
  readonly timeoutMs: number;
  readonly note: NoteCarrierCall | undefined;
}

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
    const { shipmentId: key, locationId, address } = shipment;
    const call = (asked: Question, work: (signal: AbortSignal) => Promise<BookingState>) =>
      this.#measure(asked, shipment, () =>
        orAbort(work, AbortSignal.any([end, AbortSignal.timeout(this.#options.timeoutMs)])),
      );
    if (question === "cancel") return call("cancel", (signal) => carrier.cancel(key, signal));
    if (question === "find") return call("find", (signal) => carrier.find(key, signal));
    if (!address) throw new Error(`shipment ${key} has no address`);
    try {
      return await call("book", (signal) => carrier.book({ key, locationId, address }, signal));
    } catch (error) {
      const found = await call("find", (signal) => carrier.find(key, signal));
      if (found.kind !== "unknown") return found;
      throw error;
    }
  }

  async #measure(
    question: Question,
    { shipmentId, orderId }: Shipment,
    work: () => Promise<BookingState>,
  ): Promise<BookingState> {
    const attributes = { "peer.service": "carrier", "shipment.id": shipmentId, "order.id": orderId };
    const span = startSpan(`carrier ${question}`, { kind: SpanKind.CLIENT, attributes });
    const begin = performance.now();
    const end = (outcome: Outcome, error?: unknown) => {
      this.#options.note?.(question, outcome, (performance.now() - begin) / 1_000);
      span?.setAttribute("ordermesh.outcome", outcome);
      endSpan(span, error);
    };
    try {
      const answer = await underSpan(span, work);
      end(answer.kind);
      return answer;
    } catch (error) {
      end("failed", error);
      throw error;
    }
  }
}
