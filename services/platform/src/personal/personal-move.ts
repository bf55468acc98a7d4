import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { PersonalData } from "./personal-data.ts";

/** Rows of a table that hold personal data, and how they are had and written. Both statements lock them. */
export interface PersonalRows<R extends object> {
  /** Those that lie plain: $1 at most so many. */
  readonly plain: SqlText;
  /** Those that are sealed, along the primary key: $1 at most so many, $2 after this one. */
  readonly sealed: SqlText;
  /** The primary key, a uuid. */
  readonly idOf: (row: R) => string;
  /** Writes them as they are to lie now. */
  readonly write: (tx: Transaction, rows: readonly R[]) => Promise<void>;
}

const lowest = "00000000-0000-0000-0000-000000000000";

/** Has the rows of a table lie as they are to lie now, sealed or plain, a batch at a time. For a `PersonalSweep`. */
export class PersonalMove<R extends object> {
  readonly #database: Database;
  readonly #personal: Pick<PersonalData, "seals">;
  readonly #rows: PersonalRows<R>;
  /** How far the way back has come. */
  #after = lowest;

  constructor(database: Database, personal: Pick<PersonalData, "seals">, rows: PersonalRows<R>) {
    this.#database = database;
    this.#personal = personal;
    this.#rows = rows;
  }

  /** Moves at most `limit` rows; returns how many there were. */
  async moveBatch(limit: number): Promise<number> {
    const { seals } = this.#personal;
    const { plain, sealed, idOf, write } = this.#rows;
    return this.#database.transaction(async (tx) => {
      const rows = await tx.query<R>(seals ? plain : sealed, seals ? [limit] : [limit, this.#after]);
      const last = rows.at(-1);
      this.#after = seals || !last ? lowest : idOf(last);
      if (rows.length > 0) await write(tx, rows);
      return rows.length;
    });
  }
}
