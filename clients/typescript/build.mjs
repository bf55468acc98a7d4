// Makes what is published: JavaScript with its types, and the generated messages. Plain JavaScript for any Node.
import { spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const here = import.meta.dirname;
const dist = join(here, "dist");
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));

rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [join(typescript, "bin", "tsc"), "-p", join(here, "tsconfig.json")], {
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);
cpSync(join(here, "src", "gen"), join(dist, "gen"), {
  recursive: true,
  dereference: true,
  // What conformance tests call is no part of the contract, and the OpenAPI document is what services show.
  filter: (path) => !path.includes("ordermesh/testing") && !path.endsWith(".json"),
});
