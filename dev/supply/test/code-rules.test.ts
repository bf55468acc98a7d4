// Each rule of dev/supply/rules finds what it is there for, in the files that it is there for, and nothing that only looks like it.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what is planted is code as text
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { root } from "../../../deploy/command/checkout.ts";

const rules = "dev/supply/rules";

/** What each rule must find, and what it must leave alone; in a file of a service unless it says another. */
interface Examples {
  readonly found: readonly string[];
  readonly fine: readonly string[];
  /** Where the same is nobody's business. */
  readonly elsewhere: string;
}

const tests = "services/example/test/some.test.ts";

const examples: Readonly<Record<string, Examples>> = {
  shell: {
    found: [
      "exec(`ls ${folder}`);",
      'execSync("git log " + branch, { cwd });',
      "spawn(name, args, { shell: true });",
      "spawn(name, args, { shell: process.env.SHELL });",
      'run("sh", ["-c", script], { timeoutMs });',
      'execFile("/bin/bash", ["-c", script]);',
    ],
    fine: ["pattern.exec(text);", 'spawn("git", ["log", branch], { shell: false });', 'run("ssh", [host], options);'],
    elsewhere: tests,
  },
  code: {
    found: [
      'const add = new Function("a", "b", body);',
      "vm.runInNewContext(text, {});",
      "new vm.Script(text);",
      'setTimeout("tick()", 10);',
    ],
    fine: ["setTimeout(() => tick(), 10);", "const made = new FunctionTable(body);", "temporal.runInContext(x);"],
    elsewhere: tests,
  },
  crypto: {
    found: [
      'createHash("md5");',
      'hash("sha1", text, "hex");',
      'createHmac("SHA-1", key);',
      'createCipheriv("aes-256-cbc", key, iv);',
      'crypto.createDecipheriv("des-ede3", key, null);',
    ],
    fine: ['createHash("sha256");', 'createCipheriv("aes-256-gcm", key, iv);', 'hash("sha512", text, "hex");'],
    elsewhere: tests,
  },
  tls: {
    found: [
      "connect({ host, rejectUnauthorized: false });",
      "connect({ host, rejectUnauthorized: strict });",
      "connect({ host, checkServerIdentity: () => undefined });",
      'process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";',
      'spawn(name, args, { env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" } });',
      'createServer({ minVersion: "TLSv1.1" });',
      "new Client(address, credentials.createInsecure());",
    ],
    fine: ["connect({ host, rejectUnauthorized: true });", 'createServer({ minVersion: "TLSv1.3" });'],
    elsewhere: "dev/some.ts",
  },
  random: {
    found: ["const token = Math.random().toString(36);", "draw(Math.random);"],
    fine: ["const token = randomBytes(32);", "const most = Math.max(1, 2);"],
    elsewhere: "bench/some.ts",
  },
  timing: {
    found: [
      "if (given.token === own.token) open();",
      "if (tokenHash !== row.hash) refuse();",
      "if (shown == apiKey) open();",
      "if (digest.equals(expectedDigest)) open();",
      "if (request.headers.signature !== computed) refuse();",
      "if (this.#secret === given) open();",
    ],
    fine: [
      "if (token === undefined) refuse();",
      'if (password !== "") go();',
      "if (token.length === other.length) go();",
      "if (tokens === others) go();",
      "if (timingSafeEqual(digest, expected)) open();",
    ],
    elsewhere: "dev/some.ts",
  },
  logs: {
    found: [
      "logger.info(`logged in with ${password}`);",
      'logger.warn("refused", { token });',
      'this.#logger.debug("headers", { given: request.headers.authorization });',
      "console.log(config.pageTokenSecret);",
      'log.error("failed", { err: new Error(apiKey) });',
    ],
    fine: [
      'logger.info("the password was changed", { "order.id": orderId });',
      'logger.warn("no such token");',
      "logger.info(`token ${tokenId}`);",
      "ledger.error(password);",
    ],
    elsewhere: "dev/some.ts",
  },
  regex: {
    found: [
      "const a = /^(a+)+$/;",
      "const b = /(\\w+\\s?)*x/u;",
      "const c = /(?:a|ab)*c/;",
      "const d = /((?:x{2,})y)+/;",
    ],
    fine: ["const a = /^a+b+$/;", "const b = /(?:\\.\\d{3})*/;", "const c = /(?:a|b){1,3}/;", "const d = /[(+*)]+/;"],
    elsewhere: "dev/some.ts",
  },
  redirects: {
    found: [
      "await fetch(address);",
      "await fetch(address, { signal });",
      'await fetch(address, { redirect: "follow" });',
    ],
    fine: ['await fetch(address, { signal, redirect: "error" });', "await fetchAll(address);"],
    elsewhere: "dev/some.ts",
  },
  files: {
    found: [
      'import { readFile } from "node:fs/promises";\nexport const page = (name: string) => readFile(join(pages, name));',
      'import * as fs from "fs";\nexport { fs };',
      'import {\n  execFile,\n} from "node:child_process";\nexport { execFile };',
      'import vm from "node:vm";\nexport { vm };',
    ],
    fine: [
      'import { join } from "node:path";\nexport { join };',
      'import { files } from "./fs.ts";\nexport { files };',
    ],
    elsewhere: "deploy/some.ts",
  },
  json: {
    found: ["const body = JSON.parse(text);", "JSON.parse(text, reviver);", "const said = await response.json();"],
    fine: ["const text = JSON.stringify(body);", "const said = await response.text();"],
    elsewhere: "dev/some.ts",
  },
  sql: {
    found: [
      "const find = (name: string) => query(`select * from person where name = '${name}'`);",
      'function find(name: string) {\n  return query("select * from person where name = " + name);\n}',
      "class People {\n  remove(id: string) {\n    return this.query(`\n      delete from person where id = ${id}`);\n  }\n}",
      "const sort = async (by: string) => query(`with p as (select 1) select * from p order by ${by}`);",
    ],
    fine: [
      "const columns = `id, name`;\nconst all = `select ${columns} from person`;",
      "const find = (name: string) => query(`select * from person where name = $1`, [name]);",
      'const say = (name: string) => print("selected: " + name);',
      "const say = (name: string) => print(`updated ${name}`);",
    ],
    elsewhere: "services/example/src/migrations/0001-some.ts",
  },
};

