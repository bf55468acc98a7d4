import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { root } from "../../../deploy/command/checkout.ts";
import { services } from "../../../services/services.ts";

const read = (path: string) => readFileSync(join(root, path), "utf8");
const page = "docs/threat-model.md";

/** The services of the contract that others than tests call. */
function contract(): string[] {
  const files = readdirSync(join(root, "proto/shop"), { recursive: true, encoding: "utf8" });
  const protos = files.filter((file) => file.endsWith(".proto")).map((file) => read(join("proto/shop", file)));
  return protos.flatMap((text) => [...text.matchAll(/^service (\w+)/gm)].map(([, name]) => name ?? ""));
}

describe("the threat model", () => {
  const text = read(page);

  test("speaks of every service of the contract, and of every process", () => {
    const names = contract();
    assert.ok(names.length > 8, `${names.length} services`);
    assert.deepEqual(
      [...names.map((name) => `\`${name}\``), ...services].filter((name) => !text.includes(name)),
      [],
    );
  });

  for (const file of [page, "SECURITY.md"]) {
    test(`${file} names only what is there`, () => {
      const links = [...read(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path]) => path ?? "");
      assert.ok(links.length > 3);
      assert.deepEqual(
        links.filter((path) => !existsSync(join(root, dirname(file), path))),
        [],
      );
    });
  }

  test("answers each kind of threat at some edge", () => {
    for (const kind of "STRIDE") assert.match(text, new RegExp(`^\\| (?:\\w, )*${kind}(?:, \\w)* \\|`, "m"), kind);
  });
});
