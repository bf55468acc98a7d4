import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { historyFile, historyFolder } from "./history.ts";

const script = fileURLToPath(new URL("./record-histories.ts", import.meta.url));

const cases = [
  {
    name: "a history that exists",
    arguments: ["checkout"],
    says: "record-histories: the history checkout exists, and a recorded history never changes; ",
  },
  { name: "all histories when they exist", arguments: [], says: "record-histories: the history " },
  { name: "what is no scenario", arguments: ["never"], says: "record-histories: there is no scenario never; " },
];

for (const { name, arguments: names, says } of cases) {
  test(`${name}: nothing is recorded`, async () => {
    const before = await readFile(historyFile("checkout"), "utf8");
    const recording = promisify(execFile)(process.execPath, [script, ...names], { timeout: 60_000 });
    await assert.rejects(recording, ({ code, stderr }: { code: number; stderr: string }) => {
      assert.equal(code, 1);
      assert.ok(stderr.startsWith(says), stderr);
      return true;
    });
    assert.equal(await readFile(historyFile("checkout"), "utf8"), before);
  });
}

test("no history names a folder of the machine that recorded it", async () => {
  const frame = /(?:\(|at (?:async )?)(?:file:\/\/)?(\/[^\s()]+):\d+:\d+/g;
  const paths: string[] = [];
  for (const file of await readdir(historyFolder)) {
    const text = await readFile(new URL(file, historyFolder), "utf8");
    paths.push(...[...text.matchAll(frame)].map(([, path]) => `${file}: ${path}`));
  }
  assert.notEqual(paths.length, 0);
  const foreign = paths.filter((path) => !/: \/(services|node_modules|dev|deploy)\//.test(path));
  assert.deepEqual(foreign, []);
});
