import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Registry } from "prom-client";
import { openFlags } from "#platform/flags/feature-flags.ts";
import { keptLog } from "#testing/logger.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { FraudFlags } from "../src/screening/fraud-flags.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-fraud-"));
after(() => rmSync(folder, { recursive: true }));
const order = { customerId: "01M7Z4ZT4ST1WJHG07F45A2X72", country: "DE", currency: "EUR", total: 4_700n };
const hashPostalCode = async (code: string) => `hash of ${code}`;

async function open(file: string | undefined) {
  const log = keptLog("orders");
  const opened = await openFlags({ file, name: "orders", logger: log.logger, registry: new Registry() });
  const fraud = new FraudFlags({ flags: opened.flags, hashPostalCode, logger: log.logger });
  return { fraud, log, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

describe("the flags of screening", () => {
  for (const file of ["deploy/flags.json", "dev/verify/flags.json"]) {
    test(`of ${file} are rules and lists, and let an ordinary order pass`, async () => {
      await using opened = await open(join(root, file));
      const { fraud, log } = opened;
      assert.equal(await fraud.screens(), true);
      const { amount } = await fraud.rulesFor(order);
      assert.ok((amount?.review?.EUR ?? 0) >= 4_000);
      await fraud.lists();
      assert.equal(log.lines().filter((line) => line["log.level"] === "error").length, 0, log.text());
    });
  }

  test("are off without a file", async () => {
    await using opened = await open(undefined);
    assert.equal(await opened.fraud.screens(), false);
    assert.deepEqual(await opened.fraud.rulesFor(order), {});
  });

  test("choose their variant by what targeting reads of the order", async () => {
    const file = join(folder, "flags.json");
    const isFrench = { "==": [{ var: "country" }, "FR"] };
    const isLarge = { ">=": [{ var: "total" }, 100_000] };
    const rules = {
      state: "ENABLED",
      variants: { usual: {}, strict: { amount: { refuse: { EUR: 1 } } }, large: { amount: { review: { EUR: 1 } } } },
      defaultVariant: "usual",
      targeting: { if: [isFrench, "strict", isLarge, "large"] },
    };
    writeFileSync(file, JSON.stringify({ flags: { "fraud-rules": rules } }));
    await using opened = await open(file);
    const { fraud } = opened;
    assert.deepEqual(await fraud.rulesFor(order), {});
    assert.deepEqual(await fraud.rulesFor({ ...order, country: "FR" }), { amount: { refuse: { EUR: 1 } } });
    assert.deepEqual(await fraud.rulesFor({ ...order, total: 100_000n }), { amount: { review: { EUR: 1 } } });
  });
});
