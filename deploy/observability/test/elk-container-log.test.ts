import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ContainerLog } from "../elk/container-log.ts";

const container = { namespace: "local", pod: "orders-0", uid: "7d1c1f7e", container: "orders" };
let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
});
after(() => rmSync(root, { recursive: true, force: true }));

test("a container's log begins a new file at 10 MiB and keeps five, as the kubelet does", () => {
  const log = new ContainerLog(root, container);
  const line = "x".repeat(1024 * 1024);
  for (let count = 1; count <= 70; count += 1) log.write(`${count} ${line}`);
  const folder = join(root, "local_orders-0_7d1c1f7e", "orders");
  const files = readdirSync(folder).sort();
  assert.equal(files.length, 5, files.join(", "));
  assert.equal(files[0], "0.log");
  const newest = readFileSync(join(folder, files.at(-1) ?? ""), "latin1");
  const first = readFileSync(join(folder, files[1] ?? ""), "latin1");
  assert.match(newest.slice(0, 60), /stdout P \d+ x/);
  // Every file but the last one is full, and the oldest ones are gone.
  assert.ok(first.length > 10 * 1024 * 1024);
  assert.ok(!first.includes("stdout P 1 x"));
});
