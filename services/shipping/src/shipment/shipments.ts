import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import { activeTraceParent, endSpan, linksTo, startResumed } from "#platform/trace/spans.ts";
import type {
  SubmittedReport,
  TrackedShipment,
  TrackingReport,
  TrackingRepository,
} from "../tracking/tracking.repository.ts";
import { shipmentNotFound } from "./errors.ts";
import {
  type CreatedShipment,
  type NewShipment,
  parcelKey,
  type ShipmentFilter,
  type ShipmentRepository,
} from "./shipment.repository.ts";
import { isTombstone, type Shipment } from "./shipment.ts";

/** What the shipments work with. */
export interface ShipmentsOptions {
  readonly repository: ShipmentRepository;
  readonly tracking: TrackingRepository;
  /** Called after a shipment was created: the warehouse need not wait for the timer. */
  readonly onCreated: () => void;
  /** Called after a shipment has arrived or was lost: its saga need not wait for the timer. */
  readonly onOver: (shipment: Shipment) => void;
}

/** Creates, reads and tracks shipments; what many ask at a time is one statement. */
export class Shipments {
  readonly #options: ShipmentsOptions;
  readonly #creations: Batcher<NewShipment, CreatedShipment>;
  readonly #reads: Batcher<string, Shipment | undefined>;
  readonly #reports: Batcher<SubmittedReport, TrackedShipment>;

  constructor(options: ShipmentsOptions) {
    const { repository, tracking } = options;
    this.#options = options;
    this.#creations = new Batcher({
      name: "shipment.create",
      run: repository.create,
      keyOf: parcelKey,
      sizeOf: (input) => 512 + 128 * input.lines.length,
      maxBytes: 256 * 1024,
    });
    this.#reads = new Batcher({ name: "shipment.read", run: (ids) => repository.find(ids), lanes: 2 });
    this.#reports = new Batcher({ name: "shipment.track", run: (reports) => tracking.record(reports) });
  }

  /**
   * Creates a shipment, to be packed; a repetition, and a second request for the same order and location, get the one that
   * is there, as it stands now. @throws SHIPMENT_CANCELLED
   */
  async create(input: NewShipment, options?: SubmitOptions): Promise<Shipment> {
    const { shipmentId, shipment } = await this.#creations.submit(input, options);
    if (!shipment) return this.get(shipmentId);
    this.#options.onCreated();
    return shipment;
  }

  /** @throws SHIPMENT_NOT_FOUND */
  async get(shipmentId: string, options?: SubmitOptions): Promise<Shipment> {
    const shipment = await this.look(shipmentId, options);
    if (isTombstone(shipment)) throw shipmentNotFound({ shipment_id: shipmentId });
    return shipment;
  }

  /** The same, but also finds the mark of a cancellation that came first. @throws SHIPMENT_NOT_FOUND */
  async look(shipmentId: string, options?: SubmitOptions): Promise<Shipment> {
    const shipment = await this.#reads.submit(shipmentId, options);
    if (!shipment) throw shipmentNotFound({ shipment_id: shipmentId });
    return shipment;
  }

  /** A page of shipments, the newest first. */
  list(filter: ShipmentFilter): Promise<Shipment[]> {
    return this.#options.repository.list(filter);
  }

  /** Takes a report of a carrier, in any order and repeated. @throws SHIPMENT_NOT_FOUND */
  async report(report: TrackingReport, options?: SubmitOptions): Promise<Shipment> {
    const begin = new Date();
    const { shipment, ended } = await this.#reports.submit({ ...report, origin: auditOrigin() }, options);
    traceReport(shipment, report, begin);
    if (ended) this.#options.onOver(shipment);
    return shipment;
  }

  /** Takes nothing more and resolves once everything that waits has been answered. */
  async drain(): Promise<void> {
    await Promise.all([this.#creations.drain(), this.#reports.drain(), this.#reads.drain()]);
  }
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
