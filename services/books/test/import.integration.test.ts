// A shop moves to us with everything it has, and the books balance, whatever happens to the import in between.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { bareEnvironment } from "#testing/bare-environment.ts";
import { textOfTables } from "#testing/table-text.ts";
import { until } from "#testing/until.ts";
import { takeBalance } from "../src/balance/balance.ts";
import { customerLine, orderLine, paymentLine, shopLines, stockLine, toText } from "./past-shop.ts";
import { openWorld, type World } from "./world.ts";

const importers = ["orders", "payments", "inventory"] as const;
type ImporterName = (typeof importers)[number];

const folder = mkdtempSync(join(tmpdir(), "ordermesh-import-"));
after(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

/** The service's own program, as the image runs it. */
function start(name: ImporterName, args: readonly string[]) {
  const program = fileURLToPath(new URL(`../../${name}/src/main.ts`, import.meta.url));
  const env = {
    ...bareEnvironment,
    DATABASE_URL: world.databases[name].url,
    ORDERS_DATABASE_URL: world.databases.orders.readerUrl,
    PERSONAL_DATA_KEYS: `test ${Buffer.alloc(32, "k").toString("base64")}`,
  };
  const child = spawn(process.execPath, [program, "import", ...args], { env, timeout: 120_000 });
  child.stdin.end();
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const ended = once(child, "close").then(async ([code]) => {
    const [output, complaint] = await said;
    return { code: code as number | null, output, complaint };
  });
  return { child, ended };
}

const run = (name: ImporterName, args: readonly string[]) => start(name, args).ended;

async function countOf(service: ImporterName, table: string): Promise<number> {
  const [row] = await world.databases[service].database.query<{ count: number }>(
    `select count(*)::int as count from ${table}`,
  );
  return row?.count ?? -1;
}

async function findings(): Promise<string[]> {
  const { findings: all } = await takeBalance(world.sources);
  return all.flatMap(({ wrong }) => wrong);
}

describe("a shop that moves to us", () => {
  it("is imported once, however often it is, and the books balance", async () => {
    const file = fileOf("shop.ndjson", toText(shopLines(700)));
    for (const name of importers) {
      const { code, output, complaint } = await run(name, [file]);
      assert.equal(code, 0, output + complaint);
    }
    assert.deepEqual(await findings(), []);
    for (const name of importers) {
      const { code, output } = await run(name, [file]);
      assert.equal(code, 0);
      assert.match(output, /nothing to do, this file is imported: .* 0 refused/);
    }
    // A larger file that begins with the same records.
    const larger = fileOf("larger.ndjson", toText(shopLines(705)));
    const { output } = await run("orders", [larger]);
    assert.match(output, /orders: 10 imported, 1,400 known already, 0 refused, of 2,125 lines/);
    assert.match((await run("payments", [larger])).output, /payments: 5 imported, 700 known already/);
    assert.match((await run("inventory", [larger])).output, /inventory: 0 imported, 10 known already/);
    assert.equal(await countOf("orders", "customer_order"), 705);
    assert.equal(await countOf("orders", "customer"), 705);
    assert.equal(await countOf("payments", "payment"), 705);
    const sums = "select sum(on_hand)::int as sum from stock_level";
    assert.deepEqual(await world.databases.inventory.database.query(sums), [{ sum: 400 }]);
    assert.deepEqual(await findings(), []);
    assert.equal(existsSync(`${file}.orders.refused.ndjson`), false);
  });

  it("keeps nobody's name where everybody reads", async () => {
    assert.doesNotMatch(await textOfTables(world.databases.orders.adminUrl), /Given1\b|c1@old\.example|Dorset/);
  });

  it("is seen by the books when it is not what it was", async () => {
    await world.change(
      "payments",
      "update payment set captured = captured - 1 where payment_id = (select payment_id from payment where refunded = 0 limit 1)",
    );
    assert.notDeepEqual(await findings(), []);
    await world.change("payments", "update payment set captured = amount where captured <> amount");
    assert.deepEqual(await findings(), []);
    const [taken] = await world.databases.orders.database.query<{ id: string }>(
      "select order_id as id from imported_order limit 1",
    );
    await world.change("orders", "delete from audit_event where order_id = $1", [taken?.id]);
    assert.match((await findings()).join(), /the audit log of orders does not say so/);
  });

  it("goes on where it was killed, and has nothing twice", async () => {
    const lines = function* () {
      for (let n = 10_001; n <= 13_000; n += 1) {
        yield customerLine(n);
        // Every hundredth is refused.
        yield orderLine(n, n % 100 === 0 ? { status: "ORDER_STATUS_SHIPPED" } : {});
      }
    };
    const file = fileOf("killed.ndjson", toText(lines()));
    const report = join(folder, "killed.report");
    const lineOf = async () => {
      const rows = await world.databases.orders.database.query<{ line: number }>(
        "select max(line)::int as line from import_run where not done",
      );
      return rows[0]?.line ?? 0;
    };
    let reached = 0;
    for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
      const { child, ended } = start("orders", [file, "--report", report]);
      await until(async () => (await lineOf()) > reached || child.exitCode !== null, "a chunk is written", {
        deadlineMs: 60_000,
      });
      child.kill(signal);
      const { code, output } = await ended;
      if (signal === "SIGTERM") assert.equal(code, 130, output);
      reached = await lineOf();
      assert.ok(reached > 0 && reached < 6_000, `it was stopped after line ${reached}`);
    }
    const { code, output, complaint } = await run("orders", [file, "--report", report]);
    assert.match(complaint, new RegExp(`goes on after line ${reached}`));
    assert.equal(code, 2, complaint);
    assert.match(output, /5,970 imported, 0 known already, 30 refused, of 6,000 lines/);
    assert.equal(await countOf("orders", "imported_order where external_id like 'O-1____'"), 2_970);
    assert.equal(await countOf("orders", "customer_order"), 705 + 2_970);
    const refused = readFileSync(report, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).id);
    assert.deepEqual(
      refused,
      Array.from({ length: 30 }, (_, n) => `O-${10_100 + 100 * n}`),
    );
  });

  it("says of the lines of one service what the others have to do with", async () => {
    const file = fileOf(
      "wrong.ndjson",
      toText([
        paymentLine(1, { externalId: "P-x1", captured: { currency: "EUR", amount: "1" } }),
        paymentLine(1, { externalId: "P-x2", orderExternalId: "O-none" }),
        paymentLine(10_001, { externalId: "P-x3", captured: { currency: "USD", amount: "1" } }),
        paymentLine(10_001, { externalId: "P-x4", refunded: { currency: "EUR", amount: "1" } }),
        paymentLine(10_001, {
          externalId: "P-x5",
          refunded: { currency: "EUR", amount: "4000" },
          refundTime: "2022-01-01T00:00:00Z",
        }),
        paymentLine(10_001, { externalId: "P-x6", captureTime: "2999-01-01T00:00:00Z" }),
        paymentLine(10_001, { externalId: "P-x7", captured: { currency: "EUR", amount: "0" } }),
        paymentLine(10_001, { externalId: "P-x8", provider: "Stripe!" }),
        paymentLine(1, { providerReference: "pi_other" }),
        paymentLine(10_001, { externalId: "P-y1", captured: { currency: "EUR", amount: "1000" } }),
        paymentLine(10_001, { externalId: "P-y2", captured: { currency: "EUR", amount: "2280" } }),
        paymentLine(10_001, { externalId: "P-y3", captured: { currency: "EUR", amount: "1" } }),
        stockLine(1, { onHand: "41" }),
        stockLine(1, { onHand: "0" }),
        stockLine(77),
      ]),
    );
    const payments = await run("payments", [file]);
    assert.match(payments.output, /2 imported, 0 known already, 10 refused/, payments.complaint);
    const reasonsOf = (name: string) =>
      readFileSync(`${file}.${name}.refused.ndjson`, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).reason);
    assert.deepEqual(reasonsOf("payments"), [
      "EXCEEDS_ORDER",
      "UNKNOWN_ORDER",
      "CURRENCY_MISMATCH",
      "INVALID",
      "EXCEEDS_CAPTURE",
      "WRONG_TIME",
      "INVALID",
      "INVALID",
      "OTHER_CONTENT",
      "EXCEEDS_ORDER",
    ]);
    assert.match((await run("inventory", [file])).output, /1 imported, 0 known already, 2 refused/);
    assert.deepEqual(reasonsOf("inventory"), ["OTHER_CONTENT", "INVALID"]);
    assert.deepEqual(
      (await findings()).filter((sentence) => !/audit log of orders/.test(sentence)),
      [],
    );
  });

  it("is only looked at with --check, without a database", async () => {
    const file = fileOf("check.ndjson", `${toText([customerLine(1), orderLine(1, { total: undefined })])}no json\n`);
    const program = fileURLToPath(new URL("../../orders/src/main.ts", import.meta.url));
    const child = spawn(process.execPath, [program, "import", file, "--check"], { env: bareEnvironment });
    const [[code], output] = await Promise.all([once(child, "close"), text(child.stdout)]);
    assert.equal(code, 2);
    assert.match(output, /1 would be imported, 0 known already, 2 refused, of 3 lines/);
  });

  for (const [name, args, sentence] of [
    ["without a file", [], /say import <file>/],
    ["with one that is not there", [join(folder, "none")], /cannot be opened \(ENOENT\)/],
    ["with a folder", [folder], /cannot be opened \(EISDIR\)/],
    ["with an option that there is not", ["a", "--fast"], /Unknown option '--fast'.*say import <file>/],
    ["with a source that is none", ["a", "--source", "Old Shop"], /a source is 1 to 32/],
  ] as const) {
    it(`is refused in a sentence ${name}`, async () => {
      const { code, complaint } = await run("orders", args);
      assert.equal(code, 1);
      assert.match(complaint, sentence);
      assert.doesNotMatch(complaint, /\n\s+at /);
    });
  }
});
