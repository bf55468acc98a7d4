// biome-ignore lint/plugin/files: a file of ours
import { readFileSync } from "node:fs";

/** The version in the package of the whole system, as traces and metrics say it. */
export const productVersion = versionOf(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));

function versionOf(text: string): string {
  // biome-ignore lint/plugin/json: a file of ours
  const { version }: { version?: unknown } = JSON.parse(text);
  return typeof version === "string" ? version : "unknown";
}
