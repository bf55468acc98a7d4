// Customers and orders of another shop are from their import on as if they had always been here; and lines that are wrong keep nobody else out.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import pg from "pg";
import { CustomerRecordSchema, OrderRecordSchema } from "#gen/shop/orders/v1/import_record_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import type { Database } from "#platform/database/database.ts";
import { migrateDown } from "#platform/database/migrate.ts";
import { RecordReader } from "#platform/import/import-record.ts";
import { ImportReport } from "#platform/import/import-report.ts";
import { ImportRun } from "#platform/import/import-run.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { textOfTables } from "#testing/table-text.ts";
import { customerLine, type Line, orderLine, toText } from "../../books/test/past-shop.ts";
import { orderImporter } from "../src/import/import-command.ts";
import { migrations } from "../src/migrations/list.ts";
import { FakeWorker } from "./fake-worker.ts";
import { eventually, orderRequest, ordersDatabase, personal, refusal, startReplica, unique } from "./harness.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-import-"));
after(() => rmSync(folder, { recursive: true }));

const nothing = { line: 0, imported: 0, known: 0, refused: 0, reportBytes: 0, done: false };

/** Imports lines as they come; texts are lines that need not be records. */
async function importLines(database: Database, lines: readonly (Line | string)[], source = "oldshop") {
  const file = join(folder, unique("report"));
  const report = new ImportReport(file, 0);
  const content = lines.map((line) => (typeof line === "string" ? `${line}\n` : toText([line]))).join("");
  const data = async function* () {
    yield Buffer.from(content);
  };
  const run = new ImportRun(
    {
      source: { data: data(), read: () => content.length },
      reader: new RecordReader({
        schemas: { customer: CustomerRecordSchema, order: OrderRecordSchema },
        idOf: (_kind, message) => (message as unknown as { externalId: string }).externalId,
        tellsUnreadable: true,
      }),
      importer: await orderImporter({ source, database, personal }),
      database,
      key: undefined,
      report,
      onProgress: () => undefined,
      signal: new AbortController().signal,
    },
    nothing,
  );
  const { imported, known, refused } = await run.run();
  report.close();
  const told = refused === 0 ? "" : readFileSync(file, "utf8").trim();
  const refusals = told === "" ? [] : told.split("\n").map((line) => JSON.parse(line) as Record<string, string>);
  return { imported, known, refused, refusals, told };
}

const eur = (amount: number) => ({ currency: "EUR", amount: String(amount) });

