// A connector that asks who calls is tried by whoever has the keys, and says in a sentence what it lacks to everybody else.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { newServiceKey, publicHalf } from "../../../deploy/infrastructure/service-keys.ts";
import { migrations } from "../../../services/simulators/src/migrations/list.ts";
import { type ServedSimulators, serveSimulators } from "../../../services/simulators/test/served-simulators.ts";

const deadlineMs = 120_000;
const folder = mkdtempSync(join(tmpdir(), "ordermesh-keys-"));
const [payments, shipping, books] = [newServiceKey(), newServiceKey(), newServiceKey()];
const keys = [
  publicHalf(payments, "payments"),
  publicHalf(shipping, "shipping"),
  publicHalf(books, "books", ["auditor"]),
];

let outside: TestDatabase;
let served: ServedSimulators;
before(async () => {
  outside = await testDatabase("simulators", { entities: [], migrations });
  served = await serveSimulators(outside.url, 50, {
    TOKEN_ISSUERS: '[{"issuer":"https://nobody.test","audience":"ordermesh"}]',
    SERVICE_KEYS: JSON.stringify({ keys }),
    PACKING_MS: "50",
    SIMULATOR_LATENCY_MS: "0",
  });
});
after(async () => {
  await served?.[Symbol.asyncDispose]();
  await outside?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function fileOf(name: string, key: object): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(key));
  return file;
}

async function tried(args: readonly string[], variables: Readonly<Record<string, string>>) {
  const command = join(root, "dev/commands/conformance.ts");
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [command, served.address, ...args], {
    env: { PATH, HOME, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.timeout(deadlineMs),
  });
  const [output, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code, output, complaint };
}

describe("a connector that asks who calls", () => {
  it("is tried with the keys in files", async () => {
    const files = { SERVICE_KEY_FILE: fileOf("payments", payments), BOOKS_SERVICE_KEY_FILE: fileOf("books", books) };
    const { code, output, complaint } = await tried([], files);
    assert.deepEqual([code, complaint], [0, ""], output);
    assert.match(output, /^Every promise is kept\.$/m);
  });

  it("is tried with the keys themselves, as shipping has them", async () => {
    const variables = { SERVICE_KEY: JSON.stringify(shipping), BOOKS_SERVICE_KEY: JSON.stringify(books) };
    for (const args of [["--carrier"], ["--warehouse"]]) {
      const { code, output, complaint } = await tried(args, variables);
      assert.deepEqual([code, complaint], [0, ""], output);
    }
  });

  for (const [what, args, variables, sentence] of [
    [
      "there is no key",
      [],
      {},
      /^The connector refuses a call: it asks who calls: name the file .* payments by SERVICE_KEY_FILE\.$/m,
    ],
    ["there is no key for packing", ["--warehouse"], {}, /key of shipping by SERVICE_KEY_FILE\.$/m],
    [
      "the key is another's",
      [],
      { SERVICE_KEY: JSON.stringify(shipping) },
      /does not take the key in SERVICE_KEY as that of payments \(the credential is not valid here\).*kid "payments"\.$/m,
    ],
    [
      "nothing can be listed",
      [],
      { SERVICE_KEY: JSON.stringify(payments) },
      /key of books by BOOKS_SERVICE_KEY_FILE\.$/m,
    ],
    ["the key is no key", [], { SERVICE_KEY: "swordfish" }, /^ {2}SERVICE_KEY: is no Ed25519 key as a JWK$/m],
    [
      "the key is its public half",
      [],
      { SERVICE_KEY: JSON.stringify(publicHalf(payments, "payments")) },
      /^SERVICE_KEY signs nothing: /,
    ],
  ] as const) {
    it(`hears in a sentence that ${what}`, async () => {
      const { code, output, complaint } = await tried(args, variables);
      assert.equal(code, 1, output);
      assert.match(complaint, sentence);
      assert.doesNotMatch(output + complaint, /✗|swordfish/);
    });
  }
});
