import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";

/** Sets stock aside for orders whose turn has come. */
interface Serving {
  /** @returns how many were served, at most `limit`; only of those that want one of these articles when they are given */
  serve(skus: readonly string[] | undefined, limit: number): Promise<number>;
}

/** What serving works with. */
export interface TurnsOptions {
  readonly stock: Serving;
  readonly logger: Pick<Logger, "error">;
  /** Between two looks at all that wait, in milliseconds; five times that while there is nothing. */
  readonly everyMs: number;
}

/** Orders that are served in one go. */
const batch = 256;
/** Between two looks while much stock comes and goes, in milliseconds. */
const spacingMs = 50;
const rests = 5;

/**
 * Serves orders that wait for stock. It looks when it hears that there may be some, and only at those that want it; what is there
 * and claimed by them is there for nobody else meanwhile, so it does not matter who comes first. By a timer it looks at
 * all, for what a process that died did not say, and for what one of the version before does not know to say.
 */
export class Turns {
  readonly #relay: Relay;
  readonly #stock: TurnsOptions["stock"];
  #skus = new Set<string>();

  constructor({ stock, logger, everyMs }: TurnsOptions) {
    this.#stock = stock;
    this.#relay = new Relay({
      name: "serving back-orders",
      everyMs,
      restMs: rests * everyMs,
      pace: { spacingMs, full: batch },
      log: logger,
      sweep: () => this.#sweep(),
    });
  }

  /** There may be some of these articles. */
  heard(skus: ReadonlySet<string>): void {
    for (const sku of skus) this.#skus.add(sku);
    this.#relay.nudge();
  }

  start(): void {
    this.#relay.start();
  }

  stop(): Promise<void> {
    return this.#relay.stop();
  }

  async #sweep(): Promise<number> {
    const skus = [...this.#skus];
    this.#skus = new Set();
    const served = await this.#stock.serve(skus.length > 0 ? skus : undefined, batch);
    // There may be more of the same.
    if (served >= batch) for (const sku of skus) this.#skus.add(sku);
    return served;
  }
}
