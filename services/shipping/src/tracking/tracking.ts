import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import { outsideId, outsideText } from "#platform/redact/outside-text.ts";
import { activeTraceParent, endSpan, linksTo, startResumed } from "#platform/trace/spans.ts";
import type { Shipment, TrackingEvent } from "../shipment/shipment.ts";
import type { SubmittedReport, TrackedShipment, TrackingReport, TrackingRepository } from "./tracking.repository.ts";

/** What the tracking works with. */
export interface TrackingOptions {
  readonly repository: TrackingRepository;
  /** Called after a shipment has arrived or was lost: whoever is to be told need not wait for the timer. */
  readonly onOver: (shipment: Shipment) => void;
}

/** Takes what carriers report; what many report at a time is one transaction. */
export class Tracking {
  readonly #options: TrackingOptions;
  readonly #reports: Batcher<SubmittedReport, TrackedShipment>;

  constructor(options: TrackingOptions) {
    const { repository } = options;
    this.#options = options;
    this.#reports = new Batcher({ name: "shipment.track", run: (reports) => repository.record(reports) });
  }

  /** Takes a report of a carrier, in any order and repeated. @throws SHIPMENT_NOT_FOUND */
  async report(given: TrackingReport, options?: SubmitOptions): Promise<Shipment> {
    const report = storable(given);
    const begin = new Date();
    const { shipment, ended } = await this.#reports.submit({ ...report, origin: auditOrigin() }, options);
    traceReport(shipment, report, begin);
    if (ended) this.#options.onOver(shipment);
    return shipment;
  }

  /** Takes nothing more and resolves once everything that waits has been answered. */
  async drain(): Promise<void> {
    await this.#reports.drain();
  }
}

/** The longest texts of a report, in characters, as the proto has them. */
const longest = { trackingNumber: 128, eventId: 128, place: 200 };

/** A number that no parcel can have stays one. */
function storable({ trackingNumber, event }: TrackingReport): TrackingReport {
  return { trackingNumber: outsideId(trackingNumber, longest.trackingNumber), event: storableEvent(event) };
}

/** What a carrier says, as it is kept; two ids that differ only in what cannot be stored are one. */
export function storableEvent(event: TrackingEvent): TrackingEvent {
  const eventId = outsideId(event.eventId, longest.eventId);
  return { ...event, eventId, place: outsideText(event.place, longest.place) };
}

/** Which shipment a report is about is known only when it was taken: its span in the order's trace is made afterwards. */
function traceReport(
  { shipmentId, orderId, status, trace }: Shipment,
  { event }: TrackingReport,
  startTime: Date,
): void {
  const ids = { "shipment.id": shipmentId, "order.id": orderId };
  const attributes = { ...ids, "shipment.event": event.kind, "ordermesh.outcome": status };
  const links = linksTo([activeTraceParent()]);
  endSpan(startResumed(trace, { name: "tracking report", attributes, links, startTime }));
}
