import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { prune } from "../prune.ts";

const own = process.arch === "arm64" ? "aarch64" : "x86_64";
const core = "@temporalio/core-bridge";
const kept = [
  "zod/index.js",
  "zod/LICENSE",
  "swagger-ui-dist/swagger-ui.css",
  "swagger-ui-dist/swagger-ui-bundle.js",
  "swagger-ui-dist/LICENSE",
  `${core}/index.js`,
  `${core}/releases/${own}-unknown-linux-gnu/index.node`,
];
const leftOut = [
  "zod/index.d.ts",
  "zod/index.d.mts",
  "zod/index.js.map",
  "swagger-ui-dist/swagger-ui.js",
  "swagger-ui-dist/swagger-ui-es-bundle-core.js",
  "swagger-ui-dist/swagger-ui-standalone-preset.js",
  `${core}/releases/x86_64-pc-windows-msvc/index.node`,
  `${core}/sdk-core/Cargo.toml`,
  `${core}/src/lib.rs`,
];
// Looks like a part of the core, but is somebody else's.
const others = ["elsewhere/src/index.js", "scripts/index.js", "core-bridge/src/index.js"];

test("what never runs in the image is left out, and nothing else", (t) => {
  const root = mkdtempSync(join(tmpdir(), "ordermesh-prune-"));
  t.after(() => rmSync(root, { recursive: true }));
  for (const path of [...kept, ...leftOut, ...others]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), "");
  }
  assert.equal(prune(root), leftOut.length);
  const present = [...kept, ...leftOut, ...others].filter((path) => existsSync(join(root, path)));
  assert.deepEqual(present, [...kept, ...others]);
});
