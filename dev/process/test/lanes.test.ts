import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { bareEnvironment } from "#testing/bare-environment.ts";

const lanes = join(import.meta.dirname, "../lanes.ts");

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
});
after(() => rmSync(folder, { recursive: true }));

function testFile(name: string, body: string): string {
  const file = join(folder, `${name}.test.mjs`);
  writeFileSync(file, `import { test } from "node:test";\ntest("${name}", async () => { ${body} });\n`);
  return file;
}

/** Runs lanes of one file each in a process of its own: tests that are run by a test are none to Node. */
async function run(files: readonly string[]): Promise<{ code: number; lines: string[] }> {
  const chosen = files.map((file) => ({ files: [file], concurrency: 1 }));
  const script = `import { runLanes } from ${JSON.stringify(lanes)};
    const code = await runLanes(${JSON.stringify(chosen)}, { environment: {}, timeoutMs: 60_000 });
    console.log("code " + code);
    process.exit(0);`;
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: bareEnvironment, timeout: 120_000 });
  const lines = stdout.trimEnd().split("\n");
  return { code: Number(lines.pop()?.replace("code ", "")), lines };
}

test("what lanes have to say in the end comes after all of their tests, and names what failed", async () => {
  const marker = join(folder, "other-runs");
  const soon = testFile("soon", `throw new Error("it has to")`);
  const late = testFile(
    "late",
    `const { existsSync } = await import("node:fs");
     while (!existsSync(${JSON.stringify(marker)})) await new Promise((next) => setTimeout(next, 20));`,
  );
  const frees = testFile("frees", `(await import("node:fs")).writeFileSync(${JSON.stringify(marker)}, "");`);
  const { code, lines } = await run([soon, late, frees]);
  assert.equal(code, 1);
  const placeOf = (start: string) => lines.findIndex((line) => line.startsWith(start));
  const ends = lines.flatMap((line, place) => (line === "ℹ tests 1" ? [place] : []));
  assert.equal(ends.length, 3);
  for (const said of ["✖ soon", "✔ late", "✔ frees"]) {
    assert.ok(placeOf(said) >= 0 && placeOf(said) < (ends[0] ?? 0), `${said} in\n${lines.join("\n")}`);
  }
  assert.ok(placeOf("✖ failing tests:") > (ends[2] ?? 0), "what failed is said last");
});

test("lanes whose tests pass end with 0", async () => {
  assert.equal((await run([testFile("one", ""), testFile("other", "")])).code, 0);
});
