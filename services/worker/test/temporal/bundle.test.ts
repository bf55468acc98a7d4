import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { sharedSources, workflows } from "../../src/temporal/bundle.ts";
import { BundleCache, bundleKey } from "../../src/temporal/bundle-cache.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-bundles-"));
});
after(() => rm(folder, { recursive: true }));

describe("bundles of the workflows", () => {
  test("are made once for a key and found by whoever comes later", async () => {
    const cache = new BundleCache(join(folder, "once"));
    assert.equal(await cache.take("key", async () => "code"), "code");
    const again = new BundleCache(join(folder, "once"));
    assert.equal(await again.take("key", () => Promise.reject(new Error("made twice"))), "code");
    assert.equal(await again.take("other", async () => "other code"), "other code");
  });

  test("appear whole when several processes make them at the same time", async () => {
    const shared = join(folder, "shared");
    const code = "x".repeat(1_000_000);
    const taken = await Promise.all(
      Array.from({ length: 8 }, () => new BundleCache(shared).take("key", async () => code)),
    );
    assert.ok(taken.every((each) => each === code));
    assert.deepEqual(await readdir(shared), ["key.js"]);
  });

  test("of old keys do not pile up", async () => {
    const cache = new BundleCache(join(folder, "old"));
    for (let number = 0; number < 9; number++) await cache.take(`key${number}`, async () => "code");
    assert.equal((await readdir(join(folder, "old"))).length, 4);
  });

  test("are made each time when nothing can be kept", async () => {
    await writeFile(join(folder, "file"), "");
    const cache = new BundleCache(join(folder, "file"));
    assert.equal(await cache.take("key", async () => "code"), "code");
  });

  test("have another key when a source or anything else that decides changes", async () => {
    const sources = await mkdtemp(join(folder, "sources-"));
    const url = pathToFileURL(`${sources}/`);
    await writeFile(join(sources, "one.ts"), "export {};");
    const key = await bundleKey([url], ["a"]);
    assert.equal(await bundleKey([url], ["a"]), key);
    assert.notEqual(await bundleKey([url], ["b"]), key);
    await writeFile(join(sources, "one.ts"), "export { };");
    assert.notEqual(await bundleKey([url], ["a"]), key);
  });

  test("have in their key all that the workflows are made of", async () => {
    const names = await readdir(workflows, { recursive: true });
    const inFolder = names.filter((name) => name.endsWith(".ts")).map((name) => new URL(name, workflows));
    const files = [...inFolder, ...sharedSources];
    const known = new Set(files.map(({ href }) => href));
    for (const file of files) {
      const imports = (await readFile(file, "utf8")).matchAll(/from "([^"]+)"/g);
      for (const [, from = ""] of imports) {
        if (/^@temporalio\/(workflow|common)$/.test(from)) continue;
        const platform = from.startsWith("#platform/");
        const target = platform ? import.meta.resolve(from) : new URL(from, file).href;
        assert.ok(known.has(target), `${file.pathname} imports ${from}`);
      }
    }
  });

  test("are made of modules without state, which workflows share", async () => {
    const names = await readdir(workflows, { recursive: true });
    const inFolder = names.filter((name) => name.endsWith(".ts")).map((name) => new URL(name, workflows));
    const variable = /^(?:export )?(?:let|var) .*/m;
    const changeable = /^(?:export )?const \w+(?:: (?!Readonly|readonly)[^=]+)? = (?:new (?:Weak)?(?:Map|Set)\b|\[).*/m;
    for (const file of [...inFolder, ...sharedSources]) {
      const text = await readFile(file, "utf8");
      const state = (variable.exec(text) ?? changeable.exec(text))?.[0];
      assert.equal(state, undefined, file.pathname);
    }
  });
});
