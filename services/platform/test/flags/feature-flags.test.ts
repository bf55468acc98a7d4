// Feature flags by a file: what they say, what becomes of a change, and where an evaluation is seen.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Registry } from "prom-client";
import { openFlags } from "#platform/flags/feature-flags.ts";
import { inSpan } from "#platform/trace/spans.ts";
import { keepSpans } from "#testing/kept-spans.ts";
import { keptLog } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { Volume } from "#testing/volume.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-flags-"));
after(() => rmSync(folder, { recursive: true }));

/** Bounds for everybody, and others for one country. */
function flagsText(bound: number): string {
  const isBritish = { "==": [{ var: "country" }, "GB"] };
  const bounds = {
    state: "ENABLED",
    variants: { usual: { bound }, british: { bound: 2 * bound } },
    defaultVariant: "usual",
    targeting: { if: [isBritish, "british", null] },
  };
  return JSON.stringify({ flags: { bounds } });
}

describe("feature flags of a file", () => {
  const volume = new Volume(join(folder, "volume"), "flags.json");
  const log = keptLog();
  const open = (registry = new Registry()) =>
    openFlags({ file: volume.file, name: "test", logger: log.logger, registry });

  test("follow their targeting, and a change that Kubernetes makes, and stay as they were when that is of no use", async () => {
    volume.write(flagsText(1));
    await using opened = await open();
    const boundOf = (country: string) =>
      opened.flags.getObjectValue<{ bound: number }>("bounds", { bound: 0 }, { country });
    assert.deepEqual([await boundOf("DE"), await boundOf("GB")], [{ bound: 1 }, { bound: 2 }]);
    volume.write(flagsText(10));
    await until(async () => (await boundOf("DE")).bound === 10, "the change counts");
    assert.match(log.text(), /feature flags were read anew: bounds/);
    volume.write("{ half of it");
    await until(() => log.text().includes("feature flags stay as they were"), "the log says so");
    assert.deepEqual(await boundOf("GB"), { bound: 20 });
    volume.write(flagsText(100));
    await until(async () => (await boundOf("GB")).bound === 200, "a good one counts again");
  });

  test("are told when their file is of no use at the start", async () => {
    volume.write("{ half of it");
    await assert.rejects(open(), /^Error: FLAGS_FILE: the file .*flags.json is of no use: /);
    const missing = { file: join(folder, "nowhere.json"), name: "test", logger: log.logger, registry: new Registry() };
    await assert.rejects(openFlags(missing), /nowhere.json is of no use: File not found/);
  });

  test("are what the code takes without a file, or without the flag, or when it is something else", async () => {
    const registry = new Registry();
    await using none = await openFlags({ file: undefined, name: "test", logger: log.logger, registry });
    assert.equal(await none.flags.getBooleanValue("bounds", true), true);
    assert.deepEqual(await none.flags.getObjectValue("lists", { a: 1 }), { a: 1 });
    const counted = /feature_flag_evaluations_total\{flag="(\w+)",variant="none",reason="default"\} 1/g;
    assert.deepEqual(
      [...(await registry.metrics()).matchAll(counted)].map(([, flag]) => flag),
      ["bounds", "lists"],
    );
    volume.write(flagsText(1));
    await using opened = await open();
    assert.equal(await opened.flags.getBooleanValue("others", true), true);
    assert.equal(await opened.flags.getBooleanValue("bounds", true), true);
  });

  test("show in metrics and in the span which variant counted, and why", async () => {
    volume.write(flagsText(1));
    const spans = await keepSpans();
    const registry = new Registry();
    await using opened = await open(registry);
    await inSpan("deciding", {}, async () => {
      await opened.flags.getObjectValue("bounds", {}, { country: "GB" });
      await opened.flags.getBooleanValue("others", false);
    });
    const events = spans.one("deciding").events.map(({ name, attributes }) => ({ name, attributes }));
    await spans.stop();
    const common = { "feature_flag.provider.name": "flagd" };
    assert.deepEqual(events, [
      {
        name: "feature_flag.evaluation",
        attributes: {
          ...common,
          "feature_flag.key": "bounds",
          "feature_flag.result.variant": "british",
          "feature_flag.result.reason": "targeting_match",
        },
      },
      {
        name: "feature_flag.evaluation",
        attributes: {
          ...common,
          "feature_flag.key": "others",
          "feature_flag.result.reason": "error",
          "error.type": "flag_not_found",
        },
      },
    ]);
    const text = await registry.metrics();
    assert.match(text, /feature_flag_evaluations_total\{flag="bounds",variant="british",reason="targeting_match"\} 1/);
    assert.match(text, /feature_flag_evaluations_total\{flag="others",variant="none",reason="error"\} 1/);
  });
});
