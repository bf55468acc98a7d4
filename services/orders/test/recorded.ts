import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";

/** By time, not for a call: whether there are request ids of the version before. */
const askedNowAndThen = new Set(["idempotency_unscoped"]);

/** Passes statements on and keeps them. */
export class Recorded implements Queryable {
  readonly statements: { text: string; values: readonly unknown[]; prepared: boolean }[] = [];
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** How many statements ran since this was last asked. */
  taken(): number {
    return this.statements.splice(0).length;
  }

  query<R extends object>(sql: SqlText | string, values: readonly unknown[] = []): Promise<R[]> {
    const { name, text, prepared = true } = typeof sql === "string" ? { name: "", text: sql, prepared: false } : sql;
    if (!askedNowAndThen.has(name)) this.statements.push({ text, values, prepared });
    return this.#database.query<R>(sql, values);
  }

  /**
   * The plans of what ran since this was last asked, with the settings of the database: of what is prepared the one that is kept,
   * whatever the values are.
   */
  async plans(settings = ""): Promise<string> {
    const plans: string[] = [];
    for (const { text, values, prepared } of this.statements.splice(0)) {
      const explain = prepared ? `explain (generic_plan) ${text}` : `explain ${text}`;
      const rows = await this.#database.transaction(async (tx) => {
        if (settings !== "") await tx.query(settings);
        return tx.query<{ "QUERY PLAN": string }>(explain, prepared ? [] : values);
      });
      plans.push(rows.map((row) => row["QUERY PLAN"]).join("\n"));
    }
    return plans.join("\n\n");
  }
}
