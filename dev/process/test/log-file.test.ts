import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LogFile } from "../log-file.ts";

test("a log keeps the newest lines and never more than two files of bounded size", () => {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-log-"));
  try {
    const path = join(folder, "orders.log");
    const log = new LogFile(path);
    const line = "x".repeat(64 * 1024);
    for (let index = 0; index < 300; index += 1) log.write(line);
    log.write("the last line");
    log.close();
    assert.deepEqual(readdirSync(folder).sort(), ["orders.log", "orders.log.1"]);
    assert.ok(readFileSync(path, "utf8").endsWith("the last line\n"));
    for (const name of readdirSync(folder)) assert.ok(statSync(join(folder, name)).size < 5 * 1024 * 1024);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
