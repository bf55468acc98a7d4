import { Relay } from "#platform/batch/relay.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { PersonalData } from "./personal-data.ts";
import { rewrapKeys } from "./personal-key.ts";

/** While there is nothing to do, sweeps are up to so many times as far apart; an alert waits for one for five minutes. */
const rests = 4;

/** What the sweep works with. */
export interface PersonalSweepOptions {
  /** As metrics and log lines name it. */
  readonly name: string;
  readonly database: { transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> };
  readonly personal: PersonalData;
  /** Has some rows lie as they are to lie now, sealed or plain, and returns how many; again at once while there are any. */
  readonly move: () => Promise<number>;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  readonly everyMs: number;
}

/**
 * Has personal data lie as it is to lie: seals what is plain, or opens what is sealed where nothing is to be, and wraps keys by the master key
 * of today. Each batch is a transaction; what a process leaves half done, another one does.
 */
export class PersonalSweep {
  readonly #options: PersonalSweepOptions;
  readonly #relay: Relay;

  constructor(options: PersonalSweepOptions) {
    const { name, logger, everyMs } = options;
    this.#options = options;
    const sweep = () => this.sweep();
    this.#relay = new Relay({ name, everyMs, restMs: rests * everyMs, sweep, log: logger });
  }

  /** Says so when there is no master key: nothing else would. */
  start(): void {
    const { personal, logger } = this.#options;
    if (personal.keys) this.#relay.start();
    else logger.warn("personal data is stored plain: set PERSONAL_DATA_KEYS or PERSONAL_DATA_KEYS_FILE");
  }

  stop(): Promise<void> {
    return this.#relay.stop();
  }

  /** One batch; returns how much was done. */
  async sweep(): Promise<number> {
    const { database, personal, move, logger } = this.#options;
    if (!personal.keys) return 0;
    const rows = await move();
    const keys = await rewrapKeys(database, personal.keys);
    if (rows > 0) logger.info(`personal data: ${rows} rows were ${personal.seals ? "sealed" : "opened"}`);
    if (keys > 0) logger.info(`personal data: ${keys} keys were wrapped by the master key ${personal.keys.current}`);
    return rows + keys;
  }
}
