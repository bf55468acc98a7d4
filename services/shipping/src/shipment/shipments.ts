import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import { shipmentNotFound } from "./errors.ts";
import type { CreatedShipment, NewShipment, ShipmentFilter, ShipmentRepository } from "./shipment.repository.ts";
import { isTombstone, type Shipment, shipmentKey } from "./shipment.ts";

/** What the shipments work with. */
export interface ShipmentsOptions {
  readonly repository: ShipmentRepository;
  /** Called after a shipment was created: the warehouse need not wait for the timer. */
  readonly onCreated: () => void;
}

/** Creates and reads shipments; what many ask at a time is one statement. */
export class Shipments {
  readonly #options: ShipmentsOptions;
  readonly #creations: Batcher<NewShipment, CreatedShipment>;
  readonly #reads: Batcher<string, Shipment | undefined>;

  constructor(options: ShipmentsOptions) {
    const { repository } = options;
    this.#options = options;
    this.#creations = new Batcher({
      name: "shipment.create",
      run: repository.create,
      keyOf: shipmentKey,
      sizeOf: (input) => 512 + 128 * input.lines.length,
      maxBytes: 256 * 1024,
    });
    this.#reads = new Batcher({ name: "shipment.read", run: (ids) => repository.find(ids), lanes: 2 });
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

  /** Takes nothing more and resolves once everything that waits has been answered. */
  async drain(): Promise<void> {
    await Promise.all([this.#creations.drain(), this.#reads.drain()]);
  }
}
