import { Migration } from "@mikro-orm/migrations";

/** How long the building of one index waits for transactions that are older, in milliseconds. Nobody waits behind it. */
const buildWaitMs = 10 * 60_000;

/**
 * Adds indexes to a table that has rows, without keeping anybody from writing meanwhile: each is built concurrently, which no
 * transaction may hold. So it does nothing else, and it can be run again: what is there is left, and what a run before left
 * half built is built anew. A table that the same release creates has its indexes in the migration that creates it.
 */
export abstract class IndexMigration extends Migration {
  /** By the index's name: the table, and what follows it in `create index`. */
  protected abstract readonly indexes: Readonly<Record<string, string>>;

  override isTransactional(): boolean {
    return false;
  }

  override async up(): Promise<void> {
    this.addSql(`set lock_timeout = ${buildWaitMs}`);
    for (const [name, definition] of Object.entries(this.indexes)) {
      const isBuilt = await this.#isBuilt(name);
      if (isBuilt) continue;
      if (isBuilt === false) this.addSql(`drop index concurrently ${name}`);
      this.addSql(`create index concurrently ${name} on ${definition}`);
    }
    this.addSql("reset lock_timeout");
  }

  override down(): void {
    for (const name of Object.keys(this.indexes)) this.addSql(`drop index concurrently if exists ${name}`);
  }

  /** Undefined when there is none of that name. */
  async #isBuilt(name: string): Promise<boolean | undefined> {
    const question = "select indisvalid as valid from pg_index where indexrelid = to_regclass(?)";
    const [found] = (await this.execute(question, [name])) as { valid: boolean }[];
    return found?.valid;
  }
}
