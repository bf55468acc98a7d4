// Writes json/*.json from the dashboards; `--check` fails when one of them is another.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardFiles } from "./dashboards.ts";

for (const [path, text] of Object.entries(dashboardFiles)) {
  const file = join(import.meta.dirname, path);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`${path} is not what the dashboards make: run deploy/observability/grafana/generate.ts.`);
    process.exitCode = 1;
  }
}
