import type { Message } from "@bufbuild/protobuf";
import {
  type CustomerRecord,
  CustomerRecordSchema,
  type OrderRecord,
  OrderRecordSchema,
} from "#gen/shop/orders/v1/import_record_pb.js";
import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { databaseConfig, loadConfig, withRole } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import { importArguments, runImport } from "#platform/import/import-command.ts";
import type { ImportRecord, Refusal } from "#platform/import/import-record.ts";
import type { Importer, Outcome } from "#platform/import/import-run.ts";
import { BlindIndex } from "#platform/personal/blind-index.ts";
import { personalConfig, personalDataOf } from "#platform/personal/personal-config.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { CustomerEntity } from "../customer/customer.ts";
import { migrations } from "../migrations/list.ts";
import { ImportedCustomers } from "./imported-customers.ts";
import { ImportedOrders, judgeOrder } from "./imported-orders.ts";
import { wrongTime } from "./record-times.ts";

/** A chunk is written by few statements; its connection is that of nobody else. */
const statementTimeoutMs = 60_000;

/** `import <file>`: takes the customers and orders of another shop, and leaves the other lines to the other services. */
export async function importCommand(args: readonly string[]): Promise<void> {
  const given = importArguments("orders", args);
  // Looking at a file wants no keys and no database.
  const config = given.check ? undefined : withRole(loadConfig({ ...databaseConfig, ...personalConfig }));
  const personal = config && personalDataOf(config);
  await runImport(
    {
      name: "orders",
      schemas: { customer: CustomerRecordSchema, order: OrderRecordSchema },
      idOf: (_kind, message) => (message as CustomerRecord | OrderRecord).externalId,
      tellsUnreadable: true,
      migrations,
      importer: (source, database) => orderImporter({ source, database, personal }),
      open: async () => {
        if (!config) throw new Error("a check opens no database");
        const { DATABASE_URL: url, DATABASE_POOLED: pooled, DATABASE_DIRECT_URL: directUrl } = config;
        const entities = [CustomerEntity];
        const name = "orders-import";
        return Database.open({ url, pooled, directUrl, name, entities, poolMax: 2, statementTimeoutMs });
      },
    },
    given,
  );
}

/** What the importer of orders works with. */
export interface OrderImporterOptions {
  readonly source: string;
  /** Undefined, as are keys: it is only looked. */
  readonly database: Database | undefined;
  readonly personal: PersonalData | undefined;
}

/** Takes customers, then orders: those of one chunk may be of each other. */
export async function orderImporter({ source, database, personal }: OrderImporterOptions): Promise<Importer> {
  const write = database && personal ? await writerOf({ source, database, personal }) : () => Promise.resolve([]);
  return { judge, write };
}

async function writerOf(options: {
  readonly source: string;
  readonly database: Database;
  readonly personal: PersonalData;
}): Promise<Importer["write"]> {
  const { source, database, personal } = options;
  const index = personal.keys && new BlindIndex(database, personal.keys);
  // Within a transaction nobody waits for a second connection.
  await index?.ready();
  const origin = auditOrigin(`import:${source}`, "service:orders");
  const customers = new ImportedCustomers(source, personal, { index, origin });
  const orders = new ImportedOrders(source, personal, origin);
  return async (tx, records) => {
    const [persons, placed] = [records.filter(isCustomer), records.filter(isOrder)];
    const outcomes = new Map<ImportRecord, Outcome>();
    const note = (of: readonly ImportRecord[], came: readonly Outcome[]) => {
      for (const [index, record] of of.entries()) outcomes.set(record, came[index] as Outcome);
    };
    note(persons, await customers.write(tx, persons));
    note(placed, await orders.write(tx, placed));
    return records.map((record) => outcomes.get(record) as Outcome);
  };
}

function judge(record: ImportRecord): Refusal | undefined {
  if (isOrder(record)) return judgeOrder(record);
  return isCustomer(record) ? wrongTime({ createTime: record.message.createTime }) : undefined;
}

const isCustomer = (record: ImportRecord<Message>): record is ImportRecord<CustomerRecord> =>
  record.kind === "customer";
const isOrder = (record: ImportRecord<Message>): record is ImportRecord<OrderRecord> => record.kind === "order";
