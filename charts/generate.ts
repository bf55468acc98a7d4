// `node charts/generate.ts`: writes values.schema.json and the table in README.md of each chart from the comments in its
// values.yaml, and the charts of the umbrella's services, which are the chart "service" by other names. With `--check` it writes nothing and says what is not as it would write it.
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { databaseConfig, eventsConfig, platformConfig } from "#platform/config.ts";
import { root } from "../deploy/command/checkout.ts";
import { run } from "../deploy/command/run.ts";
import { hasDatabase, type Service, services } from "../services/services.ts";
import { configOf } from "./service-config.ts";
import { readValues } from "./values-comments.ts";
import { type Variables, valuesSchema, valuesTable } from "./values-schema.ts";

/** Where the charts are. */
const folder = import.meta.dirname;
const charts = ["service", "ordermesh"] as const;
const begin = "<!-- values -->";
const end = "<!-- end of values -->";

/** What the chart sets from values of its own, and secrets, which never are in a ConfigMap. */
const ownVariables = new Set([
  "DATABASE_URL",
  "DATABASE_MIGRATION_URL",
  "DATABASE_DIRECT_URL",
  "DATABASE_USERNAME",
  "DATABASE_PASSWORD",
  "PAGE_TOKEN_SECRET",
  "SERVICE_KEY",
  "TEMPORAL_CODEC_KEYS",
  "CODEC_TOKENS",
  "PERSONAL_DATA_KEYS",
  "EVENTS_NATS_PASSWORD",
  "MAIL_PASSWORD",
  "GRPC_PORT",
  "HTTP_PORT",
  "ADMIN_PORT",
]);

function namesIn(...shapes: readonly object[]): string[] {
  const names = shapes.flatMap((shape) => Object.keys(shape));
  return [...new Set(names)].filter((name) => !ownVariables.has(name)).sort();
}

const variables: Variables = Object.fromEntries(
  await Promise.all(
    services.map(async (service) => {
      const common = hasDatabase(service) ? [platformConfig, databaseConfig, eventsConfig] : [platformConfig];
      return [service, namesIn(...common, await configOf(service))] as const;
    }),
  ),
);

async function formatted(json: object): Promise<string> {
  const scratch = join(root, ".cache", `values-${process.pid}.json`);
  mkdirSync(dirname(scratch), { recursive: true });
  writeFileSync(scratch, JSON.stringify(json, undefined, 2));
  const biome = join(root, "node_modules/.bin/biome");
  const options = ["format", "--write", "--vcs-enabled=false", scratch];
  await run(biome, options, { cwd: root, timeoutMs: 60_000 });
  const text = readFileSync(scratch, "utf8");
  rmSync(scratch);
  return text;
}

function withTable(readme: string, table: string): string {
  const [head, rest] = readme.split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error(`README.md lacks ${begin} or ${end}`);
  return `${head}${begin}\n${table}\n${end}${tail}`;
}

/** Every generated file and what it must hold. */
async function generate(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const chart of charts) {
    const values = readValues(readFileSync(join(folder, chart, "values.yaml"), "utf8"));
    const readme = join(folder, chart, "README.md");
    files.set(join(folder, chart, "values.schema.json"), await formatted(valuesSchema(chart, values, variables)));
    files.set(readme, withTable(readFileSync(readme, "utf8"), valuesTable(values)));
  }
  const chart = readFileSync(join(folder, "service/Chart.yaml"), "utf8");
  for (const service of services) {
    files.set(join(partOf(service), "Chart.yaml"), chart.replace(/^name: service$/m, `name: ${service}`));
  }
  return files;
}

/** Where the chart of a service is inside the umbrella. */
function partOf(service: Service): string {
  return join(folder, "ordermesh/charts", service);
}

/** All but the name of a service's chart is that of the chart "service". */
function link(service: Service): void {
  mkdirSync(partOf(service), { recursive: true });
  for (const name of ["templates", "values.yaml", "values.schema.json"]) {
    const place = join(partOf(service), name);
    if (!existsSync(place)) symlinkSync(join("../../../service", name), place);
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

const files = await generate();
if (process.argv.includes("--check")) {
  for (const [path, text] of files) {
    if (textOf(path) === text) continue;
    console.error(`${path} is not what values.yaml says: node charts/generate.ts repairs it`);
    process.exitCode = 1;
  }
} else {
  for (const service of services) link(service);
  for (const [path, text] of files) writeFileSync(path, text);
}
