import type { PackingRepository } from "./packing.repository.ts";
import type { PackingOrder, Warehouse } from "./warehouse.ts";

/** What the packing works with. Durations are milliseconds. */
export interface PackingOptions {
  readonly repository: PackingRepository;
  readonly warehouse: Warehouse;
  /** How long one question to the warehouse may take. */
  readonly timeoutMs: number;
}

const listLength = 256;

/** Has shipments packed: gives them to the warehouse and asks until they are ready. */
export class Packing {
  readonly #options: PackingOptions;

  constructor(options: PackingOptions) {
    this.#options = options;
  }

  /**
   * Asks the warehouse about what is due and writes down what it says; returns how many that were. Several replicas share
   * the work; what one of them claimed and did not finish is due again after its lease.
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { repository, warehouse, timeoutMs } = this.#options;
    const shipments = await repository.claimDue(2 * timeoutMs, listLength);
    if (shipments.length === 0) return 0;
    const orders = shipments.flatMap(({ shipmentId, locationId, lines, address }): PackingOrder[] =>
      address ? [{ shipmentId, locationId, lines, address }] : [],
    );
    const states = await warehouse.pack(orders, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
    const reports = orders.flatMap(({ shipmentId }, index) => {
      const state = states[index];
      return state ? [{ shipmentId, state }] : [];
    });
    await repository.settle(reports);
    return shipments.length;
  }
}
