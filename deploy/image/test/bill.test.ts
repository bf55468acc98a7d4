import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bill, settle } from "../bill.ts";

const written = (serialNumber: string, timestamp: string, refs: readonly string[]): Bill => ({
  bomFormat: "CycloneDX",
  serialNumber,
  metadata: { timestamp, tools: [] },
  components: refs.map((ref) => ({ "bom-ref": ref })),
});

test("two bills of the same dependencies are the same document", () => {
  const first = settle(written("urn:uuid:1", "2026-11-21T00:00:00Z", ["b@1", "a@2"]), "v24.1.0");
  const second = settle(written("urn:uuid:2", "2026-11-22T00:00:00Z", ["a@2", "b@1"]), "v24.1.0");
  assert.equal(JSON.stringify(first), JSON.stringify(second));
  assert.match(first.serialNumber ?? "", /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("another dependency or another Node is another document", () => {
  const numbers = [
    settle(written("", "", ["a@2"]), "v24.1.0"),
    settle(written("", "", ["a@3"]), "v24.1.0"),
    settle(written("", "", ["a@2"]), "v24.2.0"),
  ].map((bill) => bill.serialNumber);
  assert.equal(new Set(numbers).size, 3);
});

test("Node is one of the components", () => {
  const { components } = settle(written("", "", ["a@2"]), "v24.1.0");
  assert.deepEqual(
    components.map((component) => component["bom-ref"]),
    ["a@2", "pkg:generic/node@24.1.0"],
  );
});
