// Writes the files that are made from rules and scrape jobs; `--check` fails when one of them is another.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generatedFiles } from "./resources.ts";

for (const [path, text] of Object.entries(generatedFiles)) {
  const file = join(import.meta.dirname, path);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`${path} is not what the sources make: run deploy/observability/prometheus/generate.ts.`);
    process.exitCode = 1;
  }
}
