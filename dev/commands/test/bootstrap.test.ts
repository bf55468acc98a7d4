// The way in for every npm script, in a checkout of which only that is there.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";

test("npm ci is not run through a link: it would empty what others work with", async () => {
  const place = mkdtempSync(join(tmpdir(), "ordermesh-bootstrap-"));
  try {
    const [checkout, others] = [join(place, "checkout"), join(place, "others")];
    cpSync(join(root, "dev/commands/bootstrap.mjs"), join(checkout, "dev/commands/bootstrap.mjs"));
    writeFileSync(join(checkout, "package.json"), "{}");
    writeFileSync(join(checkout, "package-lock.json"), '{"packages": {"node_modules/wanted": {"version": "1.0.0"}}}');
    mkdirSync(others);
    writeFileSync(join(others, "theirs"), "");
    symlinkSync(others, join(checkout, "node_modules"));
    const started = run(process.execPath, [join(checkout, "dev/commands/bootstrap.mjs"), "check"], {
      timeoutMs: 20_000,
    });
    await assert.rejects(started, (error: Error) => {
      assert.match(error.message, /node_modules is a link to .*others, .*remove the link/);
      return true;
    });
    assert.ok(existsSync(join(others, "theirs")));
  } finally {
    rmSync(place, { recursive: true });
  }
});
