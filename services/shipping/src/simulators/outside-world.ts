import { Relay } from "#platform/batch/relay.ts";
import { runInContext } from "#platform/context.ts";
import { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { Secret } from "#platform/secret.ts";
import { CarrierClock, type CarrierClockOptions, batchSize as clockBatch } from "./carrier-clock.ts";
import { CarrierSimulator } from "./carrier-simulator.ts";
import { WarehouseSimulator } from "./warehouse-simulator.ts";

/** What the simulated outside world works with. Durations are milliseconds. */
export interface OutsideWorldOptions {
  /** The database in whose schema `simulator` carrier and warehouse remember what they did. */
  readonly databaseUrl: string | Secret;
  /** As in `DatabaseOptions`. */
  readonly pooled?: boolean;
  /** How many connections they may have. */
  readonly poolMax: number;
  /** In which time a shipment is packed. */
  readonly packingMs: number;
  /** And this much longer at most, by the shipment. */
  readonly packingSpreadMs: number;
  /** From booking to delivery. */
  readonly transitMs: number;
  /** How late the carrier answers for `SIM-SLOW`. */
  readonly slowMs: number;
  /** Stock locations that the carrier does not serve. */
  readonly refusedLocations: readonly string[];
  /** How often is looked for what has happened to parcels. */
  readonly everyMs: number;
  readonly log: Logger;
}

/** The simulated outside world, with connections of its own: what it did is not undone when a transaction of ours is. */
export class OutsideWorld {
  readonly carrier: CarrierSimulator;
  readonly warehouse: WarehouseSimulator;
  readonly #store: Database;
  readonly #options: OutsideWorldOptions;
  #clock: Relay | undefined;

  private constructor(store: Database, options: OutsideWorldOptions) {
    const { transitMs, slowMs, refusedLocations, packingMs, packingSpreadMs: spreadMs } = options;
    this.carrier = new CarrierSimulator({ store, transitMs, slowMs, refusedLocations });
    this.warehouse = new WarehouseSimulator({ store, packingMs, spreadMs });
    this.#store = store;
    this.#options = options;
  }

  static async open(options: OutsideWorldOptions): Promise<OutsideWorld> {
    const { databaseUrl, pooled = false, poolMax, log } = options;
    const store = await Database.open({
      url: databaseUrl,
      name: "shipping-simulator",
      entities: [],
      pooled,
      poolMax,
      log,
    });
    return new OutsideWorld(store, options);
  }

  /** Begins to report what happens to parcels, as a carrier's webhook would: with the carrier as the caller. */
  start(report: CarrierClockOptions["report"]): void {
    const { everyMs, log } = this.#options;
    const clock = new CarrierClock({
      store: this.#store,
      report: (event) => runInContext({ actor: `carrier:${this.carrier.name}` }, () => report(event)),
    });
    const pace = { spacingMs: everyMs, full: clockBatch };
    this.#clock = new Relay({
      name: "simulator.clock",
      everyMs,
      restMs: 5 * everyMs,
      log,
      pace,
      sweep: () => clock.sweep(),
    });
    this.#clock.start();
  }

  /** Reports nothing more. */
  async stop(): Promise<void> {
    await this.#clock?.stop();
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#store.close();
  }
}
