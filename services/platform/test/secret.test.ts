import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { inspect } from "node:util";
import { z } from "zod";
import { ConfigError, loadConfig } from "#platform/config.ts";
import { watchSecrets } from "#platform/process/secrets.ts";
import { Secret, secret } from "#platform/secret.ts";
import { until } from "#testing/until.ts";
import { Volume } from "#testing/volume.ts";

const rule = z
  .string()
  .min(8, "is too short")
  .transform((text) => text.toLowerCase());
const shape = { TOKEN: secret(rule).optional(), PLAIN: z.string().optional() };

describe("a secret", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "ordermesh-secrets-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  test("comes from the environment or from a file, without the end of its line", () => {
    const file = join(folder, "token");
    writeFileSync(file, "from a file\n");
    assert.equal(loadConfig(shape, { TOKEN: "from outside" }).TOKEN?.text, "from outside");
    assert.equal(loadConfig(shape, { TOKEN_FILE: file }).TOKEN?.text, "from a file");
    assert.equal(loadConfig(shape, {}).TOKEN, undefined);
  });

  test("is not read from a file by the name of a setting that is none", () => {
    assert.equal(loadConfig(shape, { PLAIN_FILE: "/nowhere" }).PLAIN, undefined);
  });

  const mistakes: [what: string, env: (folder: string) => Record<string, string>, says: RegExp][] = [
    ["set twice", (at) => ({ TOKEN: "from outside", TOKEN_FILE: at }), /TOKEN: is set, and TOKEN_FILE as well/],
    ["in no file", (at) => ({ TOKEN_FILE: join(at, "none") }), /TOKEN_FILE: the file .*none cannot be read \(ENOENT\)/],
    ["in a folder", (at) => ({ TOKEN_FILE: at }), /TOKEN_FILE: the file .* cannot be read \(EISDIR\)/],
    ["in an empty file", (at) => ({ TOKEN_FILE: join(at, "empty") }), /TOKEN_FILE: the file .*empty is empty/],
    ["wrong in a file", (at) => ({ TOKEN_FILE: join(at, "short") }), /TOKEN: the file .*short is too short/],
  ];
  for (const [what, env, says] of mistakes) {
    test(`that is ${what} is refused at the start, without being shown`, () => {
      writeFileSync(join(folder, "empty"), "\n");
      writeFileSync(join(folder, "short"), "hidden");
      assert.throws(
        () => loadConfig(shape, env(folder)),
        (error: Error) => error instanceof ConfigError && says.test(error.message) && !error.message.includes("hidden"),
      );
    });
  }

  test("shows itself nowhere", () => {
    const hidden = new Secret("do not show", z.string());
    assert.ok(!`${hidden} ${JSON.stringify({ hidden })} ${inspect({ hidden })}`.includes("do not show"));
  });

  test("is read again when its volume is swapped, and stays when what comes is none", async () => {
    const volume = new Volume(join(folder, "volume"), "token");
    volume.write("The first one");
    const config = loadConfig(shape, { TOKEN_FILE: volume.file });
    const said: string[] = [];
    const told: string[] = [];
    config.TOKEN?.onChange((text) => void told.push(text));
    const note = (message: string) => void said.push(message);
    const stop = watchSecrets(config, { everyMs: 10, logger: { info: note, warn: note } as never });
    try {
      assert.equal(config.TOKEN?.text, "the first one");
      volume.write("The second one");
      await until(() => config.TOKEN?.text === "the second one", "it is read again");
      volume.write("short");
      await until(() => said.some((line) => line.includes("is too short")), "trouble is told");
      assert.equal(config.TOKEN?.text, "the second one");
      volume.write("the third one");
      await until(() => config.TOKEN?.text === "the third one", "it is read again");
    } finally {
      stop();
    }
    assert.deepEqual(told, ["the second one", "the third one"]);
    assert.equal(said.filter((line) => line.includes("is too short")).length, 1);
    assert.ok(!said.some((line) => /second|third/.test(line)));
  });
});
