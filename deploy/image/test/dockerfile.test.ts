import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { jobs, services } from "../../../services/services.ts";
import { root } from "../../command/checkout.ts";
import { copyInputs } from "../inputs.ts";

const dockerfile = readFileSync(join(root, "deploy/Dockerfile"), "utf8");
const lines = dockerfile.replaceAll("\\\n", " ").split("\n");
const instructions = (name: string) =>
  lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

test("nothing in it needs a shell", () => {
  const commands = ["RUN", "ENTRYPOINT", "CMD"].flatMap(instructions);
  assert.ok(commands.length >= 5);
  for (const command of commands) assert.ok(Array.isArray(JSON.parse(command)), command);
});

test("it runs as a user without privileges, given by number", () => {
  assert.deepEqual(instructions("USER"), ["1000:1000"]);
});

test("the base images are arguments, pinned to one release of the Node that the tests run on", () => {
  const bases = instructions("ARG").filter((line) => /BASE=/.test(line));
  assert.equal(bases.length, 2);
  for (const base of bases) assert.match(base, new RegExp(`=docker\\.io/library/node:${process.versions.node}-`));
  for (const from of instructions("FROM")) assert.match(from, /^\$\{(?:BUILD_)?BASE\}/);
});

test("what is copied from the sources exists", () => {
  const copied = instructions("COPY")
    .filter((line) => !line.startsWith("--from"))
    .flatMap((line) => line.split(/\s+/).slice(0, -1));
  for (const path of copied) assert.ok(existsSync(join(root, path)), path);
});

test("the inputs of the image hold all that its entry point reads", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-inputs-"));
  context.after(() => rmSync(folder, { recursive: true }));
  await copyInputs(folder);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(folder, "deploy/image/run.ts"), ...args], { encoding: "utf8", env: {} });
  const { status, stderr } = run();
  assert.equal(status, 0, stderr);
  // A program whose files are all there says what it lacks besides.
  for (const name of [...services, ...jobs]) assert.match(run(name).stderr, /The configuration is not usable/, name);
});

const entry = (...args: string[]) =>
  spawnSync(process.execPath, [join(root, "deploy/image/run.ts"), ...args], { encoding: "utf8", timeout: 30_000 });

for (const { args, code, says } of [
  { args: ["--help"], code: 0, says: /orders \| payments/ },
  { args: [], code: 0, says: /orders \| payments/ },
  { args: ["ledger"], code: 2, says: /There is no "ledger" in this image/ },
  { args: ["place-order", "--orders", "x:1"], code: 2, says: /--orders and --inventory say where/ },
  { args: ["books"], code: 2, says: /books: The configuration is not usable:\n {2}ORDERS_DATABASE_URL: is not set/ },
  { args: ["orders", "sing"], code: 1, says: /orders: unknown command "sing"/ },
]) {
  test(`the entry point answers ${JSON.stringify(args)} with code ${code}`, () => {
    const { status, stdout, stderr } = entry(...args);
    assert.match(stdout + stderr, says);
    assert.equal(status, code);
  });
}