describe("an imported order", () => {
  it("is the customer's as any other: read, listed, exported, and forgotten with him", async () => {
    await using test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker(), {
      PERSONAL_DATA_KEEP_DAYS: 0,
      PERSONAL_DATA_SWEEP_MS: 20,
    });
    const came = await importLines(test.database, [customerLine(1), orderLine(1)]);
    assert.deepEqual([came.imported, came.refused], [2, 0], came.told);
    const { customers } = await replica.customers.listCustomers({ email: "C1@OLD.example" });
    const { customerId = "" } = customers[0] ?? {};
    const { orders } = await replica.orders.listOrders({ customerId });
    const [order] = orders;
    assert.equal(order?.status, OrderStatus.DELIVERED);
    assert.equal(order.contact?.email, "c1@old.example");
    assert.equal(order.shippingAddress?.city, "London");
    assert.deepEqual(
      order.adjustments.map(({ name }) => name),
      ["Standard delivery", "SPRING10"],
    );
    assert.deepEqual(
      order.history.map(({ status, eventTime }) => [status, Number(eventTime?.seconds)]),
      [
        [OrderStatus.PENDING, Date.parse("2021-05-02T08:30:00Z") / 1_000],
        [OrderStatus.CONFIRMED, Date.parse("2021-05-02T08:31:00Z") / 1_000],
        [OrderStatus.SHIPPED, Date.parse("2021-05-02T15:00:00Z") / 1_000],
        [OrderStatus.DELIVERED, Date.parse("2021-06-02T11:00:00Z") / 1_000],
      ],
    );
    const between = { seconds: BigInt(Date.parse("2021-05-01") / 1_000) };
    const until = { seconds: BigInt(Date.parse("2021-05-03") / 1_000) };
    const listed = await replica.orders.listOrders({ createTimeFrom: between, createTimeUntil: until });
    assert.deepEqual(
      listed.orders.map(({ orderId }) => orderId),
      [order.orderId],
      "it is found by when it was placed",
    );
    // He orders here, too.
    await replica.orders.createOrder(orderRequest(customerId));
    const exported = await replica.customers.exportCustomer({ customerId });
    assert.equal(exported.orders.length, 2);
    const { told } = await importLines(test.database, [customerLine(1), orderLine(1)]);
    assert.equal(told, "");
    await replica.customers.eraseCustomer({ requestId: unique("erase"), customerId });
    await eventually(async () => {
      const { order: after } = await replica.orders.getOrder({ orderId: order.orderId });
      assert.equal(after?.contact?.email, "");
      assert.equal(after?.shippingAddress?.city, "");
    });
    // The file that he was in brings him not back.
    const again = await importLines(test.database, [
      customerLine(1),
      orderLine(1),
      orderLine(1, { externalId: "O-2" }),
    ]);
    assert.deepEqual([again.imported, again.known], [0, 2]);
    assert.deepEqual(
      again.refusals.map(({ reason }) => reason),
      ["CUSTOMER_ERASED"],
    );
    assert.doesNotMatch(await textOfTables(test.adminUrl), /c1@old|Given1/);
  });

  it("can be neither cancelled nor deleted", async () => {
    await using test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker());
    await importLines(test.database, [
      customerLine(1),
      orderLine(1, { status: "ORDER_STATUS_CANCELLED", shipTime: undefined }),
    ]);
    const { orders } = await replica.orders.listOrders({ status: OrderStatus.CANCELLED });
    const { orderId = "", failure } = orders[0] ?? {};
    assert.equal(failure?.customerMessage, "The order was cancelled: on request");
    const cancel = replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "late" });
    assert.match((await refusal(cancel)).message, /cannot be cancelled|CANCELLED/i);
    const deletion = replica.orders.deleteOrder({ requestId: unique("delete"), orderId });
    assert.match((await refusal(deletion)).message, /it was imported/);
    const besides = ["order.cancel_requested", "customer.imported"];
    const log = (await readAuditLog(test.database)).filter(({ action }) => !besides.includes(action));
    assert.deepEqual(
      log.map(({ action, orderId: of }) => [action, of]),
      [["order.imported", orderId]],
    );
  });

  it("is apart from one of the same number of another shop", async () => {
    await using test = await ordersDatabase();
    await importLines(test.database, [customerLine(1), orderLine(1)], "one");
    const other = await importLines(
      test.database,
      [customerLine(1, { email: "other@old.example" }), orderLine(1)],
      "other",
    );
    assert.equal(other.imported, 2, other.told);
    await assert.rejects(migrateDown({ url: test.ownerUrl, migrations }, "0018_import"), /orders were imported/);
  });
});

