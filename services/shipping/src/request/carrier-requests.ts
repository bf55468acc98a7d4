import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import { withSubject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { inParallel } from "#platform/parallel.ts";
import { outsideText } from "#platform/redact/outside-text.ts";
import { resumeTrace } from "#platform/trace/spans.ts";
import type { LabelState, TurnBackAnswer } from "../booking/carrier.ts";
import type { CarrierCalls } from "../booking/carrier-call.ts";
import { isTrackingNumber, outsideFailure } from "../shipment/outside-text.ts";
import { shipmentKey } from "../shipment/shipment.ts";
import type { ShipmentRef } from "../shipment/shipment-change.ts";
import { isOver } from "../tracking/tracking-events.ts";
import type { CarrierRequestRepository, NewCarrierRequest } from "./carrier-request.repository.ts";
import { type CarrierRequestState, type Decision, type DueRequest, decide, notAnswered } from "./carrier-request.ts";

/** What the asking works with. */
export interface CarrierRequestsOptions {
  readonly repository: CarrierRequestRepository;
  readonly calls: Pick<CarrierCalls, "turnBack" | "label">;
  /** Told of what the carrier does not answer, and what it answers that cannot be used. */
  readonly log: Pick<Logger, "warn">;
  /** How long one call to the carrier may take before its outcome counts as unknown, in milliseconds. */
  readonly timeoutMs: number;
  /** Called when there is something to ask, or to tell: it need not wait for the timer. */
  readonly onAsked?: () => void;
  readonly onAnswered?: () => void;
}

const batchSize = 64;
/** Calls to the carrier at the same time. */
const asksAtOnce = 16;
/** The longest label that is kept, in characters. */
const longestLabel = 2_000;

/**
 * Asks the carrier to turn parcels back, and for the labels of returns. The wish is committed first; the carrier is asked under a key that
 * stays the same until it has said something definite, or has been asked for so long that it counts as a refusal. Nothing is inferred from
 * silence: what it does after that, it reports.
 */
export class CarrierRequests {
  readonly #options: CarrierRequestsOptions;
  readonly #turnBacks: Batcher<NewCarrierRequest, ShipmentRef>;
  readonly #labels: Batcher<NewCarrierRequest, ShipmentRef>;

  constructor(options: CarrierRequestsOptions) {
    const { repository } = options;
    this.#options = options;
    this.#turnBacks = new Batcher({ name: "shipment.turn_back", run: repository.turnBack, keyOf: shipmentKey });
    this.#labels = new Batcher({
      name: "shipment.return_label",
      run: repository.label,
      keyOf: ({ returnId = "" }) => returnId,
    });
  }

  /** Has a shipment turned back; says what is known of it. @throws SHIPMENT_NOT_FOUND, NOT_SHIPPED */
  async turnBack(request: NewCarrierRequest, options?: SubmitOptions): Promise<CarrierRequestState> {
    const { shipmentId } = await this.#turnBacks.submit(request, options);
    this.#options.onAsked?.();
    const known = await this.#options.repository.find([shipmentId]);
    return known.get(shipmentId)?.state ?? "asked";
  }

  /** Has a label made for a return; orders is told of it. @throws SHIPMENT_NOT_FOUND */
  async label(request: NewCarrierRequest & { readonly returnId: string }, options?: SubmitOptions): Promise<void> {
    await this.#labels.submit(request, options);
    this.#options.onAsked?.();
  }

  /** Asks about what is due; returns how much that was. What one process claimed and did not finish is due again after its lease. */
  async sweep(): Promise<number> {
    const { repository, timeoutMs } = this.#options;
    // Each is asked twice at most, and waits for those before it.
    const leaseMs = 2 * timeoutMs * Math.ceil(batchSize / asksAtOnce) + 1_000;
    const due = await repository.claimDue(leaseMs, batchSize);
    await inParallel(due, asksAtOnce, (request) => this.#askInTrace(request));
    return due.length;
  }

  /** Takes nothing more and resolves once everything that waits has been answered. */
  async drain(): Promise<void> {
    await Promise.all([this.#turnBacks.drain(), this.#labels.drain()]);
  }

  #askInTrace(request: DueRequest): Promise<void> {
    const { shipmentId, orderId, trace } = request.shipment;
    const attributes = { "shipment.id": shipmentId, "order.id": orderId, "carrier.attempts": request.attempts };
    const ask = () => withSubject({ "order.id": orderId }, () => this.#ask(request));
    return resumeTrace(trace, { name: `resume ${request.kind.replace("_", " ")}`, attributes }, ask);
  }

  /** Written down one by one: what one of them waits for keeps no other from being known. */
  async #ask(request: DueRequest): Promise<void> {
    const { repository, log, onAnswered } = this.#options;
    const decision = await this.#decide(request);
    if (!decision) return await repository.defer([request]);
    if (decision === notAnswered)
      log.warn("the carrier has not answered in time, which counts as a refusal", fieldsOf(request));
    await repository.settle([{ request, decision }]);
    onAnswered?.();
  }

  async #decide(request: DueRequest): Promise<Decision | undefined> {
    const { log } = this.#options;
    const { kind, shipment } = request;
    if (kind === "turn_back" && isOver(shipment)) return refusal("ENDED");
    try {
      const decision = decide(storable(await this.#answerTo(request)));
      if (decision) return decision;
    } catch (error) {
      log.warn("the carrier gave no answer and will be asked again", { ...fieldsOf(request), err: error });
    }
    return request.isLate ? notAnswered : undefined;
  }

  #answerTo({ kind, key, shipment }: DueRequest): Promise<TurnBackAnswer | LabelState> {
    const { calls, timeoutMs } = this.#options;
    const end = AbortSignal.timeout(2 * timeoutMs);
    return kind === "label" ? calls.label(shipment, key, end) : calls.turnBack(shipment, end);
  }
}

function refusal(code: string): Decision {
  return { state: "refused", code, trackingNumber: "", label: "" };
}

/** A label under a number that reports could not name it by is none. */
function storable(answer: TurnBackAnswer | LabelState): TurnBackAnswer | LabelState {
  if (answer.kind === "refused") return { kind: "refused", message: "", ...outsideFailure(answer.code, "") };
  if (answer.kind !== "made") return answer;
  if (!isTrackingNumber(answer.trackingNumber)) {
    return { kind: "refused", code: "TRACKING_NUMBER_UNUSABLE", message: "the number of the label is none" };
  }
  return { ...answer, label: outsideText(answer.label, longestLabel) };
}

function fieldsOf({ shipment: { shipmentId, orderId }, kind }: DueRequest) {
  return { "shipment.id": shipmentId, "order.id": orderId, "carrier.request": kind };
}
