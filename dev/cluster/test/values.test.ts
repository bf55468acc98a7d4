import assert from "node:assert/strict";
import { test } from "node:test";
import { databaseServices, services } from "../../../services/services.ts";
import { ClusterError } from "../errors.ts";
import { imageValues, meshValues, secretObjects } from "../mesh/release.ts";
import type { Passwords } from "../mesh/surroundings.ts";

test("an image becomes repository and tag, also when the registry has a port", () => {
  assert.deepEqual(imageValues("localhost:5000/shop/ordermesh:1.4.0"), {
    global: { image: { repository: "localhost:5000/shop/ordermesh", tag: "1.4.0" } },
  });
});

for (const image of ["ordermesh", "localhost:5000/ordermesh", ""]) {
  test(`"${image}" is no image with a tag`, () => assert.throws(() => imageValues(image), ClusterError));
}

test("neighbours are reached at the host's address alone", () => {
  const { global } = meshValues("10.1.2.3") as { global: { network: Record<string, unknown> } };
  const peers = [{ ipBlock: { cidr: "10.1.2.3/32" } }];
  assert.deepEqual(global.network, { database: peers, temporal: peers, tracing: peers });
});

test("only orders and inventory can be called from outside of the mesh", () => {
  const values = meshValues("10.1.2.3") as Record<string, { callers?: unknown }>;
  const open = Object.keys(values).filter((name) => values[name]?.callers !== undefined);
  assert.deepEqual(open, ["orders", "inventory"]);
});

test("there is a page token secret for every service, their keys, and a secret for every role", () => {
  const roles = databaseServices.map((name) => [name, { runtime: "r", owner: "o", reader: "l" }] as const);
  const objects = secretObjects(Object.fromEntries(roles) as Passwords);
  const names = objects.map((object) => (object as { metadata: { name: string } }).metadata.name);
  for (const name of services) assert.ok(names.includes(`mesh-${name}`), name);
  assert.ok(names.includes("mesh-service-keys"));
  for (const name of databaseServices) {
    for (const end of ["-database", "-database-owner", "-database-reader"])
      assert.ok(names.includes(`mesh-${name}${end}`), name);
  }
});
