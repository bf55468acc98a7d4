import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { issue, makeAuthority } from "../authority.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-authority-"));
const certificate = (name: string) => new X509Certificate(readFileSync(join(folder, `${name}.crt`)));
const orders = { name: "orders", subject: "/CN=orders", alternatives: "DNS:orders,DNS:orders.shop,IP:10.1.2.3" };

before(() => makeAuthority(folder, "a test"));
after(() => rmSync(folder, { recursive: true }));

test("a certificate is of the authority, and for its names alone", async () => {
  await issue(folder, orders);
  const issued = certificate("orders");
  assert.ok(issued.verify(certificate("ca").publicKey));
  assert.equal(issued.ca, false);
  for (const name of ["orders", "orders.shop"]) assert.ok(issued.checkHost(name), name);
  assert.ok(issued.checkIP("10.1.2.3"));
  assert.equal(issued.checkHost("payments"), undefined);
});

test("a renewed certificate has another serial number", async () => {
  await issue(folder, orders);
  const { serialNumber } = certificate("orders");
  await issue(folder, orders);
  assert.notEqual(certificate("orders").serialNumber, serialNumber);
});

test("a certificate of somebody who is only a caller needs no name", async () => {
  await issue(folder, { name: "caller", subject: "/CN=caller", alternatives: "" });
  assert.equal(certificate("caller").subjectAltName, undefined);
});
