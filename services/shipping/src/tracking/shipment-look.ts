import { remainingMs } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { inParallel } from "#platform/parallel.ts";
import type { CarrierCalls } from "../booking/carrier-call.ts";
import type { LookOutcome } from "../shipment/metrics.ts";
import type { Shipment, TrackingEvent } from "../shipment/shipment.ts";
import type { SilentFilter, SilentShipment, SilentShipmentRepository } from "./silent-shipment.repository.ts";
import { storableEvent, type Tracking } from "./tracking.ts";
import { isOver, isReportable, newEvents } from "./tracking-events.ts";

/** A parcel that the carrier was asked about. */
export interface TrackedShipment {
  readonly shipment: Shipment;
  readonly outcome: LookOutcome;
}

/** What the look works with. */
export interface ShipmentLookOptions {
  readonly repository: SilentShipmentRepository;
  readonly calls: Pick<CarrierCalls, "track">;
  readonly tracking: Pick<Tracking, "report">;
  /** Told of parcels that an operator has to find out about, and of which the carrier gives no answer. */
  readonly log: Pick<Logger, "warn">;
  /** Told what came of each parcel. */
  readonly onOutcome?: (outcome: LookOutcome) => void;
}

/** Parcels that the carrier is asked about at the same time. */
const asksAtOnce = 16;
/** So many calls without an answer, and the rest of the page is not asked about: the carrier is away, or so slow that it is as good. */
const maxUnanswered = 32;
/**
 * How long one page may take, enough for a hundred calls that take the usual `CARRIER_TIMEOUT_MS` each, and how much of the caller's
 * time is left for writing down and answering; milliseconds.
 */
const maxPageMs = 20_000;
const answerMarginMs = 1_000;
/** Lines of the log that one page may have. */
const maxLines = 20;

/** What the log says of a parcel. */
const sentences: Partial<Record<LookOutcome, string>> = {
  overdue: "nobody has reported anything of a parcel for longer than one can be under way",
  unknown: "the carrier does not have a parcel that it has taken",
  unanswered: "the carrier gave no answer about a silent parcel, and will be asked again",
};

/** What was found out, and what kept the carrier from answering. */
interface Found extends TrackedShipment {
  readonly error?: unknown;
}

/**
 * Asks the carrier about parcels of which nobody reports anything, and takes what it says as if it had been reported. Nothing
 * is inferred from silence: what the carrier does not know, or does not answer, stays as it is.
 */
export class ShipmentLook {
  readonly #options: ShipmentLookOptions;

  constructor(options: ShipmentLookOptions) {
    this.#options = options;
  }

  /** A page of the parcels to ask about. */
  find(filter: SilentFilter): Promise<SilentShipment[]> {
    return this.#options.repository.find(filter);
  }

  /**
   * Asks about each of them, some at a time. One that fails, by the carrier or by what it answers, concerns itself alone.
   *
   * @throws the reason of the signal, when the caller has gone
   */
  async look(shipments: readonly SilentShipment[], signal: AbortSignal): Promise<TrackedShipment[]> {
    const pageMs = Math.min(maxPageMs, Math.max(0, remainingMs() - answerMarginMs));
    const end = AbortSignal.any([signal, AbortSignal.timeout(pageMs)]);
    let unanswered = 0;
    const found = await inParallel(shipments, asksAtOnce, async (silent): Promise<Found> => {
      const { shipment } = silent;
      if (unanswered >= maxUnanswered || end.aborted) return { shipment, outcome: "unanswered" };
      try {
        return await this.#ask(silent, end);
      } catch (error) {
        unanswered += 1;
        return { shipment, outcome: "unanswered", error };
      }
    });
    signal.throwIfAborted();
    this.#tell(found);
    return found;
  }

  /**
   * Notes that all silent parcels have been looked at, unless the carrier has answered for none of the last ones: somebody
   * should hear of a carrier that never tells.
   */
  async over(last: readonly TrackedShipment[]): Promise<void> {
    const silent = last.length > 0 && last.every(({ outcome }) => outcome === "unanswered");
    if (!silent) await this.#options.repository.noteLook();
  }

  async #ask({ shipment, overdue }: SilentShipment, end: AbortSignal): Promise<Found> {
    const known = await this.#options.calls.track(shipment, end);
    if (!known) return { shipment, outcome: "unknown" };
    const events = newEvents(shipment, known.filter(isReportable).map(storableEvent));
    if (events.length === 0) return { shipment, outcome: overdue ? "overdue" : "unchanged" };
    const after = await this.#report(shipment, events);
    return { shipment: after, outcome: isOver(after) ? "ended" : "reported" };
  }

  /** All of them at once, so that they are one write, and its end follows from all. */
  async #report({ trackingNumber }: Shipment, events: readonly TrackingEvent[]): Promise<Shipment> {
    const { tracking } = this.#options;
    const taken = await Promise.all(events.map((event) => tracking.report({ trackingNumber, event })));
    return taken.at(-1) as Shipment;
  }

  #tell(found: readonly Found[]): void {
    const { log, onOutcome } = this.#options;
    for (const { outcome } of found) onOutcome?.(outcome);
    const worth = found.filter(({ outcome, error }) => sentences[outcome] && (outcome !== "unanswered" || error));
    for (const { shipment, outcome, error } of worth.slice(0, maxLines)) {
      const ids = { "shipment.id": shipment.shipmentId, "order.id": shipment.orderId };
      log.warn(sentences[outcome] ?? "", { ...ids, ...(error !== undefined && { err: error }) });
    }
  }
}
