import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { issuersSchema } from "#platform/issuer-settings.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { databaseServices, services } from "../../../services/services.ts";
import { ClusterError } from "../errors.ts";
import { issuerValues } from "../mesh/issuers-stage.ts";
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
  const { database, temporal, tracing } = global.network;
  assert.deepEqual([database, temporal, tracing], [peers, peers, peers]);
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

interface WithIssuers {
  readonly global: { readonly credentials: { readonly issuers: readonly Readonly<Record<string, unknown>>[] } };
}

test("issuers are said in the test and on the page as the services read them, with what the page needs to be tried", () => {
  const page = readFileSync(join(root, "docs/identity.md"), "utf8");
  const blocks = [...page.matchAll(/```yaml\n(global:\n[^`]+)```/g)].map(([, text = ""]) => parse(text) as WithIssuers);
  const onPage = blocks.flatMap(({ global }) => global.credentials.issuers);
  const cluster = { issuer: "https://kubernetes.default.svc", addresses: ["10.0.0.1"], port: 6443 };
  const tried = (issuerValues({ url: "http://10.0.0.2:80" }, cluster) as unknown as WithIssuers).global.credentials
    .issuers;
  for (const issuers of [onPage, tried]) assert.equal(issuersSchema.parse(issuers).length, issuers.length);
  const told = (issuers: WithIssuers["global"]["credentials"]["issuers"]) =>
    Object.keys(issuers.find(({ ca }) => ca !== undefined) ?? {}).sort();
  assert.ok(told(onPage).length > 0);
  assert.deepEqual(told(onPage), told(tried));
});
