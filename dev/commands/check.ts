// `npm run check`: everything that can be judged without running the product. `--fix` formats and repairs what a machine
// can, `--generate` writes the generated code anew.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { run } from "../../deploy/command/run.ts";
import { colour, fullEnvironment } from "../config.ts";
import { readImports } from "../structure/imports.ts";
import { faultsOf } from "../structure/structure.ts";
import { licenceFaults } from "../supply/licences.ts";
import { requirementFaults, writeRequirementPages } from "../supply/requirement-pages.ts";
import { secretFaults } from "../supply/secrets.ts";

interface Check {
  readonly name: string;
  /** What repairs it, when a command does. */
  readonly cure?: string;
  run(): Promise<unknown>;
}

const bin = (name: string) => join(root, "node_modules/.bin", name);
const generated = ["services/platform/src/gen", "docs/api"];

function command(program: string, args: readonly string[], cwd = root): Promise<string> {
  return run(program, args, { cwd, env: fullEnvironment(), timeoutMs: 5 * 60_000, keepOutput: true });
}

/** buf needs the text of the validation rules, which is printed from their descriptor. */
function printValidationRules(): Promise<string> {
  return command(process.execPath, ["dev/tools/print-validate-proto.ts"]);
}

/** The schema and the table of the charts' values, from the comments of the values and the variables of the services. */
function generateCharts(...options: string[]): Promise<string> {
  return command(process.execPath, ["charts/generate.ts", ...options]);
}

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-check-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Generates beside the repository and compares, so that a check never changes a file. */
async function compareGenerated(): Promise<void> {
  await withFolder(async (folder) => {
    await command(bin("buf"), ["generate", "--output", folder]);
    for (const path of generated) await command("diff", ["-ru", path, join(folder, path)]);
  });
}

/** The protos as the main branch has them, when there is a main branch that has any. */
async function compareWithMain(): Promise<void> {
  const found = await Promise.all(
    ["origin/main", "main"].map((branch) =>
      command("git", ["rev-parse", "--verify", "--quiet", `${branch}:proto`]).then(
        () => branch,
        () => undefined,
      ),
    ),
  );
  const branch = found.find((name) => name !== undefined);
  if (!branch) return;
  await withFolder(async (folder) => {
    const archive = join(folder, "main.tar");
    await command("git", ["archive", "--format=tar", `--output=${archive}`, branch, "proto"]);
    await command("tar", ["-xf", archive, "-C", folder]);
    rmSync(archive);
    await command("cp", ["-R", join(root, "buf.yaml"), join(root, ".cache"), folder]);
    await command(bin("buf"), ["breaking", "--against", folder]);
  });
}

/** Who may import whom; see docs/decisions/0019-structure.md. */
async function judgeStructure(): Promise<void> {
  const faults = faultsOf(readImports(root));
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

/** Each call says who may make it, and each field that may be personal data whether it is; see decisions 38 and 46. */
async function judgeContract(): Promise<void> {
  // Loaded here only: it reads generated code, without which `generate` has to run.
  const { contractFaults } = await import("../structure/contract.ts");
  const faults = await contractFaults(root);
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

/** What is delivered: under which licences, without secrets, and how far it is what standards want; see docs/decisions/0043-supply.md. */
async function refuse(faults: readonly string[]): Promise<void> {
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

const checks: readonly Check[] = [
  {
    name: "format and lint",
    cure: "npm run fix",
    run: () => command(bin("biome"), ["ci", "--error-on-warnings", `--colors=${colour ? "force" : "off"}`, "."]),
  },
  { name: "types", run: () => command(bin("tsc"), ["--noEmit"]) },
  { name: "structure", run: judgeStructure },
  { name: "protos", run: () => command(bin("buf"), ["lint"]) },
  { name: "protos against main", run: compareWithMain },
  { name: "generated code", cure: "npm run generate", run: compareGenerated },
  { name: "callers and persons", run: judgeContract },
  { name: "values of charts", cure: "npm run generate", run: () => generateCharts("--check") },
  {
    name: "lock file",
    cure: "npm run lock",
    run: () => command(process.execPath, ["dev/commands/lock.ts", "--check"]),
  },
  { name: "licences", run: () => refuse(licenceFaults(root)) },
  { name: "requirements", run: async () => refuse(requirementFaults(root)) },
  { name: "secrets", run: async () => refuse(await secretFaults()) },
];

async function judge(check: Check): Promise<boolean> {
  const start = performance.now();
  const paint = (code: number, text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  try {
    await check.run();
    console.log(`  ${paint(32, "✓")} ${check.name.padEnd(20)} ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return true;
  } catch (error) {
    console.log(`  ${paint(31, "✗")} ${check.name}${check.cure ? `: \`${check.cure}\` repairs it` : ""}`);
    console.log((error as Error).message);
    return false;
  }
}

const help = `Judges everything that can be judged without running the product: ${checks.map(({ name }) => name).join(", ")}.

  npm run check       says what is wrong; changes nothing; ends with 0 when nothing is
  npm run fix         formats, and repairs what a machine can
  npm run generate    writes generated code, the schemas and tables of the charts' values, and the pages of docs/requirements`;

const [wish, ...more] = process.argv.slice(2);
const unknown = [...(["--fix", "--generate", "--help", undefined].includes(wish) ? [] : [wish]), ...more];
if (unknown.length > 0 || wish === "--help") {
  if (unknown.length > 0) console.error(`There is no option ${unknown.join(" ")}.\n`);
  console.log(help);
  process.exit(unknown.length > 0 ? 2 : 0);
}
await printValidationRules();
if (wish === "--fix") {
  console.log(await command(bin("biome"), ["check", "--write", `--colors=${colour ? "force" : "off"}`, "."]));
} else if (wish === "--generate") {
  await command(bin("buf"), ["generate"]);
  await generateCharts();
  writeRequirementPages(root);
  console.log(
    `Generated ${generated.join(", ")}, the schemas and tables of the charts' values, and the pages of docs/requirements.`,
  );
} else {
  const verdicts: boolean[] = [];
  for (const check of checks) verdicts.push(await judge(check));
  if (verdicts.includes(false)) process.exitCode = 1;
}
