// Orders of another shop, imported a chunk in each transaction, against the same rows with a transaction for each order.
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CustomerRecordSchema, type OrderRecord, OrderRecordSchema } from "#gen/shop/orders/v1/import_record_pb.js";
import { RecordReader } from "#platform/import/import-record.ts";
import { ImportReport } from "#platform/import/import-report.ts";
import { ImportRun } from "#platform/import/import-run.ts";
import { keysText } from "#platform/key-ring.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import { Secret } from "#platform/secret.ts";
import { startEmbedded, type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { customerLine, type Line, orderLine, toText } from "../services/books/test/past-shop.ts";
import { CustomerEntity } from "../services/orders/src/customer/customer.ts";
import { orderImporter } from "../services/orders/src/import/import-command.ts";
import { migrations } from "../services/orders/src/migrations/list.ts";
import { median } from "./median.ts";
import { positive, progress } from "./options.ts";

const personal = personalDataOf({
  PERSONAL_DATA: "sealed",
  PERSONAL_DATA_KEYS: new Secret(`bench ${Buffer.alloc(32, "k").toString("base64")}`, keysText),
  PERSONAL_DATA_SWEEP_MS: 1,
});
const rounds = 3;
/** Orders of the side that is slow, for each hundred of the other one. */
const slowShare = 0.1;
const customers = 1_000;

interface Measured {
  readonly perSecond: number;
  /** Of this process, in milliseconds for each order; the database has as much again for itself. */
  readonly cpuMs: number;
}

/** The next of so many orders, of a thousand customers. */
function ordersFrom(first: number, count: number): Line[] {
  return Array.from({ length: count }, (_, index) =>
    orderLine(first + index, { customerExternalId: `C-${(first + index) % customers}` }),
  );
}

async function importInto(test: TestDatabase, lines: readonly Line[], chunk: number): Promise<Measured> {
  const bytes = Buffer.from(toText(lines));
  const data = async function* () {
    for (let from = 0; from < bytes.length; from += 262_144) yield bytes.subarray(from, from + 262_144);
  };
  const report = new ImportReport(join(tmpdir(), "ordermesh-bench-import.ndjson"), 0);
  const cpu = process.cpuUsage();
  const start = performance.now();
  const run = new ImportRun(
    {
      source: { data: data(), read: () => 0 },
      reader: new RecordReader({
        schemas: { customer: CustomerRecordSchema, order: OrderRecordSchema },
        idOf: (_kind, message) => (message as OrderRecord).externalId,
        tellsUnreadable: true,
      }),
      importer: await orderImporter({ source: "bench", database: test.database, personal }),
      database: test.database,
      key: undefined,
      report,
      chunk,
      onProgress: () => undefined,
      signal: new AbortController().signal,
    },
    { line: 0, imported: 0, known: 0, refused: 0, reportBytes: 0, done: false },
  );
  const { imported } = await run.run();
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  if (imported !== lines.length) throw new Error(`${imported} of ${lines.length} lines were imported`);
  return { perSecond: lines.length / seconds, cpuMs: (user + system) / 1_000 / lines.length };
}

/** Prints both sides and, as its last line, the median ratio of neighbouring rounds. PostgreSQL waits for its disk on every commit. */
export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { orders: { type: "string", default: "20000" } } });
  const count = Math.ceil(positive("orders", values.orders));
  const adminUrl = await startEmbedded(["shared_buffers=256MB", "max_wal_size=4GB"]);
  await using test = await testDatabase("orders", { entities: [CustomerEntity], migrations, adminUrl });
  await importInto(
    test,
    Array.from({ length: customers }, (_, n) => customerLine(n)),
    500,
  );
  await importInto(test, ordersFrom(1_000_000_000, 2_000), 500);
  console.log(`${availableParallelism()} cores, node ${process.version}`);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const first = 1 + round * 2 * count;
    progress(`round ${round + 1} of ${rounds}`);
    const ours = await importInto(test, ordersFrom(first, count), 500);
    const usual = await importInto(test, ordersFrom(first + count, Math.ceil(count * slowShare)), 1);
    const say = (name: string, { perSecond, cpuMs }: Measured) =>
      console.log(
        `${name}: ${perSecond.toFixed(0)} orders/s, ${(60 * perSecond).toFixed(0)} a minute, ${cpuMs.toFixed(3)} ms CPU each`,
      );
    say("500 in a transaction", ours);
    say("a transaction for each", usual);
    ratios.push(ours.perSecond / usual.perSecond);
  }
  console.log(`ratio: ${median(ratios).toFixed(2)}`);
}
