import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { databaseServices } from "../../../services/services.ts";
import { type Credentials, credentialsIn, payloadKeysFile } from "../credentials.ts";
import { connectors } from "../layout.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-credentials-"));
const file = join(folder, "credentials.json");
after(() => rmSync(folder, { recursive: true }));

test("the file of the keys of what Temporal keeps is made once: whoever rotates them keeps what he wrote", () => {
  const { payloadKey } = credentialsIn(folder);
  assert.equal(readFileSync(payloadKeysFile(folder), "utf8"), `${payloadKey}\n`);
  writeFileSync(payloadKeysFile(folder), `${payloadKey}\nanother one\n`);
  credentialsIn(folder);
  assert.match(readFileSync(payloadKeysFile(folder), "utf8"), /another one/);
});

test("a stack keeps its secrets, and makes those of a service that is new to its data", () => {
  const first = credentialsIn(folder);
  assert.deepEqual(Object.keys(first.roles), [...databaseServices, ...connectors]);
  assert.deepEqual(credentialsIn(folder), first);
  const { orders: _, ...others } = first.roles;
  const former = { runtime: "r", owner: "o", reader: "l" };
  writeFileSync(file, JSON.stringify({ ...first, roles: { ...others, former } }));
  const second = credentialsIn(folder);
  assert.match(second.roles.orders.runtime, /^[\w-]{32}$/);
  assert.notDeepEqual(second.roles.orders, first.roles.orders);
  // Those of a service that only another checkout knows stay.
  assert.deepEqual(second.roles, { ...first.roles, orders: second.roles.orders, former });
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")) as Credentials, second);
  // A role that its first version did not have.
  const { reader: _reader, ...without } = second.roles.orders;
  writeFileSync(file, JSON.stringify({ ...second, roles: { ...second.roles, orders: without } }));
  const { reader, ...kept } = credentialsIn(folder).roles.orders;
  assert.match(reader, /^[\w-]{32}$/);
  assert.deepEqual(kept, without);
});
