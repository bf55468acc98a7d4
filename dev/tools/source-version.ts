import { hash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";

/** What tells one state of files of this checkout from another: twelve characters. @param patterns of paths in the checkout */
export function sourceVersion(...patterns: readonly string[]): string {
  const paths = globSync(patterns, { cwd: root }).sort();
  const parts = paths.map((path) => `${path}\n${readFileSync(join(root, path), "utf8")}`);
  return hash("sha256", parts.join("\n")).slice(0, 12);
}
