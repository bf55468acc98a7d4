// `npm run import` brings each service its own, with the roles and keys of the stack that runs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, it } from "node:test";
import { root } from "../../../deploy/command/checkout.ts";
import { shopLines, toText } from "../../../services/books/test/past-shop.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-import-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "shop.ndjson");
writeFileSync(file, toText(shopLines(10)));

async function run(args: readonly string[]) {
  const child = spawn(process.execPath, [join(root, "dev/commands/import.ts"), ...args]);
  child.stdin.end();
  const [output, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number]>,
  ]);
  return { code, output, complaint };
}

it("imports into the stack that runs, all of it once", async () => {
  const dataDirectory = join(folder, "data");
  const components = ["postgres", "orders", "payments", "inventory"] as const;
  await using _stack = await Stack.start({ dataDirectory, ports: await freePorts(), components });
  const { code, output, complaint } = await run([file, "--data", dataDirectory]);
  assert.equal(code, 0, complaint);
  assert.match(output, /orders: 20 imported.*\npayments: 10 imported.*\ninventory: 10 imported/);
  const again = await run([file, "--data", dataDirectory]);
  assert.equal(again.code, 0);
  assert.equal(again.output.match(/nothing to do/g)?.length, 3);
});

for (const [what, args, sentence] of [
  ["no stack runs", [file, "--data", join(folder, "none")], /^No stack runs on .*: `npm start` runs one/],
  ["it is not said what to import", [], /^Name one file to import/],
  ["standard input would be read twice", ["-"], /^Standard input can be read once/],
  ["there is no such service", [file, "--only", "shipping"], /^--only wants one of orders, payments, inventory/],
] as const) {
  it(`says in a sentence that ${what}`, async () => {
    const { code, complaint } = await run(args);
    assert.equal(code, 1);
    assert.match(complaint, sentence);
  });
}