interface Diagnostic {
  readonly message: string;
  readonly category: string;
  readonly location: { readonly path: string };
}

/** A repository with the same rules, and the files that are planted in it. */
class Planted implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "ordermesh-rules-"));

  constructor() {
    cpSync(join(root, rules), join(this.#folder, rules), { recursive: true });
    const settings = JSON.parse(readFileSync(join(root, "biome.json"), "utf8")) as object;
    writeFileSync(join(this.#folder, "biome.json"), JSON.stringify({ ...settings, vcs: { enabled: false } }));
  }

  plant(path: string, text: string): void {
    mkdirSync(dirname(join(this.#folder, path)), { recursive: true });
    writeFileSync(join(this.#folder, path), `${text}\n`);
  }

  /** What is found by the rules, or about their exceptions, by path. */
  look(): Promise<Map<string, Diagnostic[]>> {
    const args = ["lint", "--reporter=json", "--max-diagnostics=none", "."];
    const { promise, resolve, reject } = Promise.withResolvers<Map<string, Diagnostic[]>>();
    const options = { cwd: this.#folder, timeout: 60_000, maxBuffer: 16 * 1024 * 1024 };
    execFile(join(root, "node_modules/.bin/biome"), args, options, (error, stdout, stderr) => {
      if (!stdout.startsWith("{")) return reject(new Error(`${error?.message}\n${stderr}`));
      const { diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] };
      const ours = diagnostics.filter(({ category }) => /^(?:plugin|suppressions)/.test(category));
      resolve(Map.groupBy(ours, ({ location }) => location.path));
    });
    return promise;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const reason = "// biome-ignore lint/plugin/random: spreads a pause";

/** By their paths: what is there with the exceptions, and what Biome says of that. */
const exceptions: Readonly<Record<string, readonly [text: string, says: readonly RegExp[]]>> = {
  "with its reason is none": [`${reason}\nconst pause = Math.random();`, []],
  "without a reason is found": [
    "// biome-ignore lint/plugin/random\nconst pause = Math.random();",
    [/^Math\.random can be guessed/, /reason|explanation|parse/i],
  ],
  "of another rule is found": [
    "// biome-ignore lint/plugin/json: bounded\nconst pause = Math.random();",
    [/^Math\.random can be guessed/, /no effect/],
  ],
  "that is not there any more is found": [`${reason}\nconst pause = 1;`, [/no effect/]],
};

const pathOf = (rule: string, kind: string, index = 0) => `services/example/src/${rule}-${kind}-${index}.ts`;
const exceptionPath = (name: string) => `services/example/src/${name.replaceAll(" ", "-")}.ts`;

describe("the rules for code", () => {
  let seen: Map<string, Diagnostic[]>;
  const planted = new Planted();
  before(async () => {
    for (const [rule, { found, fine, elsewhere }] of Object.entries(examples)) {
      for (const [index, text] of found.entries()) planted.plant(pathOf(rule, "found", index), text);
      for (const [index, text] of fine.entries()) planted.plant(pathOf(rule, "fine", index), text);
      planted.plant(elsewhere.replace("some", `some-${rule}`), found[0] ?? "");
    }
    for (const [name, [text]] of Object.entries(exceptions)) planted.plant(exceptionPath(name), text);
    seen = await planted.look();
  });
  after(() => planted[Symbol.dispose]());

  /** Which rules found something in a file. */
  const rulesIn = (path: string) =>
    (seen.get(path) ?? []).map(({ message }) => /lint\/plugin\/(\w+)\)/.exec(message)?.[1] ?? message);

  test("are all tried here", () => {
    const names = readdirSync(join(root, rules)).map((file) => file.replace(".grit", ""));
    assert.deepEqual(names.sort(), Object.keys(examples).sort());
  });

  for (const [rule, { found, fine, elsewhere }] of Object.entries(examples)) {
    for (const [index, text] of found.entries()) {
      test(`${rule} finds ${text.replaceAll(/\s+/g, " ")}`, () => {
        assert.ok(rulesIn(pathOf(rule, "found", index)).includes(rule), text);
      });
    }
    for (const [index, text] of fine.entries()) {
      test(`${rule} leaves alone ${text.replaceAll(/\s+/g, " ")}`, () => {
        assert.ok(!rulesIn(pathOf(rule, "fine", index)).includes(rule), text);
      });
    }
    test(`${rule} does not concern ${dirname(elsewhere)}`, () => {
      assert.ok(!rulesIn(elsewhere.replace("some", `some-${rule}`)).includes(rule));
    });
  }

  for (const [name, [, says]] of Object.entries(exceptions)) {
    test(`an exception ${name}`, () => {
      const messages = (seen.get(exceptionPath(name)) ?? []).map(({ message }) => message).sort();
      assert.equal(messages.length, says.length, messages.join("\n"));
      for (const pattern of says)
        assert.ok(
          messages.some((message) => pattern.test(message)),
          `${pattern} in ${messages}`,
        );
    });
  }
});
