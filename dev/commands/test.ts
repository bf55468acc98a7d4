// `npm test`: the checks, then every test, on real servers. `npm test -- <files>` runs only those tests.
// One PostgreSQL serves all tests that want a database of their own; tools are had before the first test needs them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { delimiter } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { fullEnvironment } from "../config.ts";
import { StackError } from "../errors.ts";
import { type Lane, runLanes } from "../process/lanes.ts";
import { endWithUs } from "../process/parentage.ts";
import { freePorts } from "../stack/free-ports.ts";
import { Stack } from "../stack/stack.ts";
import { ToolError, tool, toolLinks } from "../tools/tool.ts";
import { baseTools, testTools } from "../tools/versions.ts";

const patterns = ["{services/*,clients/*,deploy/*,dev/*,bench,charts,examples/*}/test/**/*.test.ts"];
/** These mostly start a whole stack, which keeps more than one core busy; the others mostly wait. The machines that this runs on have two cores. */
const withStack = /^(?:dev\/(?:commands|observe|observers|stack|verify)|examples)\//;
/** So many test files at the same time; of those with a whole stack one besides. */
const concurrency = 2;
/** A single test may take this long; the ones with a whole stack take the longest. */
const testTimeoutMs = 10 * 60_000;

/** Runs the checks in our terminal; resolves with their exit code. */
async function check(): Promise<number> {
  const child = spawn(process.execPath, ["dev/commands/check.ts"], { cwd: root, stdio: "inherit" });
  endWithUs(child);
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
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

async function runTests(chosen: readonly Lane[]): Promise<number> {
  await using postgres = await startPostgres();
  // Awaited here: the server ends with this block.
  return await runLanes(chosen, {
    environment: {
      TEST_POSTGRES_URL: postgres.databaseUrl("postgres"),
      PATH: [toolLinks, fullEnvironment().PATH].join(delimiter),
    },
    timeoutMs: testTimeoutMs,
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
  if (chosen.length > 0) return runTests([{ files: chosen, concurrency }]);
  const checked = await check();
  await haveTools();
  const files = globSync(patterns, { cwd: root }).sort();
  const tested = await runTests([
    { files: files.filter((file) => withStack.test(file)), concurrency: 1 },
    { files: files.filter((file) => !withStack.test(file)), concurrency },
  ]);
  if (checked !== 0) {
    console.error("The checks at the beginning failed; here they are again:");
    await check();
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
