// Writes setup/kibana.ndjson from the objects; `--check` fails when the file is another.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asLines, savedObjects } from "./objects.ts";

const file = join(import.meta.dirname, "../setup/kibana.ndjson");
const lines = asLines(savedObjects);
if (!process.argv.includes("--check")) writeFileSync(file, lines);
else if (readFileSync(file, "utf8") !== lines) {
  console.error("setup/kibana.ndjson is not what kibana/objects.ts makes: run kibana/generate.ts.");
  process.exitCode = 1;
}
