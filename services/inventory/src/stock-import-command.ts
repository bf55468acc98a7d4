import { type StockRecord, StockRecordSchema } from "#gen/shop/inventory/v1/import_record_pb.js";
import { databaseConfig, loadConfig, withRole } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import { importArguments, runImport } from "#platform/import/import-command.ts";
import { inventoryConfig } from "./config.ts";
import { levelOf, stockImporter } from "./imported-stock.ts";
import { migrations } from "./migrations/list.ts";

const statementTimeoutMs = 60_000;

/** `import <file>`: takes the stock that another shop brings along, and leaves the other lines to the other services. */
export async function importCommand(args: readonly string[]): Promise<void> {
  const { STOCK_EVENT_THRESHOLD } = inventoryConfig;
  const { STOCK_EVENT_THRESHOLD: lowAt } = loadConfig({ STOCK_EVENT_THRESHOLD });
  const command = {
    name: "inventory",
    schemas: { stock: StockRecordSchema },
    idOf: (_kind: string, message: object) => levelOf(message as StockRecord),
    tellsUnreadable: false,
    migrations,
    importer: (source: string) => stockImporter(source, lowAt),
    open: async () => {
      const config = withRole(loadConfig(databaseConfig));
      const { DATABASE_URL: url, DATABASE_POOLED: pooled, DATABASE_DIRECT_URL: directUrl } = config;
      const name = "inventory-import";
      return Database.open({ url, pooled, directUrl, name, entities: [], poolMax: 2, statementTimeoutMs });
    },
  };
  await runImport(command, importArguments("inventory", args));
}
