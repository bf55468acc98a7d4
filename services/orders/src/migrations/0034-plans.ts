import { Migration } from "@mikro-orm/migrations";
import { resetDefaults, setDefaults } from "#platform/database/settings.ts";

/**
 * What is done for every order finds its rows by an index, and is planned once for each connection: planning and
 * parsing it took as long as doing it. A plan that is made while a table is still empty would otherwise read it from end to end until the
 * statistics catch up.
 */
const settings = { enable_seqscan: "off", enable_hashjoin: "off", enable_mergejoin: "off" };

/** How statements of the service are planned. */
export class Plans extends Migration {
  override up(): void {
    for (const sql of setDefaults(settings)) this.addSql(sql);
  }

  override down(): void {
    for (const sql of resetDefaults(settings)) this.addSql(sql);
  }
}
