// `npm test`: the checks, then every test, on real servers. `npm test -- <files>` runs only those tests.
// One PostgreSQL serves all tests that want a database of their own; tools are had before the first test needs them.
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { delimiter } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { fullEnvironment } from "../config.ts";
import { StackError } from "../errors.ts";
import { onOrphaned } from "../process/parentage.ts";
import { freePorts } from "../stack/free-ports.ts";
import { Stack } from "../stack/stack.ts";
import { ToolError, tool, toolLinks } from "../tools/tool.ts";
import { baseTools, testTools } from "../tools/versions.ts";

/** Test files that run at the same time: the machines that this runs on have two cores. */
const concurrency = 2;
/** A single test may take this long; the ones with a whole stack take the longest. */
const testTimeoutMs = 10 * 60_000;

const patterns = ["{services/*,clients/*,deploy/*,dev/*,bench,charts,examples/*}/test/**/*.test.ts"];

/** Runs a command with our terminal; resolves with its exit code. It ends when we are told to. */
function passThrough(args: readonly string[], environment: Record<string, string> = {}): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: "inherit", env: fullEnvironment(environment) });
  const stop = () => child.kill("SIGTERM");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  onOrphaned(stop);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** Before the tests, whose time is limited. What only some of them need may be missing; they say so. */
async function haveTools(): Promise<void> {
  const say = (line: string) => console.log(`  · ${line}`);
  for (const name of baseTools) await tool(name, say);
  for (const name of testTools) {
    await tool(name, say).catch((error: unknown) => {
      if (!(error instanceof ToolError)) throw error;
      say(error.message);
    });
  }
}

/** Nothing in a test outlives its server, so it need not wait for disks. */
function startPostgres(): Promise<Stack> {
  return freePorts().then((ports) =>
    Stack.start({
      ports,
      components: ["postgres"],
      postgresSettings: ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=400"],
      restart: false,
    }),
  );
}

async function runTests(files: readonly string[]): Promise<number> {
  await using postgres = await startPostgres();
  const flags = ["--test", `--test-concurrency=${concurrency}`, `--test-timeout=${testTimeoutMs}`];
  // Awaited here: the server ends with this block.
  return await passThrough([...flags, ...files], {
    TEST_POSTGRES_URL: postgres.databaseUrl("postgres"),
    PATH: [toolLinks, fullEnvironment().PATH].join(delimiter),
  });
}

const help = `Checks everything, then runs every test on real servers; half an hour on two cores. Ends with 0 when all is well.

  npm test                 the checks, and all tests
  npm test -- <files>      only the tests in these files, without the checks`;

async function main(chosen: readonly string[]): Promise<number> {
  if (chosen.includes("--help")) {
    console.log(help);
    return 0;
  }
  if (chosen.length > 0) return runTests(chosen);
  const checked = await passThrough(["dev/commands/check.ts"]);
  await haveTools();
  const tested = await runTests(globSync(patterns, { cwd: root }).sort());
  if (checked !== 0) {
    console.error("The checks at the beginning failed; here they are again:");
    await passThrough(["dev/commands/check.ts"]);
  }
  return tested || checked;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof StackError) && !(error instanceof ToolError)) throw error;
  console.error(error.message);
  process.exit(1);
}
