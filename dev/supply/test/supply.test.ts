import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { root } from "../../../deploy/command/checkout.ts";
import { isAccepted, licenceFaults } from "../licences.ts";
import { type Lock, type LockEntry, lockFaults, missingFrom, withoutUnhashed } from "../lock-file.ts";
import { secretFaults, secretsIn } from "../secrets.ts";

describe("licences", () => {
  const cases: [expression: string, accepted: boolean][] = [
    ["MIT", true],
    ["(MIT OR GPL-3.0-only)", true],
    ["GPL-3.0-only OR MIT", true],
    ["Apache-2.0 AND MIT", true],
    ["(Apache-2.0 AND BSD-3-Clause)", true],
    ["MIT AND GPL-3.0-only", false],
    ["AGPL-3.0-only", false],
    ["SEE LICENSE IN LICENSE FILE", false],
    ["UNLICENSED", false],
    ["MIT OR (GPL-3.0-only AND MIT)", false],
  ];
  for (const [expression, accepted] of cases) {
    test(`${expression} is ${accepted ? "" : "not "}accepted`, () => assert.equal(isAccepted(expression), accepted));
  }

  test("of all packages are accepted", () => assert.deepEqual(licenceFaults(root), []));
});

describe("the lock file", () => {
  const hashed: LockEntry = { version: "1.0.0", integrity: `sha512-${"A".repeat(86)}==` };
  const of = (packages: Lock["packages"]): Lock => ({ packages: { "": { version: "1.0.0" }, ...packages } });

  const cases: readonly (readonly [what: string, packages: Lock["packages"], says: RegExp | undefined])[] = [
    ["packages with their hashes", { "node_modules/a": hashed }, undefined],
    ["a link to a folder of the repository", { "node_modules/a": { link: true, resolved: "clients/a" } }, undefined],
    ["a package without a hash", { "node_modules/a": { version: "1.0.0" } }, /^node_modules\/a has no SHA-512/],
    [
      "a package of another platform without a hash",
      { "node_modules/a-win32-x64": { version: "1.0.0", optional: true, os: ["win32"] } },
      /has no SHA-512/,
    ],
    ["a weak hash", { "node_modules/a": { ...hashed, integrity: "sha1-AAAA" } }, /has no SHA-512/],
    [
      "an address",
      { "node_modules/a": { ...hashed, resolved: "https://packages.example/a.tgz" } },
      /says where it was downloaded/,
    ],
    [
      "no package for a platform that its parent names",
      { "node_modules/a": { ...hashed, optionalDependencies: { "a-darwin-arm64": "1.0.0" } } },
      /^node_modules\/a-darwin-arm64 is missing/,
    ],
  ];
  for (const [what, packages, says] of cases) {
    test(`with ${what} is ${says ? "refused" : "taken"}`, () => {
      const faults = lockFaults(of(packages));
      assert.equal(faults.length, says ? 1 : 0, faults.join("\n"));
      if (says) assert.match(faults[0] ?? "", says);
    });
  }

  test("is completed by what the names say, and asks anew for what has no hash", () => {
    const parent = { ...hashed, dev: true, optionalDependencies: { "a-linux-x64-musl": "^1.0.0" } };
    const lock = of({ "node_modules/a": parent, "node_modules/b": { version: "2.0.0" } });
    assert.deepEqual(Object.fromEntries(missingFrom(lock)), {
      "node_modules/a-linux-x64-musl": {
        version: "1.0.0",
        os: ["linux"],
        cpu: ["x64"],
        libc: ["musl"],
        dev: true,
        optional: true,
      },
    });
    assert.deepEqual(Object.keys(withoutUnhashed(lock).packages), ["", "node_modules/a"]);
  });

  test("of the repository is whole", () => {
    assert.deepEqual(lockFaults(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock), []);
  });
});

describe("secrets", () => {
  // Put together here, so that this file holds none.
  const random = "q8Zr3TnV0bX7yLw2Kd5HsJ9cEf1GmPa4";
  const planted: [what: string, text: string][] = [
    ["a private key", `-----BEGIN ${"PRIVATE"} KEY-----\n${random.repeat(4)}\n`],
    ["a key of AWS", `aws = AKIA${"ABCDEFGH2345JKLM"}`],
    ["a token of GitHub", `ghp_${random}${random.slice(0, 8)}`],
    ["a token of npm", `//registry.npmjs.org/:_authToken=npm_${random}abcd`],
    ["a token of Slack", `xoxb-${"123456789012-abcdefghijkl"}`],
    ["a key of Stripe", `sk_live_${random}`],
    ["a key of EasyPost", `EZAK${random}`],
    ["a key of Google", `AIza${random}abc`],
    ["a JSON web token", `eyJ${random.slice(0, 20)}.eyJ${random.slice(0, 20)}.${random}`],
    ["a password in a URL", `postgres://orders:${random.slice(0, 12)}@db.example:5432/orders`],
    ["a secret by its name", `client_secret: "${random}"`],
  ];
  for (const [what, text] of planted) {
    test(`${what} is found, with its line and without itself`, () => {
      const findings = secretsIn("src/some.ts", `first line\n${text}`);
      assert.ok(
        findings.some((found) => found.what === what && found.line === 2),
        JSON.stringify(findings),
      );
      assert.ok(!JSON.stringify(findings).includes(random.slice(0, 12)));
    });
  }

  for (const text of [
    'PAGE_TOKEN_SECRET: "a secret of at least 32 characters"',
    "postgres://role:password@host:5432/database",
    `value: "postgres://$(DATABASE_USERNAME):$(DATABASE_PASSWORD)@pg-rw:5432/orders"`,
    `pageTokenSecret: "page-token-secret-of-orders"`,
  ]) {
    test(`none is ${text}`, () => assert.deepEqual(secretsIn("src/some.ts", text), []));
  }

  test("there are none in the repository", async () => assert.deepEqual(await secretFaults(), []));
});