describe("a line that is wrong", () => {
  const good = orderLine(1);
  const cases: readonly (readonly [string, Line | string, string, string])[] = [
    ["no JSON", "{", "NO_RECORD", ""],
    ["no object", "[1]", "NO_RECORD", ""],
    ["no known record", '{"invoice": {}}', "NO_RECORD", ""],
    ["two records", { ...good, ...customerLine(2) }, "NO_RECORD", ""],
    ["a null", '{"order": null}', "MALFORMED", ""],
    ["a field that the schema does not have", customerLine(2, { birthday: "1815-12-10" }), "MALFORMED", "birthday"],
    ["a field of another form", orderLine(2, { createTime: "yesterday" }), "MALFORMED", ""],
    [
      "an amount that is no whole number",
      orderLine(2, { total: { currency: "EUR", amount: "1e99" } }),
      "MALFORMED",
      "amount",
    ],
    ["no e-mail address", customerLine(2, { email: "ada" }), "INVALID", "email"],
    ["a card number", customerLine(2, { familyName: "4111 1111 1111 1111" }), "INVALID", "familyName"],
    ["a character that no database stores", customerLine(2, { givenName: "A\u0000da" }), "INVALID", "givenName"],
    ["an address of somebody else", customerLine(2, { email: "C1@old.example" }), "EMAIL_TAKEN", "email"],
    ["a customer of the future", customerLine(2, { createTime: "2999-01-01T00:00:00Z" }), "WRONG_TIME", "createTime"],
    [
      "a time in seconds that are milliseconds",
      customerLine(2, { createTime: "1970-01-19T00:00:00Z" }),
      "WRONG_TIME",
      "createTime",
    ],
    ["an e-mail address for a number", customerLine(2, { externalId: "a@b.example" }), "INVALID", "externalId"],
    ["an order under way", orderLine(2, { status: "ORDER_STATUS_SHIPPED" }), "INVALID", "status"],
    ["no total", orderLine(2, { total: undefined }), "INVALID", "total"],
    ["another total", orderLine(2, { total: eur(1) }), "TOTAL_MISMATCH", "total"],
    [
      "less than nothing",
      orderLine(2, {
        adjustments: [{ kind: "PRICE_ADJUSTMENT_KIND_DISCOUNT", name: "x", amount: eur(-9_999) }],
        total: eur(0),
      }),
      "BELOW_ZERO",
      "total",
    ],
    ["two currencies", orderLine(2, { total: { currency: "USD", amount: "3280" } }), "CURRENCY_MISMATCH", "total"],
    ["an end before its beginning", orderLine(2, { endTime: "2020-01-01T00:00:00Z" }), "WRONG_TIME", "endTime"],
    ["a parcel of what was cancelled", orderLine(2, { status: "ORDER_STATUS_CANCELLED" }), "INVALID", "shipTime"],
    ["nobody's order", orderLine(2, { customerExternalId: "C-none" }), "UNKNOWN_CUSTOMER", "customerExternalId"],
    ["the number of another order", orderLine(1, { confirmTime: undefined }), "OTHER_CONTENT", ""],
  ];

  it("is refused with a reason that says nothing of a person, and the others are imported", async () => {
    await using test = await ordersDatabase();
    await importLines(test.database, [customerLine(1), good]);
    const between = cases.flatMap(([, line], n) => [line, customerLine(1_000 + n)]);
    const { imported, refusals, told } = await importLines(test.database, between);
    assert.equal(imported, cases.length, told);
    for (const [index, [name, , reason, field]] of cases.entries()) {
      const { line, ...said } = refusals[index] ?? {};
      assert.deepEqual(
        [Number(line), said.reason, said.field ?? ""],
        [2 * index + 1, reason, field],
        `${name}: ${said.message}`,
      );
      assert.ok(said.message, name);
    }
    assert.doesNotMatch(told, /4111|ada"|1815|@|Given|Dorset|yesterday/);
  });

  it("may be one that only the database refuses: it is found among five hundred", async () => {
    await using test = await ordersDatabase();
    const admin = new pg.Client({ connectionString: test.adminUrl });
    await admin.connect();
    await admin.query("alter table customer add constraint no_thirteen check (create_time <> '2013-01-13')");
    await admin.end();
    const lines = Array.from({ length: 499 }, (_, n) => customerLine(n));
    const wrong = [13, 14, 301].map((n) => {
      lines[n] = customerLine(n, { createTime: "2013-01-13T00:00:00Z" });
      return n + 1;
    });
    const { imported, refusals } = await importLines(test.database, lines);
    assert.equal(imported, 496);
    assert.deepEqual(
      refusals.map(({ line, reason }) => [line, reason]),
      wrong.map((line) => [line, "UNWRITABLE"]),
    );
    assert.match(refusals[0]?.message ?? "", /23514, no_thirteen/);
  });

  it("is refused once when it stands twice with another content, and known when with the same", async () => {
    await using test = await ordersDatabase();
    const { imported, known, refusals } = await importLines(test.database, [
      customerLine(1),
      customerLine(1),
      orderLine(1),
      orderLine(1),
      orderLine(1, { confirmTime: undefined }),
      customerLine(2, { email: "c1@OLD.example" }),
    ]);
    assert.deepEqual([imported, known, refusals.map(({ reason }) => reason)], [2, 2, ["OTHER_CONTENT", "EMAIL_TAKEN"]]);
  });
});
