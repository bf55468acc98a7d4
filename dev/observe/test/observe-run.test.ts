import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { removeData } from "../../stack/postgres.ts";
import { Command } from "../../testing/command.ts";
import { kinds } from "../kinds.ts";

describe("npm run observe", () => {
  let dataDirectory: string;
  before(() => {
    dataDirectory = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
  });
  after(() => removeData(dataDirectory));

  test("--help explains itself", async () => {
    const command = new Command("observe", ["--help"]);
    assert.equal(await command.exitCode(), 0);
    for (const word of ["--exit", "--orders", "--port-offset", "Ctrl-C", "docs/traces.md"])
      assert.ok(command.output.includes(word), word);
  });

  test("--exit finds the trace, the log lines and the metrics of an order of each kind", async () => {
    const args = ["--exit", "--orders", "15", "--port-offset", "free", "--data", dataDirectory];
    const command = new Command("observe", args);
    assert.equal(await command.exitCode(), 0, command.output);
    for (const { name, queries } of kinds) {
      const part = command.output.split(`\n${name}: `)[1]?.split("\n\n")[0] ?? "";
      assert.match(part, /✓ trace .*\/traces?\/[0-9a-f]{32}\n +\d+ spans, .*worker/, part);
      assert.match(part, /✓ logs .*\n +[1-9]\d* lines, [1-9]\d* by its trace\.id/, part);
      assert.equal(part.split("✓ metric").length - 1, queries.length, part);
    }
    assert.doesNotMatch(command.output, /✗/);
  });
});
