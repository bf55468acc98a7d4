import { type PaymentRecord, PaymentRecordSchema } from "#gen/shop/payments/v1/import_record_pb.js";
import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { databaseConfig, databaseUrl, loadConfig, withRole } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { importArguments, runImport } from "#platform/import/import-command.ts";
import type { ImportRecord } from "#platform/import/import-record.ts";
import type { Importer } from "#platform/import/import-run.ts";
import { secret } from "#platform/secret.ts";
import { migrations } from "../migrations/list.ts";
import { ImportedPayments, judgePayment } from "./imported-payments.ts";

const statementTimeoutMs = 60_000;

/** What an import reads besides: a connection to the database of orders, as the role that may read what the books compare. */
const importConfig = { ...databaseConfig, ORDERS_DATABASE_URL: secret(databaseUrl) };

/** `import <file>`: takes the payments of another shop, and leaves the other lines to the other services. */
export async function importCommand(args: readonly string[]): Promise<void> {
  const given = importArguments("payments", args);
  const config = given.check ? undefined : withRole(loadConfig(importConfig));
  await using opened = new AsyncDisposableStack();
  const command = {
    name: "payments",
    schemas: { payment: PaymentRecordSchema },
    idOf: (_kind: string, message: object) => (message as PaymentRecord).externalId,
    tellsUnreadable: false,
    migrations,
    importer: async (source: string) => {
      if (!config) return paymentImporter(source, undefined);
      const options = { name: "payments-import", entities: [], poolMax: 1 };
      const orders = await Database.open({ url: config.ORDERS_DATABASE_URL, ...options });
      opened.defer(() => orders.close());
      return paymentImporter(source, orders);
    },
    open: async () => {
      if (!config) throw new Error("a check opens no database");
      const { DATABASE_URL: url, DATABASE_POOLED: pooled, DATABASE_DIRECT_URL: directUrl } = config;
      const name = "payments-import";
      return Database.open({ url, pooled, directUrl, name, entities: [], poolMax: 2, statementTimeoutMs });
    },
  };
  await runImport(command, given);
}

/** @param orders the database of orders; undefined: it is only looked */
export function paymentImporter(source: string, orders: Queryable | undefined): Importer {
  const origin = auditOrigin(`import:${source}`, "service:payments");
  const writer = orders && new ImportedPayments(source, orders, origin);
  return {
    judge: (record) => judgePayment(record as ImportRecord<PaymentRecord>),
    write: (tx, records) =>
      writer ? writer.write(tx, records as readonly ImportRecord<PaymentRecord>[]) : Promise.resolve([]),
  };
}
